"""The gradient of a batch, whole or in parts."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from facejax.array_typing import Array, Float, Int, Int32, PyTree
from facejax.compression import ternary
from facejax.data.preprocessing import normalize
from facejax.losses.hashing import BitMoments, bit_moments, bit_statistics
from facejax.models.face_net import FaceOutputs
from facejax.nn.rematerialization import rematerialize
from facejax.parallel import mesh as mesh_lib
from facejax.training.learner import Learner
from facejax.training.state import TrainState, join_head, split_head

Batch = dict[str, Any]  # image uint8 [B, H, W, 3], label int32 [B]
Metrics = dict[str, Float[Array, '']]

# What the keys of a step are for.
DROPOUT, SAMPLE = 0, 1


def step_key(learner: Learner, step: Int[Array, ''], purpose: int) -> Any:
  """The random key of a step for one of the purposes above."""
  key = jax.random.fold_in(jax.random.key(learner.seed), step)
  return jax.random.fold_in(key, purpose)


def quantised(learner: Learner, params: PyTree, step: Int[Array, '']) -> PyTree:
  """The parameters of the forward pass: ternary once their time has come."""
  schedule = learner.ternary_schedule
  if schedule is None:
    return params
  codes = ternary.ternarize_tree(params, schedule.rules)
  started = step >= schedule.from_step
  return jax.tree.map(
    lambda code, param: (
      param if code is param else jnp.where(started, code, param)
    ),
    codes,
    params,
  )


def _head_loss(
  learner: Learner,
  outputs: FaceOutputs,
  labels: Int[Array, ' B'],
  head: PyTree,
  head_stats: PyTree,
  step: Int[Array, ''],
  sampled: Int32[Array, ' Sk'] | None,
) -> tuple[Float[Array, ''], Metrics, PyTree]:
  """Loss of a net's outputs, its metrics, and the head's statistics after."""
  hashing = learner.hashing
  seen = outputs.embedding
  if hashing is not None:
    seen = hashing.classifier_input(*outputs, step)
  loss, metrics, stats = learner.head.loss(
    seen, labels, head, stats=head_stats, step=step, sampled=sampled
  )
  if hashing is not None:
    hash_loss, hash_metrics = hashing.loss(*outputs, step)
    metrics = {'classification_loss': loss, **metrics, **hash_metrics}
    loss = loss + hash_loss
  return loss, {'loss': loss, **metrics}, stats


def batch_gradients(
  learner: Learner,
  params: PyTree,
  state: TrainState,
  batch: Batch,
  sampled: Int32[Array, ' Sk'] | None,
  key: Any,
) -> tuple[PyTree, PyTree, tuple[Metrics, BitMoments | None]]:
  """Gradient, statistics after the batch, and what is known of the batch.

  Returns:
    The last is the metrics of the loss, and the moments of the bits where the
    net has a hash layer that is trained: all of it means over images.
  """
  images = normalize(batch['image'], learner.preprocessing)
  net_stats, head_stats = split_head(state.batch_stats)

  def apply(net, images, key):
    return learner.model.apply(
      {'params': net, 'batch_stats': net_stats},
      images,
      True,
      mutable=['batch_stats'],
      rngs={'dropout': key},
      method='outputs',
    )

  if learner.remat:
    apply = rematerialize(apply)

  def loss_of(params):
    net, head = split_head(params)
    outputs, mutated = apply(quantised(learner, net, state.step), images, key)
    if sampled is not None and not learner.head.updates_sample_alone:
      head = learner.head.take(head, sampled)
    loss, metrics, stats = _head_loss(
      learner,
      outputs,
      batch['label'],
      head,
      head_stats,
      state.step,
      sampled,
    )
    bits = None if learner.hashing is None else bit_moments(outputs.logits)
    new_stats = join_head(mutated.get('batch_stats', {}), stats)
    return loss, (new_stats, (metrics, bits))

  gradients, (new_stats, known) = jax.grad(loss_of, has_aux=True)(params)
  return gradients, new_stats, known


def _all_metrics(known: tuple[Metrics, BitMoments | None]) -> Metrics:
  """The metrics of a batch, those of its bits among them."""
  metrics, bits = known
  return metrics if bits is None else metrics | bit_statistics(bits)


def accumulated_gradients(
  learner: Learner,
  params: PyTree,
  state: TrainState,
  batch: Batch,
  sampled: Int32[Array, ' Sk'] | None,
  key: Any,
) -> tuple[PyTree, PyTree, Metrics]:
  """Gradient, statistics and metrics of a batch, through the net in parts.

  Every part takes each `micro_batches`-th image, so that all devices keep
  their share of it and no image moves. Of the losses only those over pairs of
  images, balance and independence of hash bits, are then of each part.
  """
  count = learner.micro_batches
  if count == 1:
    gradients, batch_stats, known = batch_gradients(
      learner, params, state, batch, sampled, key
    )
    return gradients, batch_stats, _all_metrics(known)
  sharding = NamedSharding(learner.mesh, PartitionSpec(None, mesh_lib.AXES))

  def part(array):
    parts = array.reshape(-1, count, *array.shape[1:]).swapaxes(0, 1)
    return lax.with_sharding_constraint(parts, sharding)

  def add(carry, numbered):
    batch_stats, total = carry
    number, batch = numbered
    gradients, batch_stats, known = batch_gradients(
      learner,
      params,
      state.replace(batch_stats=batch_stats),
      batch,
      sampled,
      jax.random.fold_in(key, number),
    )
    return (
      batch_stats,
      jax.tree.map(jnp.add, total, (gradients, known)),
    ), None

  parts = jax.tree.map(part, batch)
  first = jax.tree.map(lambda x: x[0], parts)
  shapes = jax.eval_shape(
    lambda: batch_gradients(learner, params, state, first, sampled, key)
  )
  zeros = jax.tree.map(
    lambda x: jnp.zeros(x.shape, x.dtype), (shapes[0], shapes[2])
  )
  (batch_stats, total), _ = lax.scan(
    add, (state.batch_stats, zeros), (jnp.arange(count), parts)
  )
  gradients, known = jax.tree.map(lambda x: x / count, total)
  return gradients, batch_stats, _all_metrics(known)
