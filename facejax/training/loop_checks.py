"""What a config must satisfy before anything is built from it."""

import functools
import math
import operator
from typing import Any

from ml_collections import ConfigDict

from facejax.errors import UsageError
from facejax.models.face_net import COMPUTE_FIELDS
from facejax.parallel.head import INITIALIZERS
from facejax.parallel.mesh import AXES
from facejax.training.loop_round_config import check_rounds

_LEAST = {
  'seed': 0,
  'total_steps': 1,
  'log_every_steps': 1,
  'data.batch_size': 1,
  'data.num_workers': 0,
  'micro_batches': 1,
  'loss.warmup_steps': 0,
  'ternary.from_step': -1,
  'checkpoint.every_steps': 1,
  'checkpoint.keep': 1,
}
_MAX_SEED = 2**32 - 1


def _field(config: ConfigDict, name: str) -> Any:
  """The value of a field by its dotted name."""
  return functools.reduce(operator.getitem, name.split('.'), config)


def _check(good: bool, name: str, value: Any, use: str) -> None:
  if not good:
    raise UsageError(f'{name}={value!r}: use {use}')


def _is_sequence(value: Any, size: int | None = None) -> bool:
  return isinstance(value, (tuple, list)) and size in (None, len(value))


def _is_rule(value: Any, kind: type | tuple[type, ...]) -> bool:
  """Whether a value is (regex, value of this kind)."""
  return (
    _is_sequence(value, 2)
    and isinstance(value[0], str)
    and isinstance(value[1], kind)
  )


def data_paths(config: ConfigDict) -> list[str]:
  """The prepared sets that `data.path` names.

  Raises:
    UsageError: none, an empty name, or one twice.
  """
  paths = [path.strip() for path in config.data.path.split(',')]
  if paths == ['']:
    raise UsageError(
      '--config.data.path: name a prepared data set (launch.prepare_data)'
    )
  use = 'folders separated by commas, each once'
  good = all(paths) and len(set(paths)) == len(paths)
  _check(good, 'data.path', config.data.path, use)
  return paths


def _check_weights(config: ConfigDict) -> None:
  """Raises UsageError unless there is none, or a positive one for each set."""
  weights = config.data.weights
  good = _is_sequence(weights) and all(
    type(weight) in (int, float) and 0 < weight < math.inf for weight in weights
  )
  use = "positive numbers, one for each folder of data.path, such as '(3, 1)'"
  _check(good, 'data.weights', weights, use)
  if weights and len(weights) != len(data_paths(config)):
    raise UsageError(
      f'data.weights={weights!r}: {len(weights)} for '
      f'{len(data_paths(config))} folders of data.path={config.data.path!r}: '
      'give one for each'
    )


def _check_model(config: ConfigDict) -> None:
  """Raises UsageError for models and images that cannot be."""
  for name in ('model.image_size', 'data.crop'):
    value = _field(config, name)
    good = _is_sequence(value, 2) and all(
      isinstance(side, int) and side > 0 for side in value
    )
    _check(good, name, value, "height and width, such as '(112, 112)'")
  for name in COMPUTE_FIELDS:
    if name in config.model:
      raise UsageError(
        f'model.{name}: says how to compute, not what the model is: it belongs '
        "to no recipe's model (config.dtype sets the type)"
      )
  # A field that recipes need not name: every architecture has a default.
  channels = config.model.get('image_channels', 3)
  use = '3 for RGB or 1 for grey'
  _check(channels in (1, 3), 'model.image_channels', channels, use)


def _check_head(config: ConfigDict) -> None:
  """Raises UsageError for a head, or an average, that cannot be."""
  head = config.head
  good = 0 < head.sample_rate <= 1
  _check(good, 'head.sample_rate', head.sample_rate, 'above 0, up to 1')
  _check(
    not head.dense_momentum or head.sample_rate < 1,
    'head.dense_momentum',
    head.dense_momentum,
    'it with head.sample_rate below 1: all rows move in any case at 1',
  )
  use = ' or '.join(INITIALIZERS)
  good = head.initializer in INITIALIZERS
  _check(good, 'head.initializer', head.initializer, use)
  good = (
    _is_sequence(head.axes)
    and len(set(head.axes)) == len(head.axes) > 0
    and set(head.axes) <= set(AXES)
  )
  use = f"axes of the mesh, such as {AXES} or ('model',)"
  _check(good, 'head.axes', head.axes, use)
  good = 0 <= config.ema_decay < 1
  _check(good, 'ema_decay', config.ema_decay, '0 or more, below 1')
  clip = config.optimizer.clip_norm
  _check(0 <= clip < math.inf, 'optimizer.clip_norm', clip, '0 or more')


def _check_best(config: ConfigDict) -> None:
  """Raises UsageError for a best model that nothing measures."""
  name, best_is = config.checkpoint.best_metric, config.checkpoint.best_is
  _check(best_is in ('max', 'min'), 'checkpoint.best_is', best_is, 'max or min')
  measured = [f'evaluation/{evaluator}/' for evaluator in config.evaluators]
  if name and not any(name.startswith(prefix) for prefix in measured):
    known = ', '.join(prefix + '...' for prefix in measured)
    raise UsageError(
      f'checkpoint.best_metric={name!r}: '
      + (f'use {known}' if known else 'the recipe has no evaluators')
    )


def check_config(config: ConfigDict) -> None:
  """Refuses values that no run can have.

  The command line lets any tuple take the place of another, so what tuples
  hold is looked at too.

  Raises:
    UsageError: names the field, its value and what to use.
  """
  for name, least in _LEAST.items():
    value = _field(config, name)
    _check(value >= least, name, value, f'{least} or more')
  _check(config.seed <= _MAX_SEED, 'seed', config.seed, f'up to {_MAX_SEED}')
  _check_model(config)
  for name, kind, use in (
    ('weight_decay', (int, float), '((REGEX, RATE), ...)'),
    ('rate_multipliers', (int, float), '((REGEX, FACTOR), ...)'),
    ('ternary.rules', str, '((REGEX, GRANULARITY), ...)'),
  ):
    value = _field(config, name)
    good = _is_sequence(value) and all(_is_rule(rule, kind) for rule in value)
    _check(good, name, value, use)
  for name, kind, use in (
    ('frozen', str, '(REGEX, ...)'),
    ('learning_rate.milestones', int, '(STEP, ...)'),
  ):
    value = _field(config, name)
    good = _is_sequence(value) and all(isinstance(x, kind) for x in value)
    _check(good, name, value, use)
  _check_weights(config)
  _check_head(config)
  _check_best(config)
  check_rounds(config)
  if config.ternary.from_step >= config.total_steps:
    raise UsageError(
      f'ternary.from_step={config.ternary.from_step} is not before '
      f'total_steps={config.total_steps}: the run would never be ternary'
    )
