"""Activations of face nets that the libraries do not have."""

import jax
import jax.numpy as jnp

from facejax.array_typing import Array, Float
from facejax.errors import UsageError


@jax.custom_vjp
def prelu(
  x: Float[Array, '*B C'], slope: Float[Array, ' C']
) -> Float[Array, '*B C']:
  """max(x, 0) + slope * min(x, 0), one slope a channel; x's dtype stays.

  References:
    He et al., Delving Deep into Rectifiers, 2015.
  """
  return jnp.where(x > 0, x, x * _channels(slope, x))


def _channels(slope, x):
  return slope.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))


def _prelu_forward(x, slope):
  return prelu(x, slope), (x, slope)


def _prelu_backward(saved, cotangent):
  """The slope's sum over min(x, 0) vectorises on CPU, one over a choice not."""
  x, slope = saved
  dx = jnp.where(x > 0, cotangent, cotangent * _channels(slope, x))
  products = jnp.minimum(x, 0) * cotangent
  axes = tuple(range(x.ndim - 1))
  dslope = products.sum(axes, dtype=jnp.float32).astype(slope.dtype)
  return dx, dslope


prelu.defvjp(_prelu_forward, _prelu_backward)


def max_feature_map(
  x: Float[Array, '*B C'], pieces: int = 2
) -> Float[Array, '*B O']:
  """MFM: the channels are cut into pieces that compete (spec 12.1).

  Args:
    x: feature map.
    pieces: 2 keeps the larger of both halves, C / 2 channels; 3 keeps the
      largest and the middle one of three thirds, 2 C / 3 channels. A tie
      shares the gradient.

  Raises:
    UsageError: other pieces, or channels that they do not divide.

  References:
    Wu et al., A Light CNN for Deep Face Representation with Noisy Labels,
    2018, https://arxiv.org/abs/1511.02683, section III.A.
  """
  if pieces not in (2, 3) or x.shape[-1] % pieces:
    raise UsageError(
      f'max_feature_map in {pieces} pieces of {x.shape[-1]} channels: use 2 or '
      '3 pieces that divide them'
    )
  parts = jnp.split(x, pieces, axis=-1)
  if pieces == 2:
    return jnp.maximum(*parts)
  a, b, c = parts
  largest = jnp.maximum(jnp.maximum(a, b), c)
  # Not a + b + c - max - min, which rounds.
  middle = jnp.maximum(jnp.minimum(a, b), jnp.minimum(jnp.maximum(a, b), c))
  return jnp.concatenate([largest, middle], axis=-1)
