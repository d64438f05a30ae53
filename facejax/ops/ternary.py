"""Ternary weights (TWN): threshold, scale and the straight-through estimator.

References:
  Li, Zhang, Liu, "Ternary Weight Networks", 2016,
  https://arxiv.org/abs/1605.04711; spec 6.1 (strict inequalities as in the
  authors' code).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from facejax.array_typing import AnyArray, Array, Float, Int8

THRESHOLD_FACTOR = 0.7
Axis = int | Sequence[int] | None


def _statistics(
  w: Float[AnyArray, '...'], axis: Axis
) -> tuple[Float[Array, '...'], Float[Array, '...']]:
  """Threshold and scale in float32, reduced axes kept with size one."""
  axis = axis if axis is None or isinstance(axis, int) else tuple(axis)
  magnitude = jnp.abs(jnp.asarray(w, jnp.float32))
  delta = THRESHOLD_FACTOR * jnp.mean(magnitude, axis, keepdims=True)
  mask = magnitude > delta
  # The count is an integer: a float32 sum of ones stops growing at 2^24.
  count = jnp.sum(mask, axis, dtype=jnp.int32, keepdims=True)
  total = jnp.sum(jnp.where(mask, magnitude, 0), axis, keepdims=True)
  return delta, total / jnp.maximum(count, 1)


def _squeeze(statistic: Float[Array, '...'], axis: Axis) -> Float[Array, '...']:
  """Drops the axes that were reduced over."""
  if axis is not None and not isinstance(axis, int):
    axis = tuple(axis)
  return jnp.squeeze(statistic, axis)


def threshold(
  w: Float[AnyArray, '...'], axis: Axis = None
) -> Float[Array, '...']:
  """0.7 * mean |w| (Delta): smaller weights become zero.

  Args:
    w: weights of any shape.
    axis: axes reduced over, as in `jnp.mean`; None reduces all.

  Returns:
    float32, the shape of `w` without the reduced axes.
  """
  return _squeeze(_statistics(w, axis)[0], axis)


def scale(w: Float[AnyArray, '...'], axis: Axis = None) -> Float[Array, '...']:
  """Mean of |w| over |w| > Delta (alpha); 0 where no weight is larger.

  It minimises |w - alpha * t|^2 for the ternary t: alpha = <t, w> / <t, t>.

  Args:
    w: weights of any shape.
    axis: axes reduced over, as in `jnp.mean`; None reduces all.

  Returns:
    float32, the shape of `w` without the reduced axes.
  """
  return _squeeze(_statistics(w, axis)[1], axis)


def _codes(
  w: Float[AnyArray, '...'], delta: Float[Array, '...']
) -> Int8[Array, '...']:
  """+1 above `delta`, -1 below its negative, 0 between, equality included."""
  w = jnp.asarray(w, jnp.float32)
  return (w > delta).astype(jnp.int8) - (w < -delta).astype(jnp.int8)


def ternarize(
  w: Float[AnyArray, '...'], axis: Axis = None
) -> tuple[Int8[Array, '...'], Float[Array, '...']]:
  """Ternary weights and their scale, w ~ alpha * t.

  Args:
    w: weights of any shape.
    axis: axes that share one threshold and scale, as in `jnp.mean`; None for
      one of each in all.

  Returns:
    (t, alpha): t int8 in {-1, 0, +1} of the shape of `w`; alpha float32, the
    shape of `w` without the reduced axes.
  """
  delta, alpha = _statistics(w, axis)
  return _codes(w, delta), _squeeze(alpha, axis)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def ternary_ste(
  w: Float[AnyArray, '...'], axis: Axis = None
) -> Float[Array, '...']:
  """Exactly alpha * t forward; the gradient passes to `w` unchanged.

  Not w + stop_gradient(alpha * t - w): that sum is rounded, and a packed model
  would differ from the one that was trained.

  Args:
    w: float master weights of any shape.
    axis: as in `ternarize`; a tuple or an integer, not a list.

  Returns:
    alpha * t in the shape and dtype of `w`.
  """
  delta, alpha = _statistics(w, axis)
  return (alpha * _codes(w, delta)).astype(w.dtype)


@ternary_ste.defjvp
def _ternary_ste_jvp(axis, primals, tangents):
  """The straight-through rule: d(alpha * t) := dw."""
  return ternary_ste(primals[0], axis), tangents[0]
