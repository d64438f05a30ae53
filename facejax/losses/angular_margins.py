"""Margins that are added to the angle, or scale it."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float, Int
from facejax.losses.angles import angle_of, sine_of
from facejax.losses.targets import Params, Scalar, Step, replace_targets


def _straight_through(
  psi: Callable[[Float[Array, ' B']], Float[Array, ' B']],
) -> Callable[[Float[Array, ' B']], Float[Array, ' B']]:
  """The value of psi, with the slope of the identity."""
  return lambda cosine: cosine + lax.stop_gradient(psi(cosine) - cosine)


def arcface(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
  scale: Scalar = 64.0,
  margin: Scalar = 0.5,
  easy: bool = False,
  straight_through: bool = False,
) -> Float[Array, 'B K']:
  """Additive angular margin: s cos(theta_y + m) for the target.

  Where theta + m would pass pi the target falls on as s (cos(theta) -
  m sin(m)), which keeps it decreasing in theta (spec 3.3); for m = 0.5 it
  jumps there from -s to -1.117 s. The gradient is the true one.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row, or -1 for none.
    norms: unused.
    step: unused.
    params: unused.
    scale: s.
    margin: m, radians, 0 .. pi / 2.
    easy: leave targets beyond 90 degrees, c <= 0, without a margin. The target
      then rises by sin(m) where theta passes 90 degrees.
    straight_through: what InsightFace's ArcFace does and published recipes
      used: the value is s cos(theta + m) for every theta, so it rises again
      beyond pi - m, and the gradient that of s cos(theta), without the factor
      sin(theta + m) / sin(theta).

  Returns:
    Logits, float32.

  Raises:
    ValueError: easy and straight_through; InsightFace knows no such loss.

  References:
    Deng et al., ArcFace, 2019, https://arxiv.org/abs/1801.07698, equation 3.
  """
  del norms, step, params
  if easy and straight_through:
    raise ValueError('arcface: easy and straight_through exclude each other')
  margin = jnp.asarray(margin, jnp.float32)

  def shifted(cosine):
    return cosine * jnp.cos(margin) - sine_of(cosine) * jnp.sin(margin)

  def stable(cosine):
    # cos(pi - m) = -cos m and sin(pi - m) = sin m.
    border = 0.0 if easy else -jnp.cos(margin)
    beyond = cosine if easy else cosine - margin * jnp.sin(margin)
    return jnp.where(cosine > border, shifted(cosine), beyond)

  psi = _straight_through(shifted) if straight_through else stable
  return scale * replace_targets(cos_theta, labels, psi)


def combined_margin(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
  scale: Scalar = 64.0,
  m1: Scalar = 1.0,
  m2: Scalar = 0.5,
  m3: Scalar = 0.0,
  straight_through: bool = False,
) -> Float[Array, 'B K']:
  """All three margins: s (cos(m1 theta_y + m2) - m3) for the target.

  Where m1 theta + m2 would pass pi, at theta* = (pi - m2) / m1, the target
  goes on as s (cos(theta) - b - m3) with b = max(a sin(a), 1 - cos(a)) and
  a = pi - theta*. So it never rises in theta and keeps a gradient for the
  hardest targets, which an angle clamped to pi would not; and (1, m, 0) is
  `arcface` at every angle.

  InsightFace's CombinedMarginLoss is something else: any m3 > 0 applies m3
  alone, and m1 != 1 without m3 raises.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row, or -1 for none.
    norms: unused.
    step: unused.
    params: unused.
    scale: s.
    m1: factor of the angle, above 0; 1 for none.
    m2: added to the angle, radians, 0 .. pi / 2.
    m3: subtracted from the cosine, 0 .. 1.
    straight_through: the value of the formula at every angle, also where it
      rises again, with the gradient of s cos(theta), as `arcface` has it.

  Returns:
    Logits, float32.

  References:
    Deng et al., ArcFace, 2019, https://arxiv.org/abs/1801.07698, equation 4.
  """
  del norms, step, params

  def shifted(cosine):
    return jnp.cos(m1 * angle_of(cosine) + m2) - m3

  def stable(cosine):
    rest = jnp.pi - (jnp.pi - m2) / m1
    offset = jnp.maximum(rest * jnp.sin(rest), 1.0 - jnp.cos(rest))
    within = m1 * angle_of(cosine) + m2 < jnp.pi
    return jnp.where(within, shifted(cosine), cosine - offset - m3)

  psi = _straight_through(shifted) if straight_through else stable
  return scale * replace_targets(cos_theta, labels, psi)


def pool_sub_centers(
  cos_theta: Float[Array, 'B KC'], sub_centers: int
) -> Float[Array, 'B K']:
  """The largest cosine among the sub-centres of each identity.

  Args:
    cos_theta: cosines [B, K C], the C sub-centres of an identity neighbours.
    sub_centers: C; 1 changes nothing.

  Returns:
    [B, K].

  Raises:
    ValueError: C does not divide the columns.
  """
  if sub_centers == 1:
    return cos_theta
  rows, columns = cos_theta.shape
  if sub_centers < 1 or columns % sub_centers:
    raise ValueError(
      f'{columns} columns are no whole identities of {sub_centers} sub-centers'
    )
  return cos_theta.reshape(rows, columns // sub_centers, sub_centers).max(2)


def sub_center_arcface(
  cos_theta: Float[Array, 'B KC'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
  scale: Scalar = 64.0,
  margin: Scalar = 0.5,
  easy: bool = False,
  straight_through: bool = False,
  sub_centers: int = 3,
) -> Float[Array, 'B K']:
  """`arcface` of the nearest of C sub-centres of every identity.

  Mislabelled images of an identity gather at a sub-centre of their own.

  Args:
    cos_theta: cosines [B, K C], the C sub-centres of an identity neighbours.
    labels: target identity of each row, 0 .. K - 1, or -1 for none.
    norms: unused.
    step: unused.
    params: unused.
    scale: s.
    margin: m, radians, 0 .. pi / 2.
    easy: see `arcface`.
    straight_through: see `arcface`.
    sub_centers: C.

  Returns:
    Logits [B, K], float32.

  Raises:
    ValueError: C does not divide the columns, or both options of `arcface`.

  References:
    Deng et al., Sub-center ArcFace, 2020,
    https://www.ecva.net/papers/eccv_2020/papers_ECCV/html/1445_ECCV_2020_paper.php.
  """
  del norms, step, params
  return arcface(
    pool_sub_centers(cos_theta, sub_centers),
    labels,
    scale=scale,
    margin=margin,
    easy=easy,
    straight_through=straight_through,
  )
