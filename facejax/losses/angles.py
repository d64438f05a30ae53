"""Sines and angles of cosines, with finite slopes at +-1."""

import jax.numpy as jnp

from facejax.array_typing import Array, Float

# Keeps sqrt(1 - cos^2), and its slope, finite at cos = +-1 (spec 3.3).
_MIN_SINE_SQUARED = 1e-9


def sine_of(cosine: Float[Array, '*B']) -> Float[Array, '*B']:
  """sin(theta) = sqrt(1 - c^2) for theta in 0 .. pi, 3e-5 at least.

  Args:
    cosine: c, float32, -1 .. 1.

  Returns:
    The sine; its slope at c = +-1 is 0, the largest beside them 3e4.
  """
  # The product keeps the digits that 1 - c^2 loses where c is near 1.
  squared = (1.0 - cosine) * (1.0 + cosine)
  return jnp.sqrt(jnp.maximum(squared, _MIN_SINE_SQUARED))


def angle_of(cosine: Float[Array, '*B']) -> Float[Array, '*B']:
  """The angle theta = acos(c), within 3e-5 of 0 and pi at c = +-1.

  By the arc tangent of sine over cosine, so that cos(theta + m) has the value
  and the slope of cos(theta) cos(m) - sin(theta) sin(m) with `sine_of`, to
  float rounding: losses through the angle agree with those without.

  Args:
    cosine: c, float32, -1 .. 1.

  Returns:
    theta in radians.
  """
  return jnp.arctan2(sine_of(cosine), cosine)
