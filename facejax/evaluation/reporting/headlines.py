"""The rates that say most: what a page opens with, and what tables compare."""

import dataclasses
from collections.abc import Mapping, Sequence

from facejax.evaluation.reporting import labels
from facejax.evaluation.reporting.findings import Section
from facejax.evaluation.reporting.shares import Rate

_MAX_CARDS = 6
_SECONDARY = ('Equal error rate', 'AUC')  # left out of several parts


@dataclasses.dataclass(frozen=True)
class Card:
  """A headline number.

  Attributes:
    label: what it is.
    value: the number.
    lines: what stands below it.
  """

  label: str
  value: str
  lines: tuple[str, ...] = ()


def _of_family(rates: Mapping[str, Rate], beginning: str) -> list[str]:
  """Labels that begin with whole words; 'Rank 1' is not 'Rank 10'."""
  return [
    label
    for label in rates
    if (label == beginning or label.startswith(f'{beginning} '))
    and ', ' not in label
  ]


def main_rates(rates: Mapping[str, Rate]) -> list[str]:
  """Labels of the rates that models are compared by, the main one first."""
  return [
    label
    for beginning in labels.HEADLINES
    for label in _of_family(rates, beginning)
  ]


def _choose(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
  """Labels of a family that end in wanted rates, or else the last ones."""
  named = [
    label for rate in wanted for label in found if label.endswith(f' {rate}')
  ]
  others = [label for label in found if label not in named]
  missing = len(wanted) - len(named)
  chosen = {*named, *others[len(others) - min(missing, len(others)) :]}
  return [label for label in found if label in chosen]


def headlines(section: Section) -> list[str]:
  """Labels of the rates that say most, at most six, the first the main one."""
  wanted = labels.HEADLINES | labels.OWN_HEADLINES.get(section.key, {})
  chosen: list[str] = []
  for beginning, rates in wanted.items():
    found = _of_family(section.rates, beginning)
    chosen += _choose(found, rates) if rates else found
  return chosen[:_MAX_CARDS]


def _card(label: str, section: Section, *, named: bool) -> Card:
  """The card of a rate."""
  rate = section.rates[label]
  interval = rate.interval_text and f'95 %: {rate.interval_text}'
  lines = tuple(line for line in (rate.spread, interval, rate.note) if line)
  if named and section.name:
    label = f'{label}, {section.name}'
  return Card(label, rate.text, lines)


def make_cards(sections: Sequence[Section]) -> list[Card]:
  """Headline numbers: six of one part, or fewer of each of several."""
  if len(sections) == 1:
    (only,) = sections
    return [_card(label, only, named=False) for label in headlines(only)]
  cards = []
  for section in sections:
    chosen = [label for label in headlines(section) if label not in _SECONDARY]
    count = max(1, _MAX_CARDS // len(sections))
    cards += [_card(label, section, named=True) for label in chosen[:count]]
  return cards
