"""Losses and statistics of hash codes.

A hash layer gives logits u; bit k of a code is u_k > 0. The classifier and the
losses here see a relaxed code h of them, in -1 .. 1, through which gradients
flow. H is the batch of relaxed codes, B rows of L bits.

`hash_objective.HashObjective` binds what a recipe chooses of this.

References:
  spec 4.5; those of each function.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import xlogy

from facejax.array_typing import Array, Float
from facejax.losses.targets import Scalar, Step

# Product of the variances of two bits, below which one of them is constant.
_LEAST_VARIANCE = 1e-9


class BitMoments(NamedTuple):
  """First and second moments of a batch's bits, as +1 and -1.

  Those of a batch are the means of those of its equal parts, so
  `bit_statistics` is exact however a batch is divided.

  Attributes:
    mean: float32 [L], of each bit.
    products: float32 [L, L], mean products of bits.
  """

  mean: Any
  products: Any


def tanh_code(
  logits: Float[Array, 'B L'], beta: Scalar = 1.0
) -> Float[Array, 'B L']:
  """The relaxed code h = tanh(beta u), float32, nearer +-1 the larger beta.

  Args:
    logits: u, of any floating type.
    beta: above 0, may be traced, see `continuation`.

  References:
    Cao et al., HashNet: Deep Learning to Hash by Continuation, 2017,
    https://arxiv.org/abs/1702.00758, section 3.2.
  """
  return jnp.tanh(beta * logits.astype(jnp.float32))


@jax.custom_jvp
def sign_code(logits: Float[Array, 'B L']) -> Float[Array, 'B L']:
  """The code itself, +1 where u > 0, else -1; its gradient is the identity.

  The gradient is not cut off at |u| = 1, as binary nets have it: the
  quantisation loss holds |u| near 1, just where it would come and go.

  Args:
    logits: u, of any floating type.

  References:
    Su et al., Greedy Hash: Towards Fast Optimization for Accurate Hash Coding
    in CNN, 2018.
  """
  return jnp.where(logits > 0, 1.0, -1.0).astype(jnp.float32)


@sign_code.defjvp
def _sign_code_jvp(primals, tangents):
  (logits,), (tangent,) = primals, tangents
  return sign_code(logits), tangent.astype(jnp.float32)


def continuation(
  step: Step, *, start: Scalar, end: Scalar, total_steps: int
) -> Float[Array, '']:
  """The beta of a step, start sqrt(1 + gamma step), `end` at the last step.

  The square root is that of HashNet's authors, who write gamma = 0.005 and move
  beta each 200 steps; here gamma follows from the end, and beta moves at every
  step.

  Args:
    step: updates done, 0 at first.
    start: beta of the first step, above 0.
    end: beta of the last step; equal to `start`, beta is constant.
    total_steps: of the run, from 1.

  Returns:
    beta, float32.

  References:
    Cao et al., HashNet, 2017, section 3.2;
    https://github.com/thuml/HashNet, pytorch/src/network.py.
  """
  progress = jnp.asarray(step, jnp.float32) / max(1, total_steps - 1)
  progress = jnp.clip(progress, 0.0, 1.0)
  return start * jnp.sqrt(1.0 + ((end / start) ** 2 - 1.0) * progress)


def l2_quantization(code: Float[Array, 'B L']) -> Float[Array, '']:
  """mean_i (1 / L) sum_k (|h_ik| - 1)^2, the distance of h from +-1.

  Args:
    code: h, or u itself where h is a sign.

  References:
    Li et al., Feature Learning based Deep Supervised Hashing with Pairwise
    Labels (DPSH), 2016, https://arxiv.org/abs/1511.03855; here per bit.
  """
  return jnp.mean((jnp.abs(code) - 1.0) ** 2)


def l1_quantization(code: Float[Array, 'B L']) -> Float[Array, '']:
  """mean_i (1 / L) sum_k ||h_ik| - 1|.

  Args:
    code: h, or u itself where h is a sign.

  References:
    Liu et al., Deep Supervised Hashing for Fast Image Retrieval (DSH), 2016;
    here per bit.
  """
  return jnp.mean(jnp.abs(jnp.abs(code) - 1.0))


def bit_balance(code: Float[Array, 'B L']) -> Float[Array, '']:
  """mean_k (mean_i h_ik)^2: zero if every bit is set for half of the faces.

  Args:
    code: h.

  References:
    Weiss et al., Spectral Hashing, 2008, section 2, whose constraint
    sum_i h_i = 0 it relaxes to a penalty.
  """
  return jnp.mean(jnp.mean(code, axis=0) ** 2)


def bit_independence(code: Float[Array, 'B L']) -> Float[Array, '']:
  """||H^T H / B - I||_F^2 / L^2: zero if bits are +-1 and uncorrelated.

  B codes of L bits cannot reach zero if B < L: H^T H has rank B at most, and
  codes of +-1 then leave (L / B - 1) / L at least.

  Args:
    code: h.

  References:
    Weiss et al., Spectral Hashing, 2008, section 2, whose constraint
    H^T H / B = I it relaxes to a penalty.
  """
  size, bits = code.shape
  products = jnp.einsum('bk,bl->kl', code, code) / size
  return jnp.mean((products - jnp.eye(bits, dtype=products.dtype)) ** 2)


QUANTIZATIONS = {'l2': l2_quantization, 'l1': l1_quantization}


def bit_moments(logits: Float[Array, 'B L']) -> BitMoments:
  """The moments of the bits u > 0; no gradient flows.

  Args:
    logits: u.
  """
  bits = sign_code(lax.stop_gradient(logits))
  products = jnp.einsum('bk,bl->kl', bits, bits) / len(bits)
  return BitMoments(bits.mean(0), products)


def bit_statistics(moments: BitMoments) -> dict[str, Float[Array, '']]:
  """What the bits of a batch are worth.

  Args:
    moments: from `bit_moments`, or their mean over equal parts of a batch.

  Returns:
    With p_k the share of faces that set bit k: 'bit_balance', mean_k |2 p_k -
    1|, best at 0; 'bit_entropy', the mean of -p log2 p - (1 - p) log2(1 - p),
    best at 1; 'bit_correlation', the mean |Pearson correlation| of two bits,
    in which bits that never change count as 0. Independent bits have about
    0.8 / sqrt(B) of it, by chance.
  """
  mean, products = moments
  share = (1.0 + mean) / 2.0
  entropy = -(xlogy(share, share) + xlogy(1.0 - share, 1.0 - share))
  variance = 1.0 - mean**2
  scale = variance[:, None] * variance[None, :]
  moves = scale > _LEAST_VARIANCE
  covariance = products - mean[:, None] * mean[None, :]
  covariance = jnp.where(moves, covariance, 0.0)
  correlation = jnp.abs(covariance) * lax.rsqrt(jnp.where(moves, scale, 1.0))
  bits = mean.shape[0]
  others = correlation.sum() - jnp.trace(correlation)
  return {
    'bit_balance': jnp.abs(mean).mean(),
    'bit_entropy': entropy.mean() / jnp.log(2.0),
    'bit_correlation': others / max(1, bits * (bits - 1)),
  }
