"""Vector norms with finite gradients."""

import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float

_MIN_SQUARED_NORM = 1e-12


def l2_normalize(x: Float[Array, '*B D']) -> Float[Array, '*B D']:
  """The unit vector x / ||x|| along the last axis; zero stays zero."""
  squared = jnp.sum(x * x, axis=-1, keepdims=True)
  return x * lax.rsqrt(jnp.maximum(squared, _MIN_SQUARED_NORM))
