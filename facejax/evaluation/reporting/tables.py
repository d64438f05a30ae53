"""Tables of several models: by protocol, joined, and of paired tests."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from facejax.evaluation.reporting import labels
from facejax.evaluation.reporting.comparison import Group, Row
from facejax.evaluation.reporting.headlines import headlines, main_rates
from facejax.evaluation.reporting.shares import Rate

_SMALLER_IS_BETTER = ('Equal error rate',)
_NOT_JOINED = (*_SMALLER_IS_BETTER, 'AUC')  # left to the protocol's own table
_COLUMNS = {
  'difference': 'Difference',
  'interval_95': '95 % interval',
  'share_above_0': 'Draws above 0',
  'only_first_right': 'Only the first right',
  'only_second_right': 'Only the second right',
  'mcnemar_p': "McNemar's p",
}


@dataclasses.dataclass(frozen=True)
class Cell:
  """A rate in a table.

  Attributes:
    rate: or None where it was not measured.
    best: whether no line has a better one.
    note: stands below, such as the mode.
  """

  rate: Rate | None
  best: bool = False
  note: str = ''


@dataclasses.dataclass(frozen=True)
class Table:
  """Rates of models.

  Attributes:
    columns: heads, each with what stands above it.
    lines: names of a line (model, mode, part) and its cells.
  """

  columns: tuple[tuple[str, str], ...]
  lines: tuple[tuple[tuple[str, ...], tuple[Cell, ...]], ...]


def _mark_best(cells: Sequence[Cell], label: str) -> list[Cell]:
  """Marks the best cells of a column, unless all are alike."""
  shares = [cell.rate.share for cell in cells if cell.rate]
  if len(shares) < 2 or len(set(shares)) == 1:
    return list(cells)
  smaller = label.startswith(_SMALLER_IS_BETTER)
  best = min(shares) if smaller else max(shares)
  return [
    dataclasses.replace(cell, best=cell.rate is not None)
    if cell.rate and cell.rate.share == best
    else cell
    for cell in cells
  ]


def _table(
  names: Sequence[tuple[str, ...]],
  columns: Sequence[tuple[str, str]],
  cells: Sequence[Sequence[Cell]],
) -> Table:
  """A table from its columns of cells."""
  marked = [
    _mark_best(column, label)
    for (_, label), column in zip(columns, cells, strict=True)
  ]
  lines = zip(*marked, strict=True)
  return Table(tuple(columns), tuple(zip(names, lines, strict=True)))


def _part_table(rows: Sequence[Row]) -> Table:
  """A line for every model and mode of a part."""
  columns = [
    ('', label)
    for label in dict.fromkeys(
      label for row in rows for label in main_rates(row.section.rates)
    )
  ]
  cells = [
    [Cell(row.section.rates.get(label)) for row in rows] for _, label in columns
  ]
  return _table([(row.name, row.mode_text) for row in rows], columns, cells)


def part_tables(group: Group) -> dict[str, Table]:
  """A table for every part of a protocol, by its name; '' of the only one."""
  rows: dict[str, list[Row]] = {}
  for row in group.rows:
    rows.setdefault(row.part, []).append(row)
  if len(rows) == 1:
    return {'': _part_table(group.rows)}
  return {part: _part_table(found) for part, found in rows.items()}


def _headline_rows(group: Group) -> dict[tuple[str, str], Row]:
  """The first row of every model and mode."""
  rows: dict[tuple[str, str], Row] = {}
  for row in group.rows:
    rows.setdefault((row.name, row.mode), row)
  return rows


def joined_table(groups: Sequence[Group]) -> Table | None:
  """A line for every model, with the first rates of every protocol.

  A model that some protocol shows in several modes has a line for each of
  them; otherwise its rates join, each with its mode where these differ.

  Returns:
    None of one protocol, whose own table says it all.
  """
  if len(groups) < 2:
    return None
  found = {group.protocol: _headline_rows(group) for group in groups}
  pairs = [list(rows) for rows in found.values()]
  several = any(len({n for n, _ in keys}) < len(keys) for keys in pairs)
  if not several:
    found = {
      protocol: {(name, ''): row for (name, _), row in rows.items()}
      for protocol, rows in found.items()
    }
  names = list(dict.fromkeys(key for rows in found.values() for key in rows))
  modes = {
    row.mode for rows in found.values() for row in rows.values() if not several
  }
  columns, cells = [], []
  for protocol, rows in found.items():
    first = next(iter(rows.values())).section
    for label in headlines(first):
      if label not in _NOT_JOINED:
        columns.append((labels.protocol_name(protocol), label))
        cells.append([_joined_cell(rows.get(n), label, modes) for n in names])
  return _table(names, columns, cells)


def _joined_cell(row: Row | None, label: str, modes: set[str]) -> Cell:
  """A rate with the mode it is of, if there are several."""
  if row is None or label not in row.section.rates:
    return Cell(None)
  rate = row.section.rates[label]
  return Cell(rate, note=row.mode if len(modes) > 1 else '')


def _signed(share: float) -> str:
  """A difference in points: '+0.41', '−0.40'."""
  return f'{100 * share:+.2f}'.replace('-', '−')


def _paired_text(key: str, value: Any) -> str:
  """A number of a paired test for people."""
  if value is None:
    return '–'
  if key == 'interval_95':
    low, high = (_signed(bound) for bound in value)
    return f'{low} … {high}%'
  if key.startswith('difference'):
    return f'{_signed(value)}%'
  if key.startswith('share'):
    return f'{value:.1%}'
  if isinstance(value, int):
    return f'{value:,}'
  return f'{value:.3g}' if isinstance(value, float) else str(value)


def paired_table(found: Mapping[str, Any], protocol: str) -> dict[str, Any]:
  """A paired test as heads, lines of text, and remarks.

  Args:
    found: of a group, with `difference_of`: columns by the name of a line;
      values that are no columns are remarks.
    protocol: what the lines are of depends on it.
  """
  pattern = labels.PAIRED.get(protocol, '{}')
  lines = found['difference_of']
  columns = {k: v for k, v in lines.items() if isinstance(v, Mapping)}
  heads = list(dict.fromkeys(key for line in columns.values() for key in line))
  return {
    'first': found['first'],
    'second': found['second'],
    'heads': [_COLUMNS.get(h, labels.words(h)) for h in heads],
    'lines': {
      pattern.format(name): [
        _paired_text(h, line[h]) if h in line else '' for h in heads
      ]
      for name, line in columns.items()
    },
    'remarks': {
      labels.words(key): _paired_text(key, value)
      for key, value in lines.items()
      if not isinstance(value, Mapping)
    },
  }
