"""What a config must satisfy before anything is built from it."""

import functools
import json
import math
import operator
from typing import Any

from ml_collections import ConfigDict

from facejax import files
from facejax.errors import CheckpointError, UsageError
from facejax.files import Path
from facejax.models.face_net import COMPUTE_FIELDS

_LEAST = {
  'seed': 0,
  'total_steps': 1,
  'log_every_steps': 1,
  'data.batch_size': 1,
  'data.num_workers': 0,
  'loss.warmup_steps': 0,
  'ternary.from_step': -1,
  'checkpoint.every_steps': 1,
  'checkpoint.keep': 1,
}
_MAX_SEED = 2**32 - 1
# Fields that leave the steps already done as they were.
_FREE = (
  'total_steps',
  'log_every_steps',
  'init_from',
  'data.path',  # the checksums of the data are compared instead
  'data.weights',  # and their ratio
  'data.calibration',
  'data.num_workers',
  'checkpoint',
  'evaluators',
  'mesh',
)


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
  if config.ternary.from_step >= config.total_steps:
    raise UsageError(
      f'ternary.from_step={config.ternary.from_step} is not before '
      f'total_steps={config.total_steps}: the run would never be ternary'
    )


def _flatten(value: Any, prefix: str = '') -> dict[str, Any]:
  """Values of nested dicts by dotted name."""
  if not isinstance(value, dict):
    return {prefix: value}
  return {
    name: leaf
    for key, inner in value.items()
    for name, leaf in _flatten(inner, f'{prefix}.{key}'.strip('.')).items()
  }


def _may_change(name: str) -> bool:
  return any(name == free or name.startswith(free + '.') for free in _FREE)


def check_unchanged(config: ConfigDict, path: Path, steps_done: int) -> None:
  """Refuses to continue a run by another recipe than it was begun with.

  The result would be of neither recipe, and a run whose ternary steps were
  moved behind its back could call a model ternary that never was. Ternary
  training may still be added, or moved, where it lies ahead.

  Args:
    config: of the run that is to go on.
    path: the config.json of the run so far; nothing is checked without one.
    steps_done: by the run so far.

  Raises:
    CheckpointError: names the fields with both values.
    UsageError: the run is longer already than `total_steps`.
  """
  if steps_done > config.total_steps:
    raise UsageError(
      f'total_steps={config.total_steps}: this run has done {steps_done} '
      'steps already; ask for more or choose another workdir'
    )
  if not path.exists():
    return
  old = files.read_json(path)
  new = json.loads(json.dumps(config.to_dict()))
  ahead = all(
    not 0 <= recipe.get('ternary', {}).get('from_step', -1) < steps_done
    for recipe in (old, new)
  )
  old, new = _flatten(old), _flatten(new)
  changed = [
    f'{name} was {old[name]!r} and is {value!r}'
    for name, value in new.items()
    if name in old
    and old[name] != value
    and not _may_change(name)
    and not (ahead and name.startswith('ternary.'))
  ]
  if changed:
    raise CheckpointError(
      f'the run in {path.parent} was begun by another recipe: '
      + '; '.join(changed)
      + ': restore these settings, or start anew in another workdir, from its '
      'model if need be (init_from)'
    )
