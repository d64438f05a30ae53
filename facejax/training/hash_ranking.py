"""The loss of a hash layer that is to order faces as their embeddings do."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float
from facejax.ops.norms import l2_normalize


def sign_with_tanh_slope(u: Float[Array, 'B L']) -> Float[Array, 'B L']:
  """+1 where u > 0, else -1; the gradient is that of tanh(u)."""
  soft = jnp.tanh(u)
  return soft + lax.stop_gradient(jnp.where(u > 0, 1.0, -1.0) - soft)


def code_similarities(
  u: Float[Array, 'Q L'], v: Float[Array, 'G L']
) -> tuple[Float[Array, 'Q G'], Float[Array, 'Q G']]:
  """Cosines of embeddings as codes tell them, in the large and near zero.

  Of random hyperplanes, E h.h' / L = 2 / pi arcsin(cosine) and
  E u.h' / (||u|| sqrt(L)) = sqrt(2 / pi) cosine; both slopes are undone.

  Args:
    u: logits of the probes.
    v: logits of the gallery.

  Returns:
    S = pi / 2 h(u).h(v) / L, of codes with codes, and A = sqrt(pi / 2)
    u.h(v) / (||u|| sqrt(L)), of logits with codes.
  """
  bits = u.shape[1]
  stored = sign_with_tanh_slope(v)
  symmetric = (math.pi / 2 / bits) * (sign_with_tanh_slope(u) @ stored.T)
  asymmetric = math.sqrt(math.pi / 2 / bits) * (l2_normalize(u) @ stored.T)
  return symmetric, asymmetric


def ranking_loss(
  logits: tuple[Float[Array, 'Q L'], Float[Array, 'G L']],
  cosines: Float[Array, 'Q G'],
  *,
  temperature: float | int,
  asymmetric_weight: float | int,
) -> Float[Array, '']:
  """The cross-entropy of rankings by code with rankings by embedding.

  mean_i -sum_j p_ij (log softmax_j(t S_ij) + w log softmax_j(t A_ij)),
  p_ij = softmax_j(t T_ij), with S and A of `code_similarities`.

  Args:
    logits: of probes and gallery.
    cosines: T, of their embeddings.
    temperature: t; the higher, the more the nearest faces count.
    asymmetric_weight: w.

  References:
    Hinton et al., Distilling the Knowledge in a Neural Network, 2015.
  """
  wanted = jax.nn.softmax(temperature * cosines)

  def cross_entropy(similarities: Array) -> Array:
    log = jax.nn.log_softmax(temperature * similarities)
    return -(wanted * log).sum(1).mean()

  symmetric, asymmetric = code_similarities(*logits)
  asymmetric_loss = asymmetric_weight * cross_entropy(asymmetric)
  return cross_entropy(symmetric) + asymmetric_loss
