"""Margin losses: from cosines to logits.

Every function has one signature, so that the dense and the class-sharded
cross-entropy run any of them: cosines and labels in, logits out, the margin
applied to the target alone. A label of -1 means "not among these columns" and
leaves a row without a target.

`margin` may be a traced scalar: a schedule raises it while training.
"""

from collections.abc import Callable

import jax.numpy as jnp

from facejax.array_typing import Array, Float, Int

# Keeps sqrt(1 - cos^2), and its slope, finite at cos = +-1 (spec 3.3).
_MIN_SINE_SQUARED = 1e-9

MarginFunction = Callable[..., Float[Array, 'B K']]


def _is_target(cos_theta, labels):
  """Which column of each row is the target; none for a label of -1."""
  return labels[:, None] == jnp.arange(cos_theta.shape[1])[None, :]


def normface(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  scale: float = 64.0,
) -> Float[Array, 'B K']:
  """Scaled cosines without a margin: s cos(theta).

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row; unused, a margin loss of margin zero.
    scale: s.

  Returns:
    Logits, float32.

  References:
    Wang et al., NormFace, 2017, https://arxiv.org/abs/1704.06369.
  """
  del labels
  return scale * cos_theta.astype(jnp.float32)


def cosface(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  scale: float = 64.0,
  margin: float | Float[Array, ''] = 0.35,
) -> Float[Array, 'B K']:
  """Additive cosine margin: s (cos(theta_y) - m) for the target.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row, or -1 for none.
    scale: s.
    margin: m, in cosine.

  Returns:
    Logits, float32.

  References:
    Wang et al., CosFace, 2018, https://arxiv.org/abs/1801.09414, equation 4.
  """
  cosine = cos_theta.astype(jnp.float32)
  target = _is_target(cosine, labels)
  return scale * jnp.where(target, cosine - margin, cosine)


def arcface(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  scale: float = 64.0,
  margin: float | Float[Array, ''] = 0.5,
) -> Float[Array, 'B K']:
  """Additive angular margin: s cos(theta_y + m) for the target.

  Where theta + m would pass pi the target falls on as cos(theta) -
  m sin(m), which keeps it decreasing in theta (spec 3.3). The gradient is the
  true one; many published recipes use a straight-through gradient instead.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row, or -1 for none.
    scale: s.
    margin: m, radians, 0 .. pi / 2.

  Returns:
    Logits, float32.

  References:
    Deng et al., ArcFace, 2019, https://arxiv.org/abs/1801.07698, equation 3.
  """
  cosine = cos_theta.astype(jnp.float32)
  margin = jnp.asarray(margin, jnp.float32)
  sine = jnp.sqrt(jnp.maximum(1 - cosine**2, _MIN_SINE_SQUARED))
  shifted = cosine * jnp.cos(margin) - sine * jnp.sin(margin)
  # cos(pi - m) = -cos m and sin(pi - m) = sin m.
  beyond = cosine - margin * jnp.sin(margin)
  phi = jnp.where(cosine > -jnp.cos(margin), shifted, beyond)
  return scale * jnp.where(_is_target(cosine, labels), phi, cosine)


MARGINS: dict[str, MarginFunction] = {
  'normface': normface,
  'cosface': cosface,
  'arcface': arcface,
}
