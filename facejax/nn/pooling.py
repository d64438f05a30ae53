"""Pooling over windows, rounded as the nets' sources do, and over maps."""

import jax.numpy as jnp
from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.errors import DataError

LOCAL_POOLS = ('average', 'max')


def max_pool_ceil(
  x: Float[Array, 'B H W C'], size: int, strides: int
) -> Float[Array, 'B h w C']:
  """The largest value of every window; h = ceil((H - size) / strides) + 1.

  As in Caffe, the last window may reach over the edge, so that no row or
  column is left out.

  Args:
    x: feature map.
    size: side of a window.
    strides: from one window to the next.

  Raises:
    DataError: a map of fewer than size - strides + 1 rows or columns.
  """
  padding = [(0, _overhang(side, size, strides)) for side in x.shape[1:3]]
  return nn.max_pool(x, (size, size), (strides, strides), padding)


def _overhang(side: int, size: int, strides: int) -> int:
  """Rows of the last window past the edge of a map."""
  steps = -((size - side) // strides)
  if steps < 0:
    raise DataError(
      f'a map of side {side} is too small to pool in windows of {size}: use '
      'larger images'
    )
  return steps * strides + size - side


def splice_pools(
  x: Float[Array, 'B H W C'],
  downsampled: Float[Array, 'B h w C'],
  local_pool: str,
) -> Float[Array, 'B 2*C']:
  """What a whole map holds, beside what its windows hold.

  Args:
    x: feature map; the first C values are its means.
    downsampled: the same map after pooling over windows.
    local_pool: 'average' or 'max', what the last C values are of it.
  """
  pool = jnp.mean if local_pool == 'average' else jnp.max
  return jnp.concatenate([x.mean((1, 2)), pool(downsampled, (1, 2))], -1)
