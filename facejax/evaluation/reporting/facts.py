"""What a JSON result says about how it was measured, for people."""

from collections.abc import Mapping
from typing import Any

from facejax.evaluation.reporting import labels
from facejax.evaluation.reporting.shares import is_number, scientific


def fact_text(value: Any) -> str:
  """A JSON value for people."""
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  if isinstance(value, int):
    return f'{value:,}'
  if isinstance(value, float):
    return f'{value:.4g}'
  if isinstance(value, Mapping):
    return '; '.join(
      f'{labels.words(key)}: {fact_text(each)}' for key, each in value.items()
    )
  if isinstance(value, list | tuple):
    return ', '.join(fact_text(each) for each in value)
  return str(value)


def _text(key: str, value: Any) -> str:
  """The value of a fact; those that are words of ours are explained."""
  if key == 'protocol':
    return labels.protocol_name(str(value))
  if key in labels.WORD_FACTS:
    return labels.WORDS.get(value, fact_text(value).replace('_', ' '))
  if key == 'smallest_far' and is_number(value):
    return scientific(value)
  if key == 'date':
    return str(value).replace('T', ' ').replace('+00:00', ' UTC')
  return fact_text(value)


def is_unpublished(result: Mapping[str, Any]) -> bool:
  """Whether a result is of another set than the published one of its name."""
  return (
    result.get('official') is False
    and result.get('protocol') not in labels.ANY_SET
  )


def set_name(result: Mapping[str, Any]) -> str:
  """What a result is of where it is `official`: 'the published list'."""
  if result.get('split') not in labels.WHOLE_SPLITS:
    return labels.PUBLISHED
  return labels.WHOLE_SETS.get(result.get('protocol'), labels.PUBLISHED)


def find_facts(values: Mapping[str, Any]) -> dict[str, str]:
  """What was measured, and how, by label; what is not known is left out.

  Args:
    values: JSON values, of a whole result or of a part.
  """
  known = {
    key: values[key]
    for key in labels.FACTS
    if values.get(key) not in (None, {}, [], '')
  }
  if 'modes' in values:  # each of which is, or is not
    known.pop('transductive', None)
  if values.get('protocol') in labels.ANY_SET:
    known.pop('official', None)
  official = set_name(values)
  names = labels.FACTS | {'official': official[0].upper() + official[1:]}
  counts = {
    labels.COUNTS.get(key, f'Number of {labels.words(key)}'): fact_text(value)
    for key, value in values.items()
    if key.startswith('num_') and is_number(value)
  }
  return {
    names[key]: _text(key, value) for key, value in known.items()
  } | counts
