"""Several reports beside each other: one table, one page, paired tests."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from facejax.errors import UsageError
from facejax.evaluation.reporting import labels
from facejax.evaluation.reporting.facts import is_unpublished, set_name
from facejax.evaluation.reporting.findings import Section, find_sections
from facejax.evaluation.reporting.named_reports import Named, check_set
from facejax.evaluation.reporting.paired import COMPARERS


@dataclasses.dataclass(frozen=True)
class Row:
  """A line of a table: a model in a mode, or in a part of a protocol.

  Attributes:
    name: of the model.
    mode: how embeddings became scores.
    section: its rates; the name of the section where it is no mode.
  """

  name: str
  mode: str
  section: Section

  @property
  def part(self) -> str:
    """What the section is, beside its mode."""
    return '' if self.section.name == self.mode else self.section.name

  @property
  def mode_text(self) -> str:
    """The mode, marked if the test set itself shapes the features."""
    transductive = self.section.values.get('transductive')
    return f'{self.mode}, transductive' if transductive else self.mode


@dataclasses.dataclass(frozen=True)
class Group:
  """Reports of one protocol.

  Attributes:
    protocol: its name.
    title: of the first report.
    members: at least one.
    rows: of all reports, in their order.
    paired: what paired tests found of the first report and each other one.
  """

  protocol: str
  title: str
  members: tuple[Named, ...]
  rows: tuple[Row, ...]
  paired: tuple[dict[str, Any], ...]

  @property
  def modes(self) -> list[str]:
    """The modes that occur, each once."""
    return list(dict.fromkeys(row.mode for row in self.rows))


def _rows(member: Named) -> list[Row]:
  """Lines of a report."""
  result = member.report.result
  rows = []
  for section in find_sections(result):
    mode = section.values.get('mode', result.get('mode', ''))
    rows.append(Row(member.name, str(mode), section))
  if not rows:
    raise UsageError(f'{member.path} has no rate that could be compared')
  return rows


def _check_names(rows: Sequence[Row], protocol: str) -> None:
  """Refuses two lines that could not be told apart."""
  seen = set()
  for row in rows:
    key = row.name, row.mode, row.part
    if key in seen:
      raise UsageError(
        f'two reports of protocol {protocol} are of {row.name} in mode '
        f'{row.mode}: tell them apart by --names'
      )
    seen.add(key)


def _paired(members: Sequence[Named]) -> tuple[dict[str, Any], ...]:
  """Paired tests of the first report against each of the others."""
  first, *others = members
  compare = COMPARERS.get(first.protocol)
  found = []
  for other in others:
    both = first.report.measurements, other.report.measurements
    if compare is None or not all(both):
      continue
    rows = compare(*both)
    if rows:
      names = {'first': first.name, 'second': other.name}
      found.append(names | {'difference_of': rows})
  return tuple(found)


def make_groups(named: Sequence[Named]) -> list[Group]:
  """Puts reports of one protocol together.

  Raises:
    UsageError: no two are of one protocol, two of one protocol are of
      different sets, or two models have one name.
  """
  by_protocol: dict[str, list[Named]] = {}
  for each in named:
    by_protocol.setdefault(each.protocol, []).append(each)
  if max(map(len, by_protocol.values())) < 2:
    raise UsageError(
      'no two reports are of one protocol: ' + ', '.join(by_protocol)
    )
  groups = []
  for protocol, members in by_protocol.items():
    for other in members[1:]:
      check_set(members[0], other)
    rows = [row for member in members for row in _rows(member)]
    _check_names(rows, protocol)
    title = members[0].report.title
    groups.append(
      Group(protocol, title, tuple(members), tuple(rows), _paired(members))
    )
  return groups


def warnings(groups: Sequence[Group]) -> list[str]:
  """What must not be overlooked when the numbers are read."""
  found = []
  for group in groups:
    modes = {
      frozenset(row.mode for row in group.rows if row.name == name)
      for name in {row.name for row in group.rows}
    }
    name = labels.protocol_name(group.protocol)
    if len(modes) > 1:
      found.append(
        f'{name}: the models are in different modes '
        f'({", ".join(group.modes)}), which alone make up to half a point; '
        'compare lines of one mode'
      )
    results = [member.report.result for member in group.members]
    others = {set_name(result) for result in results if is_unpublished(result)}
    found += [f'{name}: not {wanted}' for wanted in sorted(others)]
  return found


def to_json(groups: Sequence[Group]) -> dict[str, Any]:
  """The comparison as JSON values, by protocol."""
  shown = {*labels.SHARES, *labels.FAMILIES, 'std', 'interval_95'}
  return {
    group.protocol: {
      'modes': group.modes,
      'rows': [
        {'model': row.name, 'mode': row.mode}
        | ({'part': row.part} if row.part else {})
        | {k: v for k, v in row.section.values.items() if k in shown}
        for row in group.rows
      ],
      'paired': list(group.paired),
    }
    for group in groups
  }
