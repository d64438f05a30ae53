"""The page of a report: one HTML file that needs nothing else."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from facejax.evaluation.reporting.confused_words import (
  CONFUSED,
  OWN_CONFUSED,
)
from facejax.evaluation.reporting.curves import ConfusedPair
from facejax.evaluation.reporting.damage_tables import (
  COLUMNS,
  describe_damage,
  make_damage_tables,
)
from facejax.evaluation.reporting.facts import (
  find_facts,
  is_unpublished,
  set_name,
)
from facejax.evaluation.reporting.findings import find_sections
from facejax.evaluation.reporting.group_tables import HEADS, make_group_tables
from facejax.evaluation.reporting.headlines import make_cards
from facejax.evaluation.reporting.labels import protocol_name
from facejax.evaluation.reporting.pictures import DEGRADATION, Picture
from facejax.evaluation.reporting.rate_tables import make_rate_tables
from facejax.evaluation.reporting.templating import fill, to_json_text


@dataclasses.dataclass(frozen=True)
class ConfusedGroup:
  """Confused pairs of one kind.

  Attributes:
    title: of the part of the page.
    text: what they are.
    pairs: at least one.
  """

  title: str
  text: str
  pairs: tuple[ConfusedPair, ...]


def marks(result: Mapping[str, Any]) -> tuple[list[str], list[str]]:
  """What must not be overlooked: plain marks, and warnings."""
  badges = []
  if result.get('protocol'):
    badges.append(protocol_name(result['protocol']))
  if result.get('mode'):
    badges.append(f'mode {result["mode"]}')
  if result.get('official') is True:
    badges.append(set_name(result))
  modes = result.get('modes')
  modes = modes if isinstance(modes, Mapping) else {}
  transductive = [
    name
    for name, values in modes.items()
    if isinstance(values, Mapping) and values.get('transductive')
  ]
  said = {
    'transductive: the test set itself shapes the features': result.get(
      'transductive'
    ),
    f'transductive: {", ".join(transductive)}': transductive,
    f'not {set_name(result)}': is_unpublished(result)
    and not result.get('surrogate'),
    'a surrogate of the published split': result.get('surrogate'),
  }
  return badges, [text for text, holds in said.items() if holds]


def group_confused(
  pairs: Sequence[ConfusedPair], protocol: str, measure: str
) -> list[ConfusedGroup]:
  """Pairs by kind, impostors first; those without pictures are set apart."""
  groups = []
  words = OWN_CONFUSED.get(protocol, CONFUSED)
  for genuine, (title, text) in zip((False, True), words, strict=True):
    if measure:
      text = f'{text} Scores: {measure.replace("_", " ")}.'
    for shown in (True, False):
      found = tuple(
        pair
        for pair in pairs
        if pair.genuine == genuine and (pair.pictures is not None) == shown
      )
      if found:
        groups.append(ConfusedGroup(title, text, found))
  return groups


def _damage(
  result: Mapping[str, Any], drawn: Sequence[Picture]
) -> dict[str, Any] | None:
  """What the page shows of damaged images: figure, tables, and of what."""
  tables = make_damage_tables(result)
  pictures = [each for each in drawn if each.file_name == DEGRADATION]
  if not tables and not pictures:
    return None
  return {
    'sentences': describe_damage(result),
    'pictures': pictures,
    'heads': [head for head, _, _ in COLUMNS],
    'tables': tables,
  }


def report_page(
  result: Mapping[str, Any],
  title: str,
  drawn: Sequence[Picture],
  confused: Sequence[ConfusedPair],
  *,
  command: str | None = None,
) -> bytes:
  """The page of one report.

  Args:
    result: JSON values, as results.json holds them.
    title: stands above.
    drawn: its pictures.
    confused: its most confused pairs.
    command: the command line, if it is known.

  Returns:
    HTML in UTF-8, with all images in it and no script.
  """
  sections = find_sections(result)
  # A page of several modes shows the confused pairs of the first.
  measures = [s.values['measure'] for s in sections if 'measure' in s.values]
  measure = str(measures[0]) if measures else ''
  facts = find_facts(result)
  if command is not None:
    facts['Command'] = command
  badges, warnings = marks(result)
  return fill(
    'report.html',
    title=title,
    badges=badges,
    warnings=warnings,
    cards=make_cards(sections),
    rate_tables=make_rate_tables(result, sections),
    facts=facts,
    pictures=[each for each in drawn if each.file_name != DEGRADATION],
    group_heads=HEADS,
    group_tables=make_group_tables(sections),
    damage=_damage(result, drawn),
    confused=group_confused(confused, str(result.get('protocol', '')), measure),
    json=to_json_text(result),
  )
