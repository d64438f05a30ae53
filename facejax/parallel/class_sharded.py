"""Margin cross-entropy over identities that are split over the mesh.

Each device holds K / S rows of the class weights and sees the gathered batch
of embeddings; logits stay where their identities are. Three scalars a row
cross the mesh: the largest logit, the sum of exponentials and the target.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from facejax.array_typing import Array, Float, Int
from facejax.losses.classification import cosines
from facejax.losses.margins import MarginFunction
from facejax.parallel.mesh import AXES

_NEVER = -jnp.inf


def padded_rows(num_identities: int, num_shards: int) -> int:
  """Rows of the class weights: K rounded up to a multiple of the shards."""
  return -(-num_identities // num_shards) * num_shards


def _shard_loss(
  embeddings, labels, class_weights, *, margin_function, num_identities, axes
):
  """Loss and accuracy on one device; both already summed over the mesh."""
  embeddings = lax.all_gather(embeddings, axes, tiled=True)
  labels = lax.all_gather(labels, axes, tiled=True)
  rows = class_weights.shape[0]
  first = lax.axis_index(axes) * rows
  local = labels - first
  here = (local >= 0) & (local < rows)
  local = jnp.where(here, local, -1)
  real = (first + jnp.arange(rows) < num_identities)[None, :]

  cos_theta = jnp.where(real, cosines(embeddings, class_weights), -1.0)
  logits = jnp.where(real, margin_function(cos_theta, local), _NEVER)
  # The maximum only guards the exponential: no gradient flows through it.
  peak = lax.pmax(lax.stop_gradient(logits).max(1, initial=_NEVER), axes)
  exponentials = jnp.exp(logits - peak[:, None]).sum(1)
  column = jnp.maximum(local, 0)[:, None]

  def target_of(values):
    chosen = jnp.take_along_axis(values, column, axis=1)[:, 0]
    return lax.psum(jnp.where(here, chosen, 0.0), axes)

  log_normalizer = peak + jnp.log(lax.psum(exponentials, axes))
  loss = (log_normalizer - target_of(logits)).mean()
  nearest = lax.pmax(lax.stop_gradient(cos_theta).max(1), axes)
  accuracy = (target_of(lax.stop_gradient(cos_theta)) >= nearest).mean()
  return loss, accuracy.astype(jnp.float32)


def margin_cross_entropy(
  embeddings: Float[Array, 'B D'],
  labels: Int[Array, ' B'],
  class_weights: Float[Array, 'R D'],
  *,
  margin_function: MarginFunction,
  num_identities: int,
  mesh: Mesh,
  axes: Sequence[str] = AXES,
) -> tuple[Float[Array, ''], Float[Array, '']]:
  """`losses.classification.margin_cross_entropy`, split by identity.

  Equal to the dense loss in value and gradient, to float rounding.

  Args:
    embeddings: raw embeddings, the batch split over `axes`.
    labels: identities, 0 .. K - 1, split like the embeddings.
    class_weights: R = `padded_rows(K, S)` rows, split over `axes`; rows from
      K on belong to nobody and take no part.
    margin_function: from `losses.margins`, its constants bound.
    num_identities: K.
    mesh: the device mesh.
    axes: mesh axes that split both the batch and the identities.

  Returns:
    The mean loss over the global batch and the share of rows whose nearest
    class is the label (a tie counts as right).
  """
  split = PartitionSpec(tuple(axes))
  shard_loss = functools.partial(
    _shard_loss,
    margin_function=margin_function,
    num_identities=num_identities,
    axes=tuple(axes),
  )
  return jax.shard_map(
    shard_loss,
    mesh=mesh,
    in_specs=(split, split, split),
    out_specs=(PartitionSpec(), PartitionSpec()),
  )(embeddings, labels, class_weights)
