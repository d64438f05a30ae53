"""Cross-entropy of a margin loss over all identities, on one device."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float, Int
from facejax.losses.margin_loss import MarginLoss
from facejax.losses.margins import pool_sub_centers
from facejax.ops.norms import l2_normalize, squared_norm

Metrics = dict[str, Float[Array, '']]


def cosines(
  embeddings: Float[Array, 'B D'], class_weights: Float[Array, '*K D']
) -> Float[Array, 'B k']:
  """cos(theta) of every embedding with every class, float32 in -1 .. 1.

  The products are divided by the lengths of the class weights, so that no
  normalised copy of those is ever made.

  Args:
    embeddings: raw embeddings.
    class_weights: a row an identity, or [K, C, D] with C sub-centres of each.

  Returns:
    [B, K], or [B, K C] with the sub-centres of an identity side by side.
  """
  weights = class_weights.reshape(-1, class_weights.shape[-1])
  weights = weights.astype(jnp.float32)
  products = jnp.einsum(
    'bd,kd->bk', l2_normalize(embeddings.astype(jnp.float32)), weights
  )
  scaled = products * lax.rsqrt(squared_norm(weights))[None, :]
  return jnp.clip(scaled, -1.0, 1.0)


def margin_logits(
  embeddings: Float[Array, 'B D'],
  columns: Int[Array, ' B'],
  head: Mapping[str, Float[Array, '...']],
  *,
  margin_loss: MarginLoss,
  stats: Mapping[str, Float[Array, '']],
  step: int | Int[Array, ''],
) -> tuple[Float[Array, 'B K'], Float[Array, 'B K']]:
  """Logits with the margin, and the cosines without.

  Args:
    embeddings: raw embeddings.
    columns: the target of each row among these K identities, -1 for none.
    head: 'class_weights' and what else the loss learns, of these identities.
    margin_loss: see there.
    stats: its running statistics.
    step: updates done.

  Returns:
    Logits and cosines; of several sub-centres the nearest counts.
  """
  cos_theta = cosines(embeddings, head['class_weights'])
  learned = {name: x for name, x in head.items() if name != 'class_weights'}
  if not margin_loss.normalizes_weights:
    weights = head['class_weights'].astype(jnp.float32)
    learned['weight_norms'] = jnp.sqrt(squared_norm(weights))
  logits = margin_loss.logits(
    cos_theta,
    columns,
    norms=jnp.sqrt(squared_norm(embeddings.astype(jnp.float32))),
    step=step,
    params={**learned, **stats},
  )
  return logits, pool_sub_centers(cos_theta, margin_loss.sub_centers)


def margin_cross_entropy(
  embeddings: Float[Array, 'B D'],
  labels: Int[Array, ' B'],
  head: Mapping[str, Float[Array, '...']],
  *,
  margin_loss: MarginLoss,
  stats: Mapping[str, Float[Array, '']] | None = None,
  step: int | Int[Array, ''] = 0,
) -> tuple[Float[Array, ''], Metrics]:
  """Mean softmax cross-entropy of the margin's logits.

  Args:
    embeddings: raw embeddings; the loss normalises them if it is one that
      does.
    labels: identities, 0 .. K - 1.
    head: 'class_weights' [K, D], a row an identity ([K, C, D] with
      sub-centres), and what `margin_loss.init_params` names.
    margin_loss: from `losses.margin_loss.make_margin_loss`.
    stats: its running statistics, if it has any.
    step: updates done, for margins that depend on it.

  Returns:
    The loss and means over the batch: 'accuracy', the share of rows whose
    nearest class is the label, by the cosines without margin (a tie counts as
    right); 'target_cosine'; 'hardest_cosine', the largest of another class.
  """
  logits, cos_theta = margin_logits(
    embeddings,
    labels,
    head,
    margin_loss=margin_loss,
    stats=stats or {},
    step=step,
  )
  is_target = jax.nn.one_hot(labels, logits.shape[1], dtype=bool)
  log_probability = jax.nn.log_softmax(logits)
  loss = -jnp.where(is_target, log_probability, 0.0).sum(1).mean()
  target = jnp.where(is_target, cos_theta, 0.0).sum(1)
  hardest = jnp.where(is_target, -1.0, cos_theta).max(1)
  return loss, {
    'accuracy': (target >= hardest).mean(dtype=jnp.float32),
    'target_cosine': target.mean(),
    'hardest_cosine': hardest.mean(),
  }
