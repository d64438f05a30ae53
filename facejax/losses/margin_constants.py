"""The constants of every margin loss: their defaults, types and ranges."""

import inspect
from collections.abc import Mapping
from typing import Any

from facejax.errors import UsageError
from facejax.losses.margins import MARGINS

# What every margin function takes; the rest of its keywords are constants.
_INPUTS = ('cos_theta', 'labels', 'norms', 'step', 'params')

# Just under pi / 2, where an added angle leaves no target above zero.
_MAX_ANGLE = 1.57
# Smallest and largest value; of one loss alone where that is named.
_RANGES = {
  'scale': (0.001, 10_000),
  'margin': (0, 1),
  'arcface.margin': (0, _MAX_ANGLE),
  'sub_center_arcface.margin': (0, _MAX_ANGLE),
  'a_softmax.margin': (1, 8),
  'm1': (0.1, 8),
  'm2': (0, _MAX_ANGLE),
  'm3': (0, 1),
  'lambda_base': (0, 1e6),
  'lambda_gamma': (0, 1e3),
  'lambda_power': (0, 10),
  'lambda_min': (0, 1e6),
  'concentration': (0, 10),
  'sub_centers': (1, 100),
}


def default_constants(name: str) -> dict[str, Any]:
  """The constants of a loss of `MARGINS`, with the defaults of its function."""
  parameters = inspect.signature(MARGINS[name]).parameters
  return {k: p.default for k, p in parameters.items() if k not in _INPUTS}


def is_number(value: Any, *, whole: bool = False) -> bool:
  """Whether a Python number (a whole one, if asked for) and no bool."""
  kinds = int if whole else (int, float)
  return isinstance(value, kinds) and type(value) is not bool


def _checked(name, key, value, default):
  """A constant as the type of its default, within its range."""
  where = f'loss.{key}={value!r}: {name}'
  if isinstance(default, bool):
    if not isinstance(value, bool):
      raise UsageError(f'{where} takes True or False')
    return value
  low, high = _RANGES.get(f'{name}.{key}', _RANGES[key])
  whole = isinstance(default, int)
  if not is_number(value, whole=whole) or not low <= value <= high:
    kind = 'a whole number' if whole else 'a number'
    raise UsageError(f'{where} takes {kind} of {low} to {high:.6g}')
  return value if whole else float(value)


def check_constants(
  name: str, constants: Mapping[str, Any]
) -> tuple[tuple[str, Any], ...]:
  """The constants that are given, as plain values.

  Args:
    name: a key of `MARGINS`.
    constants: by name; None means the function's default.

  Returns:
    (name, value) of all that are not None, sorted; bool, int or float as the
    default is.

  Raises:
    UsageError: a constant that the loss does not have, of another type or out
      of range, or two that exclude each other.
  """
  defaults = default_constants(name)
  given = sorted((k, x) for k, x in constants.items() if x is not None)
  for key, _ in given:
    if key not in defaults:
      has = ', '.join(sorted(defaults)) or 'no constants'
      raise UsageError(f'loss.{key}: {name} has none; it has {has}')
  checked = {k: _checked(name, k, x, defaults[k]) for k, x in given}
  if checked.get('easy') and checked.get('straight_through'):
    raise UsageError(
      'loss.easy: excludes loss.straight_through; switch one of them off'
    )
  return tuple(checked.items())
