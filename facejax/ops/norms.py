"""Vector norms with finite gradients."""

import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float

_MIN_SQUARED_NORM = 1e-12


def squared_norm(x: Float[Array, '*B D']) -> Float[Array, '*B']:
  """||x||^2 along the last axis, 1e-12 at least.

  The floor keeps square root and reciprocal, and their slopes, finite at zero.
  """
  return jnp.maximum(jnp.sum(x * x, axis=-1), _MIN_SQUARED_NORM)


def l2_normalize(x: Float[Array, '*B D']) -> Float[Array, '*B D']:
  """The unit vector x / ||x|| along the last axis; zero stays zero."""
  return x * lax.rsqrt(squared_norm(x))[..., None]
