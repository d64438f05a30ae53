"""A-Softmax (SphereFace): a margin that multiplies the angle."""

import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float, Int
from facejax.losses.angles import angle_of
from facejax.losses.targets import (
  Params,
  Scalar,
  Step,
  is_target,
  pick_targets,
  required,
)

_MIN_NORM = 1e-6


def a_softmax_lambda(
  step: Step,
  *,
  base: Scalar = 1000.0,
  gamma: Scalar = 0.12,
  power: Scalar = 1.0,
  minimum: Scalar = 5.0,
) -> Float[Array, '']:
  """max(minimum, base (1 + gamma step)^-power), weight of the plain cosine.

  With the defaults it reaches 5 at step 1,659 and 1/6 of the target logit is
  psi from there on.

  Args:
    step: updates done, 0 at first; the official layer counts its first batch
      as 1.
    base: value at step 0.
    gamma: how fast it falls.
    power: of the fall.
    minimum: its floor.

  Returns:
    lambda, float32.

  References:
    https://github.com/wy1iu/sphereface, margin_inner_product_layer.cpp;
    spec 3.2.
  """
  progress = 1.0 + gamma * jnp.asarray(step, jnp.float32)
  return jnp.maximum(base * progress**-power, minimum)


def _psi(cosine, margin):
  """psi(theta) = (-1)^k cos(m theta) - 2 k, and its slope by the cosine.

  Both by Chebyshev polynomials of the second kind: cos(m theta) =
  U_m - c U_{m-1}, with the slope m U_{m-1}, finite everywhere.
  """
  previous, current = jnp.zeros_like(cosine), jnp.ones_like(cosine)
  for _ in range(margin):
    previous, current = current, 2.0 * cosine * current - previous
  k = jnp.floor(angle_of(lax.stop_gradient(cosine)) * (margin / jnp.pi))
  k = jnp.clip(k, 0.0, margin - 1.0)
  sign = 1.0 - 2.0 * (k % 2.0)
  psi = sign * (current - cosine * previous) - 2.0 * k
  return psi, sign * margin * previous


def _unit_coefficients(term, cosine, psi, slope, norms):
  """|x| psi with its gradient divided by N, see `a_softmax`."""
  along_x = (psi - cosine * slope) / jnp.maximum(norms, _MIN_NORM)
  length = lax.stop_gradient(jnp.sqrt(slope**2 + along_x**2))
  value = lax.stop_gradient(term)
  return value + (term - value) / length


def a_softmax(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
  margin: int = 4,
  lambda_base: Scalar = 1000.0,
  lambda_gamma: Scalar = 0.12,
  lambda_power: Scalar = 1.0,
  lambda_min: Scalar = 5.0,
  rescale_gradient: bool = False,
) -> Float[Array, 'B K']:
  """SphereFace: |x| (lambda c_y + psi) / (1 + lambda), the others |x| c_j.

  psi(theta) = (-1)^k cos(m theta) - 2 k for theta in [k pi / m, (k + 1) pi /
  m] decreases from 1 to 1 - 2 m. The gradient reaches the embedding by its
  length too, which is not normalised.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row, or -1 for none.
    norms: |x|, lengths of the raw embeddings.
    step: updates done, for `a_softmax_lambda`.
    params: unused.
    margin: m, a whole number from 1.
    lambda_base: see `a_softmax_lambda`, as the next three.
    lambda_gamma: see there.
    lambda_power: see there.
    lambda_min: see there.
    rescale_gradient: divide the gradient of |x| psi by the length N of its
      coefficients: by the embedding it is p w + q x, with p = psi'(c) and q =
      (psi - c psi') / |x|, and N = sqrt(p^2 + q^2). This is the gradient that
      the official layer gives the embeddings. To the class weights it gives
      x, as if there were no margin; here they get p / N times the part of x
      across w.

  Returns:
    Logits, float32.

  Raises:
    ValueError: norms or step are missing.

  References:
    Liu et al., SphereFace, 2017, https://arxiv.org/abs/1704.08063, section
    3.2; https://github.com/wy1iu/sphereface.
  """
  del params
  norms = required(norms, loss='a_softmax', keyword='norms')
  step = required(step, loss='a_softmax', keyword='step')
  norms, cosine = norms.astype(jnp.float32), cos_theta.astype(jnp.float32)
  target = is_target(cosine, labels)
  at_target = pick_targets(cosine, target)
  psi, slope = _psi(at_target, margin)
  term = norms * psi
  if rescale_gradient:
    term = _unit_coefficients(term, at_target, psi, slope, norms)
  weight = a_softmax_lambda(
    step,
    base=lambda_base,
    gamma=lambda_gamma,
    power=lambda_power,
    minimum=lambda_min,
  )
  mixed = (weight * norms * at_target + term) / (1.0 + weight)
  return jnp.where(target, mixed[:, None], norms[:, None] * cosine)
