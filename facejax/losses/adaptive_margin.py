"""AdaFace: a margin that follows the quality of the image."""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float, Int
from facejax.losses.angles import angle_of
from facejax.losses.targets import (
  Params,
  Scalar,
  Step,
  replace_targets,
  required,
  required_param,
)

# Of the authors' code: it keeps cosines and angles this far from their ends.
_EPSILON = 1e-3
_NORM_RANGE = (0.001, 100.0)
FIRST_NORM_MEAN = 20.0
FIRST_NORM_STD = 100.0


def adaface(
  cos_theta: Float[Array, 'B K'],
  labels: Int[Array, ' B'],
  *,
  norms: Float[Array, ' B'] | None = None,
  step: Step | None = None,
  params: Params | None = None,
  scale: Scalar = 64.0,
  margin: Scalar = 0.4,
  concentration: Scalar = 0.333,
) -> Float[Array, 'B K']:
  """Margin by quality: s (cos(theta_y - m z) - m (1 + z)) for the target.

  z = clip(h (|x| - mean) / std, -1, 1): the length of an embedding stands for
  the quality of its image. A poor image (z = -1) gets the margin of `arcface`,
  an average one (z = 0) that of `cosface`, a good one more of the latter. The
  angle theta - m z is clipped to 1e-3 .. pi - 1e-3 and the target's cosine to
  +-0.999, as in the authors' code, which clips the other cosines too.

  Args:
    cos_theta: cosine of embedding and class weights, -1 .. 1.
    labels: target column of each row, or -1 for none.
    norms: |x|, lengths of the raw embeddings; no gradient flows to them.
    step: unused.
    params: 'norm_mean' and 'norm_std', both [], see `update_norm_statistics`;
      the authors update them with a batch before it uses them.
    scale: s.
    margin: m, 0 .. 1.
    concentration: h.

  Returns:
    Logits, float32.

  Raises:
    ValueError: norms or their statistics are missing.

  References:
    Kim et al., AdaFace, 2022, https://arxiv.org/abs/2204.00964, section 3.3;
    https://github.com/mk-minchul/AdaFace, head.py.
  """
  del step
  norms = required(norms, loss='adaface', keyword='norms').astype(jnp.float32)
  mean = required_param(params, 'norm_mean', loss='adaface')
  std = required_param(params, 'norm_std', loss='adaface')
  deviation = (jnp.clip(norms, *_NORM_RANGE) - mean) / (std + _EPSILON)
  quality = jnp.clip(concentration * deviation, -1.0, 1.0)
  quality = lax.stop_gradient(quality)

  def psi(cosine):
    theta = angle_of(jnp.clip(cosine, -1.0 + _EPSILON, 1.0 - _EPSILON))
    theta = theta - margin * quality
    theta = jnp.clip(theta, _EPSILON, jnp.pi - _EPSILON)
    return jnp.cos(theta) - margin * (1.0 + quality)

  return scale * replace_targets(cos_theta, labels, psi)


def update_norm_statistics(
  stats: Mapping[str, Float[Array, '']],
  norms: Float[Array, ' B'],
  *,
  momentum: Scalar = 0.01,
) -> dict[str, Float[Array, '']]:
  """Running mean and deviation of the embeddings' lengths.

  Args:
    stats: 'norm_mean' and 'norm_std'; the first are 20 and 100.
    norms: |x| of the whole batch, over all devices; clipped to 0.001 .. 100.
    momentum: share of the new batch, 0 .. 1.

  Returns:
    Both after the batch, with the unbiased deviation (B - 1).

  Raises:
    ValueError: a batch of one has no deviation.

  References:
    https://github.com/mk-minchul/AdaFace, head.py.
  """
  if norms.shape[0] < 2:
    raise ValueError('adaface needs a batch of at least two images')
  norms = lax.stop_gradient(norms.astype(jnp.float32))
  norms = jnp.clip(norms, *_NORM_RANGE)
  batch = {'norm_mean': norms.mean(), 'norm_std': norms.std(ddof=1)}
  return {
    name: momentum * value + (1.0 - momentum) * stats[name]
    for name, value in batch.items()
  }
