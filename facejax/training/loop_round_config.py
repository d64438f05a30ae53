"""What a config says of rounds: its settings, and the config of each round."""

import math

from ml_collections import ConfigDict

from facejax.errors import UsageError
from facejax.training.rounds import RoundSettings

HELD_OUT_KIND = 'identification'  # of an evaluator, which gives a loss too


def _refuse(name: str, value: object, use: str) -> UsageError:
  return UsageError(f'{name}={value!r}: use {use}')


def _is_positive(value: object) -> bool:
  return (
    isinstance(value, int | float)
    and not isinstance(value, bool)
    and 0 < value < math.inf
  )


def held_out_evaluator(config: ConfigDict) -> str:
  """The name of the evaluator that tells when a round overfits.

  Raises:
    UsageError: there is none of the right kind, or several and none is chosen.
  """
  known = [
    name
    for name, fields in config.evaluators.items()
    if fields.get('kind') == HELD_OUT_KIND
  ]
  wanted = config.rounds.evaluator
  if not known:
    raise UsageError(
      f'rounds.max_rounds={config.rounds.max_rounds}: held-out people tell '
      f'when a round ends: give config.evaluators one of kind {HELD_OUT_KIND!r}'
    )
  if wanted and wanted not in known:
    raise _refuse('rounds.evaluator', wanted, ' or '.join(known))
  if not wanted and len(known) > 1:
    raise _refuse('rounds.evaluator', wanted, ' or '.join(known))
  return wanted or known[0]


def held_out_loss(config: ConfigDict) -> str:
  """The name of the held-out loss among the metrics."""
  return f'evaluation/{held_out_evaluator(config)}/loss'


def _compared_metric(config: ConfigDict) -> tuple[str, str]:
  """The metric that rounds are compared by, and 'max' or 'min'."""
  if config.checkpoint.best_metric:
    return config.checkpoint.best_metric, config.checkpoint.best_is
  return f'evaluation/{held_out_evaluator(config)}/rank1', 'max'


def round_settings(config: ConfigDict) -> RoundSettings:
  """The rounds of a config that has been checked."""
  rounds = config.rounds
  metric, best_is = _compared_metric(config)
  return RoundSettings(
    max_rounds=rounds.max_rounds,
    min_improvement=float(rounds.min_improvement),
    metric=metric,
    best_is=best_is,
    rate_factors=tuple(map(float, rounds.rate_factors)),
    decay_factor=float(rounds.decay_factor),
  )


def _check_numbers(config: ConfigDict) -> None:
  """Raises UsageError for a number that no schedule can have."""
  rounds = config.rounds
  factors = rounds.rate_factors
  if not (
    isinstance(factors, tuple | list)
    and factors
    and all(map(_is_positive, factors))
  ):
    use = 'positive numbers, such as (0.1, 0.5)'
    raise _refuse('rounds.rate_factors', factors, use)
  if not _is_positive(rounds.decay_factor):
    use = 'a positive number'
    raise _refuse('rounds.decay_factor', rounds.decay_factor, use)
  if not 0 <= rounds.min_improvement < math.inf:
    raise _refuse('rounds.min_improvement', rounds.min_improvement, '0 or more')
  for name, least in (('max_rounds', 0), ('patience', 1)):
    if rounds[name] < least:
      raise _refuse(f'rounds.{name}', rounds[name], f'{least} or more')


def _check_period(config: ConfigDict, name: str) -> None:
  """Raises UsageError unless the held-out loss can be seen to rise."""
  every = config.evaluators[name].get('every_steps', 0)
  where = f'evaluators.{name}.every_steps={every}'
  if every < config.log_every_steps:
    raise UsageError(
      f'{where}: rounds compare it with the training loss, which is logged '
      f'every {config.log_every_steps} steps: use so many or more'
    )
  checks = config.total_steps // every
  if checks <= config.rounds.patience:
    raise UsageError(
      f'{where}: a round of {config.total_steps} steps has {checks} checks, '
      f'and overfitting shows after {config.rounds.patience + 1}: check more '
      'often, or lower rounds.patience'
    )


def check_rounds(config: ConfigDict) -> None:
  """Refuses rounds that cannot be; without rounds anything else is right.

  Raises:
    UsageError: names the field, its value and what to use.
  """
  _check_numbers(config)
  most = config.rounds.max_rounds
  if not most:
    return
  name = held_out_evaluator(config)
  _check_period(config, name)
  compared = _compared_metric(config)[0].split('/')[1]
  if not config.evaluators[compared].get('every_steps', 0):
    raise UsageError(
      f'evaluators.{compared}.every_steps=0: rounds keep the step where '
      'checkpoint.best_metric is best: measure it every so many steps'
    )
  if config.ternary.from_step > 0:
    raise UsageError(
      f'ternary.from_step={config.ternary.from_step}: rounds compare all their '
      'steps with each other: train them ternary from step 0 on, or float '
      '(-1) and in a run after them ternary (init_from)'
    )
  if config.seed + most > 2**32:
    raise _refuse('seed', config.seed, f'up to {2**32 - most}: a round adds 1')


def round_config(config: ConfigDict, number: int) -> ConfigDict:
  """The config of one round, which is an ordinary run.

  The rate falls by `learning_rate.power` from its peak to zero, whatever the
  kind that the recipe has by itself. What eases a fresh net into training is
  for round 0 alone: warm-ups, the annealing of A-Softmax, the rise of beta in
  hash codes. The order of the images is another one in every round.

  Args:
    config: with rounds, checked.
    number: of the round, from 0.
  """
  settings = round_settings(config)
  decay = settings.weight_decay_factor(number)
  changed = {
    'seed': config.seed + number,
    'rounds.max_rounds': 0,
    'learning_rate.kind': 'poly',
    'learning_rate.peak': (
      config.learning_rate.peak * settings.rate_factor(number)
    ),
    'learning_rate.milestones': (),
    'weight_decay': tuple(
      (pattern, rate * decay) for pattern, rate in config.weight_decay
    ),
    'checkpoint.best_metric': settings.metric,
    'checkpoint.best_is': settings.best_is,
  }
  if number:
    changed |= {
      'init_from': '',
      'learning_rate.warmup_steps': 0,
      'loss.warmup_steps': 0,
    }
    if config.loss.name == 'a_softmax':
      changed['loss.lambda_base'] = 0.0  # it is lambda_min throughout
    if config.hash.beta_final is not None:
      changed['hash.beta'] = config.hash.beta_final
  copy = config.copy_and_resolve_references()
  copy.update_from_flattened_dict(changed)
  return copy
