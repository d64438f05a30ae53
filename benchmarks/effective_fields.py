"""Which pixels the units before the global depthwise convolution look at.

A unit (i, j) of that map is taken as the sum of its channels with random
signs, drawn anew for every image, so that no channel hides another: the
expected square of its gradient is the sum of the squares of the channels'. Its
effective receptive field is the mean over images of the sum over colours of
|d unit / d pixel|.

References:
  Luo et al., Understanding the Effective Receptive Field in Deep
  Convolutional Neural Networks, 2016, https://arxiv.org/abs/1701.04128.
  MobileFaceNets, arXiv 1804.07573, section 3.1, whose argument this measures.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from facejax.array_typing import Array, Float, PyTree
from facejax.errors import DataError

GLOBAL = 'global'


def map_before_global(
  model: Any, variables: PyTree, images: Float[Array, 'B H W C']
) -> Float[Array, 'B h w c']:
  """What the module `global` of a net is given, at inference.

  Args:
    model: a linen module that calls its parts one after the other.
    variables: its own, float.
    images: normalised.

  Raises:
    DataError: the net has no global depthwise convolution.
  """
  order: list[str] = []

  def keep(module: Any, method: str) -> bool:
    # Of the scope, since our modules have a field `path` of another meaning.
    if len(module.path) != 1 or method != '__call__':
      return False
    order.append(module.name)
    return True

  _, captured = model.apply(
    variables,
    images,
    False,
    capture_intermediates=keep,
    mutable=['intermediates'],
  )
  if GLOBAL not in order[1:]:
    raise DataError(
      f'{type(model).__name__} has no global depthwise convolution: give a '
      'MobileFaceNet with that tail'
    )
  before = order[order.index(GLOBAL) - 1]
  return captured['intermediates'][before]['__call__'][0]


def effective_fields(
  map_of: Callable[[Array], Array],
  batches: Iterable[Float[np.ndarray, 'B H W C']],
  *,
  seed: int = 0,
) -> Float[np.ndarray, 'h w H W']:
  """The field of every unit of a map, over the input.

  Args:
    map_of: normalised images [B, H, W, C] to a map [B, h, w, c], each image by
      itself.
    batches: images; batches of one size are compiled once.
    seed: of the signs.

  Raises:
    DataError: no images.
  """
  add = jax.jit(lambda images, key: _summed_fields(map_of, images, key))
  total, count = None, 0
  for number, images in enumerate(batches):
    key = jax.random.fold_in(jax.random.key(seed), number)
    fields = np.asarray(add(images, key), np.float64)
    total = fields if total is None else total + fields
    count += len(images)
  if not count:
    raise DataError('no images to measure receptive fields on')
  return (total / count).astype(np.float32)


def _summed_fields(
  map_of: Callable[[Array], Array], images: Array, key: Array
) -> Array:
  """Sums of |gradient| over images and colours, [h, w, H, W]."""
  features, pull_back = jax.vjp(map_of, images)
  batch, height, width, channels = features.shape
  signs = jax.random.rademacher(key, (batch, channels), features.dtype)

  def field(unit: Array) -> Array:
    row, column = unit // width, unit % width
    cotangent = jnp.zeros_like(features).at[:, row, column].set(signs)
    (gradient,) = pull_back(cotangent)
    return jnp.abs(gradient).sum((0, 3))

  fields = lax.map(field, jnp.arange(height * width))
  return fields.reshape(height, width, *fields.shape[1:])


def kernel_energy(
  folded_kernel: Float[np.ndarray, 'h w 1 c'],
) -> Float[np.ndarray, 'h w']:
  """Sum over channels of the squared weights, as shares of their mean.

  Args:
    folded_kernel: of the global depthwise convolution, BatchNorm's scale
      folded into it.
  """
  energy = np.square(np.asarray(folded_kernel, np.float64)).sum((2, 3))
  return (energy / energy.mean()).astype(np.float32)
