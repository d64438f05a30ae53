"""Margin cross-entropy over identities that are split over the mesh.

Each device holds K / S rows of the class weights and sees the gathered batch
of embeddings; logits stay where their identities are. Of a row of the batch
cross the mesh: its embedding, its label, the largest logit and cosine, the sum
of exponentials, and the logit and cosine of its target. Back comes the
gradient of the embedding. docs/scaling.md counts the bytes.
"""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from facejax.array_typing import Array, Float, Int, Int32, Key
from facejax.losses.classification import Metrics, margin_logits
from facejax.losses.margin_loss import MarginLoss
from facejax.parallel import partial_fc
from facejax.parallel.mesh import AXES, num_shards

_NEVER = -jnp.inf

HeadParams = Mapping[str, Float[Array, '...']]


def padded_rows(num_identities: int, num_shards: int) -> int:
  """Rows of the class weights: K rounded up to a multiple of the shards."""
  return -(-num_identities // num_shards) * num_shards


def bytes_exchanged(
  batch_size: int, embedding_size: int, *, sampled: bool = False
) -> int:
  """Bytes of what a step's collective operations put together, K or not.

  4 B (2 D + 6): embeddings and their gradient, and of each row the label, two
  maxima and three sums; 4 B more for the labels where rows are sampled. Each
  device sends and receives about that much, twice for the five reduced ones.

  Args:
    batch_size: B, global.
    embedding_size: D.
    sampled: whether it is Partial FC.
  """
  return 4 * batch_size * (2 * embedding_size + 6 + int(sampled))


def _columns(labels, sampled, shard_rows, axes):
  """Where each label stands among this shard's columns, and whose they are."""
  first = lax.axis_index(axes) * shard_rows
  local = labels - first
  if sampled is None:
    here = (local >= 0) & (local < shard_rows)
    return jnp.where(here, local, -1), first + jnp.arange(shard_rows)
  place = jnp.searchsorted(sampled, local)
  place = jnp.minimum(place, sampled.shape[0] - 1)
  here = jnp.take(sampled, place) == local
  return jnp.where(here, place, -1), first + sampled


def _shard_loss(
  embeddings,
  labels,
  head,
  sampled,
  stats,
  step,
  *,
  margin_loss,
  num_identities,
  shard_rows,
  axes,
  other_axes,
):
  """Loss and metrics on one device, both of the whole batch."""
  embeddings = lax.all_gather(embeddings, axes, tiled=True)
  labels = lax.all_gather(labels, axes, tiled=True)
  columns, identities = _columns(labels, sampled, shard_rows, axes)
  real = (identities < num_identities)[None, :]
  logits, cos_theta = margin_logits(
    embeddings, columns, head, margin_loss=margin_loss, stats=stats, step=step
  )
  logits = jnp.where(real, logits, _NEVER)
  is_target = columns[:, None] == jnp.arange(len(identities))[None, :]
  others = jnp.where(real & ~is_target, lax.stop_gradient(cos_theta), -1.0)
  # The maximum only guards the exponential: no gradient flows through it.
  peak, hardest = lax.pmax(
    jnp.stack([lax.stop_gradient(logits).max(1), others.max(1)]), axes
  )

  def of_target(values):
    return jnp.where(is_target, values, 0.0).sum(1)

  normalizer, target_logit, target = lax.psum(
    jnp.stack(
      [
        jnp.exp(logits - peak[:, None]).sum(1),
        of_target(logits),
        of_target(lax.stop_gradient(cos_theta)),
      ]
    ),
    axes,
  )
  loss = (peak + jnp.log(normalizer) - target_logit).mean()
  metrics = {
    'accuracy': (target >= hardest).mean(dtype=jnp.float32),
    'target_cosine': target.mean(),
    'hardest_cosine': hardest.mean(),
  }
  return (
    lax.pmean((loss, metrics), other_axes)
    if other_axes
    else (
      loss,
      metrics,
    )
  )


def sampled_cross_entropy(
  embeddings: Float[Array, 'B D'],
  labels: Int[Array, ' B'],
  head: HeadParams,
  sampled: Int32[Array, ' Sk'] | None,
  *,
  margin_loss: MarginLoss,
  num_identities: int,
  mesh: Mesh,
  axes: Sequence[str] = AXES,
  stats: Mapping[str, Float[Array, '']] | None = None,
  step: int | Int[Array, ''] = 0,
) -> tuple[Float[Array, ''], Metrics]:
  """`margin_cross_entropy` of rows that have been sampled already.

  Args:
    embeddings: see there, like all that follow.
    labels: identities, 0 .. K - 1.
    head: of the sampled rows, from `partial_fc.take_rows`; of all if `sampled`
      is None.
    sampled: from `partial_fc.sample_rows`.
    margin_loss: the loss.
    num_identities: K.
    mesh: the device mesh.
    axes: mesh axes that split the identities.
    stats: running statistics of the loss.
    step: updates done.
  """
  whole = PartitionSpec()
  batch, split = PartitionSpec(mesh.axis_names), PartitionSpec(tuple(axes))
  shards = num_shards(mesh, axes)
  rows = padded_rows(num_identities, shards)
  shard_loss = functools.partial(
    _shard_loss,
    margin_loss=margin_loss,
    num_identities=num_identities,
    shard_rows=rows // shards,
    axes=tuple(axes),
    other_axes=tuple(a for a in mesh.axis_names if a not in axes),
  )
  head_specs = {name: split if x.ndim else whole for name, x in head.items()}
  return jax.shard_map(
    shard_loss,
    mesh=mesh,
    in_specs=(batch, batch, head_specs, split, whole, whole),
    out_specs=whole,
  )(
    embeddings,
    labels,
    dict(head),
    sampled,
    dict(stats or {}),
    jnp.asarray(step, jnp.int32),
  )


def margin_cross_entropy(
  embeddings: Float[Array, 'B D'],
  labels: Int[Array, ' B'],
  head: HeadParams,
  *,
  margin_loss: MarginLoss,
  num_identities: int,
  mesh: Mesh,
  axes: Sequence[str] = AXES,
  stats: Mapping[str, Float[Array, '']] | None = None,
  step: int | Int[Array, ''] = 0,
  sample_rate: float = 1.0,
  key: Key | None = None,
) -> tuple[Float[Array, ''], Metrics]:
  """`losses.classification.margin_cross_entropy`, split by identity.

  Equal to the dense loss in value and gradient, to float rounding, at a
  sample rate of 1. Where `axes` are not all of the mesh, the batch is split
  over the others too, and the gradient of the class weights is summed over
  them.

  Args:
    embeddings: raw embeddings, the batch split over all axes of the mesh.
    labels: identities, 0 .. K - 1, split like the embeddings.
    head: 'class_weights' [R, D] or [R, C, D] and what the loss learns beside
      them, arrays with R = `padded_rows(K, S)` rows split over `axes` and
      scalars; rows from K on belong to nobody and take no part.
    margin_loss: from `losses.margin_loss.make_margin_loss`.
    num_identities: K.
    mesh: the device mesh.
    axes: mesh axes that split the identities.
    stats: running statistics of the loss.
    step: updates done, for margins that depend on it.
    sample_rate: share of the identities that the softmax runs over (Partial
      FC), 0 < rate <= 1; those of the batch are always among them.
    key: of the sample; needed below a rate of 1.

  Returns:
    The mean loss over the global batch, and the metrics of the dense loss,
    over the sample.
  """
  sampled = None
  if sample_rate < 1:
    shards = num_shards(mesh, axes)
    sampled = partial_fc.sample_rows(
      labels,
      key,
      rate=sample_rate,
      num_identities=num_identities,
      shard_rows=padded_rows(num_identities, shards) // shards,
      mesh=mesh,
      axes=axes,
    )
    arrays = {name: x for name, x in head.items() if x.ndim}
    taken = partial_fc.take_rows(arrays, sampled, mesh=mesh, axes=axes)
    head = {**head, **taken}
  return sampled_cross_entropy(
    embeddings,
    labels,
    head,
    sampled,
    margin_loss=margin_loss,
    num_identities=num_identities,
    mesh=mesh,
    axes=axes,
    stats=stats,
    step=step,
  )
