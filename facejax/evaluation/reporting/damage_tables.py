"""Rates under damage as tables: one for every kind."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from facejax.evaluation.reporting.labels import words
from facejax.evaluation.reporting.shares import (
  as_interval,
  percent_interval,
  scientific,
)
from facejax.evaluation.studies.degradations import DAMAGES

NEW_THRESHOLDS = 'with new thresholds'
# Heads of columns, with the keys of a rate and of its interval.
COLUMNS = (
  ('Accuracy', 'accuracy', ''),
  (NEW_THRESHOLDS, 'accuracy_new_thresholds', ''),
  ('TAR', 'tar', 'tar_interval_95'),
  ('FAR', 'far', 'far_interval_95'),
)


@dataclasses.dataclass(frozen=True)
class DamageTable:
  """Rates under damage of a kind.

  Attributes:
    title: 'Gaussian blur'.
    unit: what a level says.
    lines: by level, a text and its interval for every one of `COLUMNS`.
  """

  title: str
  unit: str
  lines: Mapping[str, tuple[tuple[str, str], ...]]


def _cells(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
  """The rates of a level."""
  return tuple(
    (f'{found[key]:.2%}', percent_interval(as_interval(found.get(interval))))
    for _, key, interval in COLUMNS
  )


def make_damage_tables(result: Mapping[str, Any]) -> list[DamageTable]:
  """A table for every kind of damage of a result.

  Args:
    result: JSON values; `robustness` and `robustness_of` are those of
      `Robustness.to_json`.
  """
  tables = []
  for kind, rows in result.get('robustness', {}).items():
    known = DAMAGES.get(kind)
    tables.append(
      DamageTable(
        title=known.title if known else words(kind),
        unit=known.unit if known else 'level',
        lines={f'{row["level"]:g}': _cells(row) for row in rows},
      )
    )
  return tables


def describe_damage(result: Mapping[str, Any]) -> tuple[str, ...]:
  """What was damaged, and the rates without damage, in two sentences.

  Args:
    result: JSON values; of one without damage there is nothing to say.
  """
  found = result.get('robustness_of')
  if found is None:
    return ()
  rates = ', '.join(
    f'{head} {text}'
    for (head, _, _), (text, _) in zip(
      COLUMNS, _cells(found['untouched']), strict=True
    )
    if head != NEW_THRESHOLDS
  )
  return (
    f'The second image of {found["num_pairs"]:,} pairs '
    f'({found["num_genuine"]:,} genuine) is damaged, in mode {found["mode"]}. '
    'All thresholds are those found without damage, that of TAR and FAR the '
    f'one of FAR {scientific(found["far"])}.',
    f'Without damage: {rates}.',
  )
