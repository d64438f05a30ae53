"""Rates of groups of people as tables: one for every attribute."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from facejax.evaluation.reporting.findings import Section
from facejax.evaluation.reporting.labels import words
from facejax.evaluation.reporting.shares import (
  as_interval,
  is_number,
  percent_interval,
)

Group = Mapping[str, Any]

HEADS = (
  'Images', 'Genuine', 'Impostors', 'Accuracy', 'Balanced accuracy', 'TAR',
  'FMR', 'FMR ratio',
)  # fmt: skip
_NO_RATE = '–'


@dataclasses.dataclass(frozen=True)
class GroupLine:
  """A group in a table.

  Attributes:
    name: of the group.
    cells: below `HEADS`, each a text and what stands below it.
    few: what there are too few pairs for, or ''.
  """

  name: str
  cells: tuple[tuple[str, str], ...]
  few: str


@dataclasses.dataclass(frozen=True)
class GroupTable:
  """The groups of an attribute.

  Attributes:
    attribute: its name.
    part: of the result, such as a mode, or ''.
    far: the rate whose threshold holds for all groups, '1e-2', or ''.
    lines: a group each, then pairs across groups.
    remarks: how far groups are apart, and what is unknown.
  """

  attribute: str
  part: str
  far: str
  lines: tuple[GroupLine, ...]
  remarks: tuple[str, ...]


def _common_far(groups: Sequence[Group]) -> str:
  """The smallest rate that half of the groups resolve or more, else any.

  With fewer impostor pairs than 1 / FAR, a group can have no false match, or
  too many.
  """
  fars = sorted((groups[0]['fmr_at_far'] if groups else {}), key=float)
  finest = [group['smallest_far'] for group in groups]
  for far in fars:
    resolved = sum(is_number(f) and f <= float(far) for f in finest)
    if 2 * resolved >= len(groups):
      return far
  return fars[-1] if fars else ''


def _percent(share: Any) -> str:
  """A share as text; a dash where it is not stated."""
  return f'{share:.2%}' if is_number(share) else _NO_RATE


def _count(value: Any) -> str:
  """A count as text; none of pairs across groups has one of images."""
  return f'{value:,}' if is_number(value) else ''


def _few(group: Group, far: str) -> str:
  """What a group has too few pairs for."""
  said = []
  if not group['num_genuine']:
    said.append('no genuine pairs')
  elif far and group['tar_at_far'][far] is None:
    said.append('few genuine pairs')
  finest = group['smallest_far']
  if not group['num_impostors']:
    said.append('no impostor pairs')
  elif far and (group['fmr_at_far'][far] is None or finest > float(far)):
    said.append('few impostor pairs')
  return ', '.join(said)


def _line(name: str, group: Group, far: str) -> GroupLine:
  """A group with its rates at the threshold of a rate."""

  def at(key: str) -> Any:
    return group[key].get(far)

  ratio = at('fmr_ratio_at_far')
  cells = (
    (_count(group.get('num_images')), ''),
    (_count(group['num_genuine']), ''),
    (_count(group['num_impostors']), ''),
    (
      _percent(group['accuracy']),
      percent_interval(as_interval(group['interval_95'])),
    ),
    (_percent(group['balanced_accuracy']), ''),
    (
      _percent(at('tar_at_far')),
      percent_interval(as_interval(at('tar_intervals_95'))),
    ),
    (
      _percent(at('fmr_at_far')),
      percent_interval(as_interval(at('fmr_intervals_95'))),
    ),
    (f'{ratio:.2f}' if is_number(ratio) else _NO_RATE, ''),
  )
  return GroupLine(name, cells, _few(group, far))


def _unknown_line(unknown: Group) -> GroupLine:
  """Pairs that count for no group."""
  counts = ('num_images', 'num_genuine', 'num_impostors')
  cells = [(_count(unknown.get(key)), '') for key in counts]
  cells += [('', '')] * (len(HEADS) - len(cells))
  return GroupLine('unknown', tuple(cells), 'in no group')


def _apart(what: str, spread: Group | None) -> Iterator[str]:
  """How far groups are apart in a rate."""
  if not spread or not spread['gap']:
    return
  text = (
    f'{what}: lowest of {spread["lowest"]}, highest of {spread["highest"]}, '
    f'{100 * spread["gap"]:.2f} points apart'
  )
  ratio = spread.get('max_to_min')
  yield f'{text}, {ratio:.2f} times as high' if is_number(ratio) else text


def _table(attribute: str, part: str, found: Group) -> GroupTable:
  """The groups of an attribute, those across them, and of nobody known."""
  groups = found['groups']
  far = _common_far([*groups.values()])
  lines = [_line(name, group, far) for name, group in groups.items()]
  if found['across']['num_pairs']:
    lines.append(_line('across groups', found['across'], far))
  if found['unknown']['num_pairs']:
    lines.append(_unknown_line(found['unknown']))
  spread = found['spread']
  remarks = (
    *_apart('Balanced accuracy', spread['balanced_accuracy']),
    *_apart('Refused genuine pairs', spread['fnmr_at_far'].get(far)),
    *_apart('FMR', spread['fmr_at_far'].get(far)),
  )
  return GroupTable(words(attribute), part, far, tuple(lines), remarks)


def make_group_tables(sections: Sequence[Section]) -> list[GroupTable]:
  """A table for every attribute of every part that has some.

  Args:
    sections: of a result; `attributes` are those of `rates_by_attribute`.
  """
  return [
    _table(attribute, section.name, found)
    for section in sections
    for attribute, found in section.values.get('attributes', {}).items()
  ]
