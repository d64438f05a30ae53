"""The layers of a model in the order in which it computes them."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from facejax.models.face_net import FaceNet

# What a module that has this parameter is.
_KINDS = {'kernel': 'conv', 'slope': 'slope', 'scale': 'norm'}


@dataclasses.dataclass(frozen=True)
class LayerTrace:
  """One layer with weights.

  Attributes:
    path: of its module in the tree of parameters.
    kind: 'conv', 'norm' (BatchNorm or what folding leaves of it) or 'slope'.
    params: shapes of its parameters, by name.
    statistics: shapes of its running statistics, by name; empty where it has
      none.
    groups: of a convolution, else 1.
    positions: of its output on one image.
    strides: of a convolution along both axes; None where its output is one
      position, which every stride gives.
    follows: path of the layer whose output it takes as it is; None where
      something stands between them, or nothing before it.
  """

  path: tuple[str, ...]
  kind: str
  params: dict[str, tuple[int, ...]]
  statistics: dict[str, tuple[int, ...]]
  positions: int
  groups: int = 1
  strides: int | None = None
  follows: tuple[str, ...] | None = None

  @property
  def name(self) -> str:
    """The path joined by '/'."""
    return '/'.join(self.path)


@dataclasses.dataclass(frozen=True)
class ModelTrace:
  """What a model is made of.

  Attributes:
    layers: those with weights, in order of computation.
    embedding_size: D of its output.
  """

  layers: tuple[LayerTrace, ...]
  embedding_size: int


def trace_model(
  model: FaceNet, *, watch: Callable[[LayerTrace], None] | None = None
) -> ModelTrace:
  """The layers of a model, by shapes alone: computes nothing.

  Args:
    model: the architecture.
    watch: is called with every layer as it is reached; what it raises ends the
      trace, which takes most of a second for a deep net.
  """
  layers = []
  # Outputs are kept, not their ids alone: a freed one could lend its id.
  outputs = []

  def record(next_function, args, kwargs, context):
    output = next_function(*args, **kwargs)
    module = context.module
    kind = next(
      (k for p, k in _KINDS.items() if module.has_variable('params', p)), None
    )
    if context.method_name == '__call__' and kind is not None:
      follows = [path for path, y in outputs if y is args[0]]
      outputs.append((module.path, output))
      layers.append(_describe(module, kind, args[0], output, follows))
      if watch is not None:
        watch(layers[-1])
    return output

  def initialise():
    images = jnp.zeros((1, *model.image_size, model.image_channels))
    with nn.intercept_methods(record):
      return model.init_with_output(jax.random.key(0), images, False)

  embeddings, _ = jax.eval_shape(initialise)
  return ModelTrace(tuple(layers), embeddings.shape[-1])


def _describe(
  module: nn.Module,
  kind: str,
  features: jax.Array,
  output: jax.Array,
  follows: list[tuple[str, ...]],
) -> LayerTrace:
  params, statistics = (
    {name: value.shape for name, value in module.variables.get(c, {}).items()}
    for c in ('params', 'batch_stats')
  )
  is_conv = kind == 'conv'
  is_wide = is_conv and output.shape[1:3] != (1, 1)
  return LayerTrace(
    path=module.path,
    kind=kind,
    params=params,
    statistics=statistics,
    positions=math.prod(output.shape[1:-1]),
    groups=features.shape[-1] // params['kernel'][2] if is_conv else 1,
    strides=module.strides if is_wide else None,
    follows=follows[0] if follows else None,
  )
