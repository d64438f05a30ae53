"""SGD with momentum, decay, rates and freezing by rule, rate schedules."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from facejax import trees
from facejax.array_typing import PyTree
from facejax.errors import UsageError
from facejax.training.state import join_head, split_head


def make_schedule(
  kind: str,
  *,
  peak: float,
  total_steps: int,
  warmup_steps: int = 0,
  milestones: Sequence[int] = (),
  factor: float = 0.1,
  power: float = 1.0,
) -> optax.Schedule:
  """The learning rate of every step.

  Args:
    kind: 'steps' multiplies by `factor` at each milestone, 'poly' falls to
      zero as (1 - progress) ** power, a straight line at power 1, 'cosine'
      along half a cosine; 'constant' stays.
    peak: rate after the warm-up.
    total_steps: length of the run, the warm-up included.
    warmup_steps: steps of linear rise from zero.
    milestones: steps, counted from the start of the run; 'steps' only.
    factor: of 'steps'.
    power: of 'poly'.

  Returns:
    A function of the step.

  Raises:
    UsageError: an unknown kind, a warm-up longer than the run, a milestone
      that is not after it, or a power that is not positive.
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
  if not power > 0:
    raise UsageError(f'learning_rate.power={power}: use a positive number')
  falling_steps = max(1, total_steps - warmup_steps)
  if kind == 'steps':
    main = optax.piecewise_constant_schedule(
      peak, {step - warmup_steps: factor for step in milestones}
    )
  elif kind == 'cosine':
    main = optax.cosine_decay_schedule(peak, falling_steps)
  elif kind == 'poly':
    main = optax.polynomial_schedule(peak, 0.0, power, falling_steps)
  elif kind == 'constant':
    main = optax.constant_schedule(peak)
  else:
    raise UsageError(
      f'learning_rate.kind={kind!r}: use steps, poly, cosine or constant'
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


def clip_net(max_norm: float) -> optax.GradientTransformation:
  """Shortens the gradient of the net to a length; the head's is left alone.

  So do InsightFace's recipes (arcface_torch clips its backbone at 5).

  Args:
    max_norm: longest gradient; longer ones keep their direction.

  Returns:
    A stateless transformation.
  """

  def clip(updates: PyTree, params: PyTree) -> PyTree:
    del params
    net, head = split_head(updates)
    factor = jnp.minimum(1.0, max_norm / (optax.tree.norm(net) + 1e-6))
    return join_head(jax.tree.map(lambda x: x * factor, net), head)

  return optax.stateless(clip)


def scale_rates(multipliers: trees.Rules) -> optax.GradientTransformation:
  """Multiplies updates: learning rates of some layers against the common one.

  Args:
    multipliers: (regex over the name, factor), first match wins.

  Returns:
    A stateless transformation.
  """

  def scale(updates: PyTree, params: PyTree) -> PyTree:
    del params
    return trees.map_named(
      lambda name, update: update * trees.first_match(multipliers, name, 1.0),
      updates,
    )

  return optax.stateless(scale)


def make_optimizer(
  schedule: optax.Schedule,
  *,
  momentum: float = 0.9,
  nesterov: bool = False,
  clip_norm: float = 0.0,
  weight_decay: trees.Rules = (),
  rate_multipliers: trees.Rules = (),
  frozen: Sequence[str] = (),
) -> optax.GradientTransformation:
  """SGD as the face papers and Caffe run it.

  v <- momentum v + (g + decay w);  w <- w - rate v.

  Args:
    schedule: learning rate by step.
    momentum: 0 .. 1.
    nesterov: whether the step looks ahead.
    clip_norm: longest gradient of the net, see `clip_net`; 0 clips none.
    weight_decay: (regex over the name, rate), first match wins.
    rate_multipliers: (regex over the name, factor of the learning rate), first
      match wins.
    frozen: regexes; matching parameters do not change at all.

  Returns:
    The transformation; its momentum leaves bear the parameters' names.
  """
  return optax.chain(
    *([clip_net(clip_norm)] if clip_norm else []),
    decay_weights(weight_decay),
    optax.trace(momentum, nesterov),
    optax.scale_by_learning_rate(schedule),
    *([scale_rates(rate_multipliers)] if rate_multipliers else []),
    freeze(frozen),
  )
