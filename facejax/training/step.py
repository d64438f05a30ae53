"""The pure training step, and how it is compiled."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import Mesh

from facejax import trees
from facejax.array_typing import Array, Float, PyTree
from facejax.compression import ternary
from facejax.data.preprocessing import Preprocessing, normalize
from facejax.parallel import mesh as mesh_lib
from facejax.training.state import TrainState, split_head

Batch = dict[str, Any]  # image uint8 [B, H, W, 3], label int32 [B]
Metrics = dict[str, Float[Array, '']]
# (embeddings [B, D], labels [B], class weights [R, D], margin) -> loss,
# accuracy
LossFunction = Callable[..., tuple[Float[Array, ''], Float[Array, '']]]


@dataclasses.dataclass(frozen=True)
class TernarySchedule:
  """Which parameters of the model are trained ternary, and since when.

  Attributes:
    rules: (regex over the name, granularity), see `compression.ternary`.
    from_step: the first step whose forward pass is ternary.
  """

  rules: ternary.Rules
  from_step: int

  def active(self, steps_done: int) -> bool:
    """Whether at least one of the steps done was ternary."""
    return steps_done > self.from_step


def margin_warmup(
  margin: float, steps: int
) -> Callable[[Any], Float[Array, '']]:
  """A margin that rises linearly from zero over the first steps.

  From scratch, a full margin can keep the first steps from finding any
  direction at all.
  """

  def at(step):
    if steps <= 0:
      return jnp.float32(margin)
    return margin * jnp.clip(step.astype(jnp.float32) / steps, 0.0, 1.0)

  return at


def _hold(new: PyTree, old: PyTree, frozen: Sequence[str]) -> PyTree:
  """Takes the old statistics of frozen layers."""
  rules = [(pattern, True) for pattern in frozen]
  return trees.map_named(
    lambda name, fresh, kept: (
      kept if trees.first_match(rules, name, False) else fresh
    ),
    new,
    old,
  )


def make_train_step(
  model: nn.Module,
  tx: optax.GradientTransformation,
  *,
  loss_function: LossFunction,
  schedule: optax.Schedule,
  margin: Callable[[Any], Float[Array, '']],
  preprocessing: Preprocessing,
  ternary_schedule: TernarySchedule | None = None,
  frozen: Sequence[str] = (),
  seed: int = 0,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
  """Builds the step; it is pure, and stays on the devices.

  Args:
    model: maps normalised images to raw embeddings.
    tx: the optimiser.
    loss_function: of embeddings, labels, class weights and `margin=`.
    schedule: learning rate by step, for the metrics.
    margin: margin by step.
    preprocessing: the contract that normalises pixels.
    ternary_schedule: see there; None trains float.
    frozen: regexes of layers whose statistics are held; `tx` holds their
      parameters.
    seed: of dropout, with the step.

  Returns:
    (state, batch) -> (state, metrics): loss, accuracy, learning rate, margin
    and the norm of the gradient.
  """

  def quantised(params, step):
    if ternary_schedule is None:
      return params
    codes = ternary.ternarize_tree(params, ternary_schedule.rules)
    started = step >= ternary_schedule.from_step
    return jax.tree.map(
      lambda code, param: (
        param if code is param else jnp.where(started, code, param)
      ),
      codes,
      params,
    )

  def train_step(state: TrainState, batch: Batch):
    images = normalize(batch['image'], preprocessing)
    current_margin = margin(state.step)
    dropout_key = jax.random.fold_in(jax.random.key(seed), state.step)

    def loss_of(params):
      backbone, class_weights = split_head(params)
      variables = {
        'params': quantised(backbone, state.step),
        'batch_stats': state.batch_stats,
      }
      embeddings, mutated = model.apply(
        variables,
        images,
        True,
        mutable=['batch_stats'],
        rngs={'dropout': dropout_key},
      )
      loss, accuracy = loss_function(
        embeddings, batch['label'], class_weights, margin=current_margin
      )
      return loss, (accuracy, mutated['batch_stats'])

    (loss, (accuracy, batch_stats)), gradients = jax.value_and_grad(
      loss_of, has_aux=True
    )(state.params)
    updates, opt_state = tx.update(gradients, state.opt_state, state.params)
    new_state = TrainState(
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      batch_stats=_hold(batch_stats, state.batch_stats, frozen),
      opt_state=opt_state,
    )
    metrics = {
      'loss': loss,
      'accuracy': accuracy,
      'learning_rate': jnp.asarray(schedule(state.step), jnp.float32),
      'margin': current_margin,
      'gradient_norm': optax.tree.norm(gradients),
    }
    return new_state, metrics

  return train_step


def compile_step(
  train_step: Callable, mesh: Mesh, state_shardings: PyTree
) -> Callable:
  """Jits a step with the state donated and everything where it lives."""
  batch = mesh_lib.batch_sharding(mesh)
  return jax.jit(
    train_step,
    in_shardings=(state_shardings, {'image': batch, 'label': batch}),
    out_shardings=(state_shardings, mesh_lib.replicated(mesh)),
    donate_argnums=0,
  )


def deployed_rules(
  ternary_schedule: TernarySchedule | None, steps_done: int
) -> ternary.Rules | None:
  """The ternary rules of the model as it stands; None while it is float."""
  if ternary_schedule is None or not ternary_schedule.active(steps_done):
    return None
  return ternary_schedule.rules


def deployed_variables(
  state: TrainState, rules: ternary.Rules | None
) -> PyTree:
  """The variables as inference would run them.

  Args:
    state: with float masters.
    rules: `deployed_rules`.

  Returns:
    {'params', 'batch_stats'}, without the head; what the rules select is
    alpha * t.
  """
  backbone, _ = split_head(state.params)
  if rules is not None:
    backbone = ternary.ternarize_tree(backbone, rules)
  return {'params': backbone, 'batch_stats': state.batch_stats}
