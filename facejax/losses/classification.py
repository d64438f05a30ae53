"""Cross-entropy of a margin loss over all identities, on one device."""

import jax
import jax.numpy as jnp

from facejax.array_typing import Array, Float, Int
from facejax.losses.margins import MarginFunction
from facejax.ops.norms import l2_normalize


def cosines(
  embeddings: Float[Array, 'B D'], class_weights: Float[Array, 'K D']
) -> Float[Array, 'B K']:
  """cos(theta) of every embedding with every class, float32 in -1 .. 1."""
  products = jnp.einsum(
    'bd,kd->bk',
    l2_normalize(embeddings.astype(jnp.float32)),
    l2_normalize(class_weights.astype(jnp.float32)),
  )
  return jnp.clip(products, -1.0, 1.0)


def margin_cross_entropy(
  embeddings: Float[Array, 'B D'],
  labels: Int[Array, ' B'],
  class_weights: Float[Array, 'K D'],
  *,
  margin_function: MarginFunction,
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """Mean softmax cross-entropy of the margin's logits, and the accuracy.

  Args:
    embeddings: raw embeddings; normalised here.
    labels: identities, 0 .. K - 1.
    class_weights: one row an identity; normalised here.
    margin_function: from `losses.margins`, its constants bound.

  Returns:
    The loss and the share of rows whose nearest class is the label, by the
    cosines without margin.
  """
  cos_theta = cosines(embeddings, class_weights)
  logits = margin_function(cos_theta, labels)
  log_probability = jax.nn.log_softmax(logits)
  loss = -jnp.take_along_axis(log_probability, labels[:, None], axis=1).mean()
  accuracy = (cos_theta.argmax(1) == labels).mean()
  return loss, accuracy.astype(jnp.float32)
