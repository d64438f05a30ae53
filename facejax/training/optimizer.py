"""SGD with momentum, weight decay and freezing by rule, rate schedules."""

from collections.abc import Sequence

import jax.numpy as jnp
import optax

from facejax import trees
from facejax.array_typing import PyTree
from facejax.errors import UsageError


def make_schedule(
  kind: str,
  *,
  peak: float,
  total_steps: int,
  warmup_steps: int = 0,
  milestones: Sequence[int] = (),
  factor: float = 0.1,
) -> optax.Schedule:
  """The learning rate of every step.

  Args:
    kind: 'steps' multiplies by `factor` at each milestone, 'cosine' falls to
      zero along half a cosine, 'constant' stays.
    peak: rate after the warm-up.
    total_steps: length of the run, the warm-up included.
    warmup_steps: steps of linear rise from zero.
    milestones: steps, counted from the start of the run; 'steps' only.
    factor: of 'steps'.

  Returns:
    A function of the step.

  Raises:
    UsageError: an unknown kind, a warm-up longer than the run, or a milestone
      that is not after it.
  """
  if not 0 <= warmup_steps <= total_steps:
    raise UsageError(
      f'learning_rate.warmup_steps={warmup_steps} is not within '
      f'total_steps={total_steps}'
    )
  early = [step for step in milestones if step <= warmup_steps]
  if kind == 'steps' and early:
    raise UsageError(
      f'learning_rate.milestones: {early[0]} is not after the '
      f'{warmup_steps} steps of warm-up'
    )
  if kind == 'steps':
    main = optax.piecewise_constant_schedule(
      peak, {step - warmup_steps: factor for step in milestones}
    )
  elif kind == 'cosine':
    main = optax.cosine_decay_schedule(peak, max(1, total_steps - warmup_steps))
  elif kind == 'constant':
    main = optax.constant_schedule(peak)
  else:
    raise UsageError(
      f'learning_rate.kind={kind!r}: use steps, cosine or constant'
    )
  if not warmup_steps:
    return main
  rise = optax.linear_schedule(peak / warmup_steps, peak, warmup_steps - 1)
  return optax.join_schedules([rise, main], [warmup_steps])


def decay_weights(rules: trees.Rules) -> optax.GradientTransformation:
  """Adds rate * parameter to each gradient, the rate by the first rule.

  Args:
    rules: (regex over the name, rate); without a match a parameter does not
      decay.

  Returns:
    A stateless transformation that needs `params`.
  """

  def add(updates: PyTree, params: PyTree) -> PyTree:
    def decayed(name, update, param):
      rate = trees.first_match(rules, name, 0.0)
      return update + rate * param if rate else update

    return trees.map_named(decayed, updates, params)

  return optax.stateless(add)


def freeze(patterns: Sequence[str]) -> optax.GradientTransformation:
  """Sets the updates of the named parameters to zero."""
  rules = [(pattern, True) for pattern in patterns]

  def stop(updates: PyTree, params: PyTree) -> PyTree:
    del params
    return trees.map_named(
      lambda name, update: (
        jnp.zeros_like(update)
        if trees.first_match(rules, name, False)
        else update
      ),
      updates,
    )

  return optax.stateless(stop)


def make_optimizer(
  schedule: optax.Schedule,
  *,
  momentum: float = 0.9,
  nesterov: bool = False,
  weight_decay: trees.Rules = (),
  frozen: Sequence[str] = (),
) -> optax.GradientTransformation:
  """SGD as the face papers and Caffe run it.

  v <- momentum v + (g + decay w);  w <- w - rate v.

  Args:
    schedule: learning rate by step.
    momentum: 0 .. 1.
    nesterov: whether the step looks ahead.
    weight_decay: (regex over the name, rate), first match wins.
    frozen: regexes; matching parameters do not change at all.

  Returns:
    The transformation; its momentum leaves bear the parameters' names.
  """
  return optax.chain(
    decay_weights(weight_decay),
    optax.trace(momentum, nesterov),
    optax.scale_by_learning_rate(schedule),
    freeze(frozen),
  )
