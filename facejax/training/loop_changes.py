"""Whether a run may go on by the recipe that it is given now."""

import json
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from facejax import files
from facejax.errors import CheckpointError, UsageError
from facejax.files import Path

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
  'head.axes',
  'remat',
  'rounds.max_rounds',
  'rounds.min_improvement',
)


def flatten(value: Any, prefix: str = '') -> dict[str, Any]:
  """Values of nested dicts by dotted name."""
  if not isinstance(value, dict):
    return {prefix: value}
  return {
    name: leaf
    for key, inner in value.items()
    for name, leaf in flatten(inner, f'{prefix}.{key}'.strip('.')).items()
  }


def _is_among(name: str, fields: Sequence[str]) -> bool:
  """Whether a field is one of some, or within one of them."""
  return any(name == field or name.startswith(field + '.') for field in fields)


def check_unchanged(
  config: ConfigDict,
  path: Path,
  steps_done: int,
  *,
  held: Sequence[str] = (),
) -> None:
  """Refuses to continue a run by another recipe than it was begun with.

  The result would be of neither recipe, and a run whose ternary steps were
  moved behind its back could call a model ternary that never was. Ternary
  training may still be added, or moved, where it lies ahead.

  Args:
    config: of the run that is to go on.
    path: the config.json of the run so far; nothing is checked without one.
    steps_done: by the run so far.
    held: fields that otherwise might change, and here may not.

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
  old, new = flatten(old), flatten(new)
  changed = [
    f'{name} was {old[name]!r} and is {value!r}'
    for name, value in new.items()
    if name in old
    and old[name] != value
    and (_is_among(name, held) or not _is_among(name, _FREE))
    and not (ahead and name.startswith('ternary.'))
  ]
  if changed:
    raise CheckpointError(
      f'the run in {path.parent} was begun by another recipe: '
      + '; '.join(changed)
      + ': restore these settings, or start anew in another workdir, from its '
      'model if need be (init_from)'
    )
