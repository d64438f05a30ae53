"""The gradient of a batch, whole or in parts."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from facejax.array_typing import Array, Float, Int, Int32, PyTree
from facejax.compression import ternary
from facejax.data.preprocessing import normalize
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


def batch_gradients(
  learner: Learner,
  params: PyTree,
  state: TrainState,
  batch: Batch,
  sampled: Int32[Array, ' Sk'] | None,
  key: Any,
) -> tuple[PyTree, PyTree, Metrics]:
  """Gradient, statistics after the batch, and metrics of the loss."""
  images = normalize(batch['image'], learner.preprocessing)
  net_stats, head_stats = split_head(state.batch_stats)

  def apply(net, images, key):
    return learner.model.apply(
      {'params': net, 'batch_stats': net_stats},
      images,
      True,
      mutable=['batch_stats'],
      rngs={'dropout': key},
    )

  if learner.remat:
    apply = rematerialize(apply)

  def loss_of(params):
    net, head = split_head(params)
    embeddings, mutated = apply(
      quantised(learner, net, state.step), images, key
    )
    if sampled is not None and not learner.head.updates_sample_alone:
      head = learner.head.take(head, sampled)
    loss, metrics, stats = learner.head.loss(
      embeddings,
      batch['label'],
      head,
      stats=head_stats,
      step=state.step,
      sampled=sampled,
    )
    new_stats = join_head(mutated.get('batch_stats', {}), stats)
    return loss, (new_stats, {'loss': loss, **metrics})

  gradients, (new_stats, metrics) = jax.grad(loss_of, has_aux=True)(params)
  return gradients, new_stats, metrics


def accumulated_gradients(
  learner: Learner,
  params: PyTree,
  state: TrainState,
  batch: Batch,
  sampled: Int32[Array, ' Sk'] | None,
  key: Any,
) -> tuple[PyTree, PyTree, Metrics]:
  """`batch_gradients` of a batch that goes through the net in parts.

  Every part takes each `micro_batches`-th image, so that all devices keep
  their share of it and no image moves.
  """
  count = learner.micro_batches
  if count == 1:
    return batch_gradients(learner, params, state, batch, sampled, key)
  sharding = NamedSharding(learner.mesh, PartitionSpec(None, mesh_lib.AXES))

  def part(array):
    parts = array.reshape(-1, count, *array.shape[1:]).swapaxes(0, 1)
    return lax.with_sharding_constraint(parts, sharding)

  def add(carry, numbered):
    batch_stats, total = carry
    number, batch = numbered
    gradients, batch_stats, metrics = batch_gradients(
      learner,
      params,
      state.replace(batch_stats=batch_stats),
      batch,
      sampled,
      jax.random.fold_in(key, number),
    )
    return (
      batch_stats,
      jax.tree.map(jnp.add, total, (gradients, metrics)),
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
  gradients, metrics = jax.tree.map(lambda x: x / count, total)
  return gradients, batch_stats, metrics
