"""The rates of a result as tables: parts that are alike side by side."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from facejax.evaluation.reporting.facts import find_facts
from facejax.evaluation.reporting.findings import Section

_NOT_REPEATED = ('Mode', 'Transductive')  # names and marks say them


@dataclasses.dataclass(frozen=True)
class RateTable:
  """Rates of parts that have most of them in common.

  Attributes:
    title: the name of the only part, or ''.
    sections: the parts, a column each; a single one has columns for
      thresholds too.
    labels: of the rates, a line each.
    facts: beside those of the whole result: what holds for all parts by '',
      and what holds for one by its name.
  """

  title: str
  sections: tuple[Section, ...]
  labels: tuple[str, ...]
  facts: Mapping[str, Mapping[str, str]]

  @property
  def has_intervals(self) -> bool:
    """Whether something has a 95 % interval."""
    return any(
      self._has(f'{what}interval') for what in ('', 'threshold_', 'far_')
    )

  @property
  def has_thresholds(self) -> bool:
    """Whether a rate has a threshold."""
    return self._has('threshold')

  @property
  def has_fars(self) -> bool:
    """Whether a rate has the false-accept rate of its threshold."""
    return self._has('far')

  def _has(self, what: str) -> bool:
    return any(
      getattr(rate, what) is not None
      for section in self.sections
      for rate in section.rates.values()
    )


def _are_alike(first: Section, second: Section) -> bool:
  """Whether two parts have most rates in common, as two modes have."""
  common = first.rates.keys() & second.rates.keys()
  return 2 * len(common) > len(first.rates.keys() | second.rates.keys())


def _facts(
  sections: Sequence[Section], known: Mapping[str, str]
) -> dict[str, dict[str, str]]:
  """What is not known of the whole result: of all parts, then of each."""
  found = {}
  for section in sections:
    facts = find_facts(section.values).items()
    found[section.name] = {
      label: text
      for label, text in facts
      if known.get(label) != text and label not in _NOT_REPEATED
    }
  first, *others = found.values()
  common = {
    label: text
    for label, text in first.items()
    if all(other.get(label) == text for other in others)
  }
  own = {
    name: {label: x for label, x in facts.items() if label not in common}
    for name, facts in found.items()
  }
  return {name: facts for name, facts in ({'': common} | own).items() if facts}


def _table(sections: Sequence[Section], known: Mapping[str, str]) -> RateTable:
  """A table of parts that are alike."""
  labels = dict.fromkeys(n for section in sections for n in section.rates)
  return RateTable(
    title=sections[0].name if len(sections) == 1 else '',
    sections=tuple(sections),
    labels=tuple(labels),
    facts=_facts(sections, known),
  )


def make_rate_tables(
  result: Mapping[str, Any], sections: Sequence[Section]
) -> list[RateTable]:
  """The parts of a result, neighbours that are alike in one table.

  Args:
    result: JSON values.
    sections: its parts, at least one.
  """
  groups: list[list[Section]] = []
  for section in sections:
    if groups and _are_alike(groups[-1][0], section):
      groups[-1].append(section)
    else:
      groups.append([section])
  known = find_facts(result)
  return [_table(group, known) for group in groups]
