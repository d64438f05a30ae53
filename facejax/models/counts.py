"""Parameters and multiply-adds of a model, from shapes alone."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from facejax import trees


@dataclasses.dataclass(frozen=True)
class Counts:
  """The size of a model, without classifier.

  Attributes:
    parameters: all trained values, BatchNorm's two per channel included.
    folded_parameters: after BatchNorm is folded: weights, one bias per
      normalised channel, activation slopes. The papers count this (spec 2.2).
    multiply_adds: of one image, convolutions and dense layers.
  """

  parameters: int
  folded_parameters: int
  multiply_adds: int


def count_model(model: nn.Module, image_size: tuple[int, int]) -> Counts:
  """Counts without computing anything: `jax.eval_shape` of one image."""
  multiply_adds = 0

  def record(next_function, args, kwargs, context):
    nonlocal multiply_adds
    output = next_function(*args, **kwargs)
    module = context.module
    if context.method_name == '__call__' and module.has_variable(
      'params', 'kernel'
    ):
      kernel = module.get_variable('params', 'kernel')
      multiply_adds += kernel.size * math.prod(output.shape[1:-1])
    return output

  def initialise():
    images = jnp.zeros((1, *image_size, 3))
    with nn.intercept_methods(record):
      return model.init(jax.random.key(0), images, False)

  params = jax.eval_shape(initialise)['params']
  parameters = trees.parameter_count(params)
  norm_scales = sum(
    leaf.size
    for name, leaf in trees.named_leaves(params).items()
    if name.endswith('norm/scale')
  )
  return Counts(parameters, parameters - norm_scales, multiply_adds)
