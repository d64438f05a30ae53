"""The pure training step, and how it is compiled."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from facejax import trees
from facejax.array_typing import Array, Int32, PyTree
from facejax.parallel import mesh as mesh_lib
from facejax.training.gradients import (
  DROPOUT,
  SAMPLE,
  Batch,
  Metrics,
  accumulated_gradients,
  step_key,
)
from facejax.training.learner import Learner
from facejax.training.state import TrainState, split_head

TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


def _hold(learner: Learner, new: PyTree, old: PyTree) -> PyTree:
  """Takes the old statistics of frozen layers."""
  rules = [(pattern, True) for pattern in learner.frozen]
  return trees.map_named(
    lambda name, fresh, kept: (
      kept if trees.first_match(rules, name, False) else fresh
    ),
    new,
    old,
  )


def _take_sampled(
  learner: Learner, tree: PyTree, sampled: Int32[Array, ' Sk']
) -> PyTree:
  """A tree in which what has a row an identity holds the sampled rows."""
  taken = learner.head.take(_per_identity(tree), sampled)
  return trees.map_named(lambda name, leaf: taken.get(name, leaf), tree)


def _put_sampled(
  learner: Learner, tree: PyTree, new: PyTree, sampled: Int32[Array, ' Sk']
) -> PyTree:
  """The new tree, whole again: rows that were not sampled are the old ones."""
  put = learner.head.put(_per_identity(tree), _per_identity(new), sampled)
  return trees.map_named(lambda name, leaf: put.get(name, leaf), new)


def _per_identity(tree: PyTree) -> dict[str, Any]:
  """By name, the leaves that have a row for each identity."""
  rules = [(mesh_lib.PER_IDENTITY, True)]
  return {
    name: leaf
    for name, leaf in trees.named_leaves(tree).items()
    if trees.first_match(rules, name, False)
  }


def _moving_average(
  learner: Learner, state: TrainState, params: PyTree
) -> PyTree:
  """The average after a step; it starts short, so as to forget the start."""
  if not learner.ema_decay:
    return state.ema
  step = state.step.astype(jnp.float32)
  decay = jnp.minimum(learner.ema_decay, (1 + step) / (10 + step))
  net, _ = split_head(params)
  return optax.incremental_update(net, state.ema, 1 - decay)


def _norms(gradients: PyTree, updates: PyTree, params: PyTree) -> Metrics:
  """Lengths of the net's vectors, and of the head's gradient.

  The head may have more rows than a step can read, so its others are left out.
  """
  (gradient, head), (update, _), (param, _) = (
    split_head(tree) for tree in (gradients, updates, params)
  )
  return {
    'gradient_norm': optax.tree.norm(gradient),
    'head_gradient_norm': optax.tree.norm(head),
    'update_norm': optax.tree.norm(update),
    'parameter_norm': optax.tree.norm(param),
  }


def step_gradients(
  learner: Learner, state: TrainState, batch: Batch
) -> tuple[TrainState, Int32[Array, ' Sk'] | None, tuple]:
  """What a step knows before it changes anything.

  Returns:
    The state as the optimiser sees it, in which class weights and momentum may
    be the sampled rows alone; the sample, None without; and gradient,
    statistics and metrics of the batch, of the same structure.
  """
  head, sampled = learner.head, None
  if head.sample_rate < 1:
    key = step_key(learner, state.step, SAMPLE)
    sampled = head.sample(batch['label'], key)
  if head.updates_sample_alone:
    state = state.replace(
      params=_take_sampled(learner, state.params, sampled),
      opt_state=_take_sampled(learner, state.opt_state, sampled),
    )
  found = accumulated_gradients(
    learner,
    state.params,
    state,
    batch,
    sampled,
    step_key(learner, state.step, DROPOUT),
  )
  return state, sampled, found


def make_train_step(learner: Learner) -> TrainStep:
  """Builds the step; it is pure, and stays on the devices.

  Returns:
    (state, batch) -> (state, metrics): those of `MarginHead.loss`, the loss,
    learning rate and margin, and the norms of `_norms`. With a hash layer also
    'classification_loss', the loss without the hash losses, and those of
    `HashObjective.loss` and `bit_statistics`; 'embedding_norm' is then of what
    the classifier sees.
  """

  def train_step(state: TrainState, batch: Batch):
    seen, sampled, found = step_gradients(learner, state, batch)
    gradients, batch_stats, metrics = found
    updates, opt_state = learner.tx.update(
      gradients, seen.opt_state, seen.params
    )
    params = optax.apply_updates(seen.params, updates)
    if learner.head.updates_sample_alone:
      params = _put_sampled(learner, state.params, params, sampled)
      opt_state = _put_sampled(learner, state.opt_state, opt_state, sampled)
    new_state = TrainState(
      step=state.step + 1,
      params=params,
      batch_stats=_hold(learner, batch_stats, state.batch_stats),
      opt_state=opt_state,
      ema=_moving_average(learner, state, params),
    )
    return new_state, {
      **metrics,
      **_norms(gradients, updates, seen.params),
      **learner.head.margin_loss.settings(state.step),
      'learning_rate': jnp.asarray(learner.schedule(state.step), jnp.float32),
    }

  return train_step


def compile_step(
  train_step: TrainStep, mesh: Mesh, state_shardings: PyTree
) -> Callable:
  """Jits a step with the state donated and everything where it lives."""
  batch = mesh_lib.batch_sharding(mesh)
  return jax.jit(
    train_step,
    in_shardings=(state_shardings, {'image': batch, 'label': batch}),
    out_shardings=(state_shardings, mesh_lib.replicated(mesh)),
    donate_argnums=0,
  )
