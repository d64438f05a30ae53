"""A JSON result as what a page shows: the rates of its parts.

No protocol is known here. What a key means stands in the tables of `labels`; a
key that is in none of them is left to the raw JSON of the page.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from facejax.evaluation.reporting import labels
from facejax.evaluation.reporting.shares import (
  Rate,
  as_interval,
  is_number,
  scientific,
)

# What a mapping of a share holds beside it, by its key there.
_OWN = {
  'std': 'std',
  'interval': 'interval_95',
  'threshold': 'threshold',
  'far': 'far',
}
# What results hold of the thresholds of their first family.
_AT_THRESHOLDS = {
  'threshold': 'thresholds',
  'threshold_interval': 'threshold_intervals_95',
  'far': 'far_at_threshold',
  'far_interval': 'far_intervals_95',
}


@dataclasses.dataclass(frozen=True)
class Section:
  """A part of a result that has rates of its own, such as a mode.

  Attributes:
    name: what it is called; '' for a result that is of one thing.
    key: of the part, or the protocol.
    rates: in the order of a table, by label.
    values: the JSON values.
  """

  name: str
  key: str
  rates: Mapping[str, Rate]
  values: Mapping[str, Any]


def _note(value: Any, error: Any) -> str:
  """What else is to be said of a share."""
  if isinstance(value, Mapping) and is_number(value.get('mean_minus_std')):
    return f'mean − deviation {value["mean_minus_std"]:.2%}'
  return f'exact to {scientific(error)}' if is_number(error) else ''


def _rate(label: str, value: Any, **beside: Any) -> Rate | None:
  """A rate from a number, or from a mapping with one; None from the rest."""
  digits = beside.pop('digits', None)
  note = _note(value, beside.pop('error', None))
  if isinstance(value, Mapping):
    own = {what: value[key] for what, key in _OWN.items() if key in value}
    keys = [key for key in labels.VALUE_KEYS if is_number(value.get(key))]
    beside |= own
    value = value[keys[0]] if keys else None
  if not is_number(value):
    return None
  found: dict[str, Any] = {}
  for what, each in beside.items():
    if what.endswith('interval'):
      found[what] = as_interval(each)
    else:
      found[what] = float(each) if is_number(each) else None
  text = f'{value:.2%}' if digits is None else f'{value:.{digits}f}'
  return Rate(label, float(value), text, note=note, **found)


def _first(values: Mapping[str, Any], names: Iterable[str]) -> Any:
  """The value of the first of some keys that is there."""
  return next((values[name] for name in names if name in values), None)


def _beside(values: Mapping[str, Any], key: str) -> dict[str, Any]:
  """Deviation and interval that stand beside a key."""
  stems = [f'{key}_']
  if key in labels.SHORT:
    stems.append(f'{labels.SHORT[key]}_')
  if key == next((name for name in labels.MAIN if name in values), None):
    stems.append('')
  endings = {'std': ('std',), 'interval': ('interval_95', 'intervals_95')}
  return {
    what: _first(values, [stem + end for stem in stems for end in ends])
    for what, ends in endings.items()
  }


def _family_label(key: str, name: str) -> str:
  """The label of a rate of a family; numbers have commas."""
  return labels.FAMILIES[key].format(
    f'{int(name):,}' if name.isdecimal() else name
  )


def _family(values: Mapping[str, Any], key: str) -> Iterator[Rate | None]:
  """The rates of a mapping such as `tar_at_far`."""
  family = values.get(key)
  if not isinstance(family, Mapping):
    return
  beside = _beside(values, key)
  if key == next((name for name in labels.SHORT if values.get(name)), None):
    beside |= {w: values.get(each) for w, each in _AT_THRESHOLDS.items()}
  elif key == 'tar_at_nearest_far':
    beside['far'] = values.get('nearest_fars')
  for name, value in family.items():
    own = {
      what: each.get(name) if isinstance(each, Mapping) else None
      for what, each in beside.items()
    }
    yield _rate(_family_label(key, name), value, **own)


def _cmc(values: Mapping[str, Any]) -> Iterator[Rate | None]:
  """Ranks of a CMC that have no key of their own."""
  shares, deviations = values.get('cmc'), values.get('cmc_std') or []
  if isinstance(shares, list):
    for rank in labels.CMC_RANKS:
      if f'rank{rank}' not in values and rank <= len(shares):
        std = deviations[rank - 1] if rank <= len(deviations) else None
        yield _rate(f'Rank {rank}', shares[rank - 1], std=std)


def _shares(
  values: Mapping[str, Any], keys: Iterable[str]
) -> Iterator[Rate | None]:
  """Rates that stand under keys of their own."""
  for key in keys:
    yield _rate(
      labels.SHARES[key],
      values.get(key),
      digits=labels.DIGITS.get(key),
      error=values.get(f'{key}_error'),
      **_beside(values, key),
    )


def find_rates(values: Mapping[str, Any]) -> dict[str, Rate]:
  """The rates that stand directly in JSON values, by label.

  Args:
    values: a result, or a part of one.
  """
  first = [key for key in labels.SHARES if key not in labels.LAST_SHARES]
  found = [*_shares(values, first), *_cmc(values)]
  for key in labels.FAMILIES:
    found += _family(values, key)
  found += _shares(values, labels.LAST_SHARES)
  return {rate.label: rate for rate in found if rate is not None}


def _find_parts(
  values: Mapping[str, Any], path: str, key: str
) -> Iterator[Section]:
  """A part if it has rates, then those in it; studies are none of them."""
  rates = find_rates(values)
  if rates:
    yield Section(path or labels.TOP.get(key, ''), key, rates, values)
  passed = {*labels.SHARES, *labels.FAMILIES, *labels.STUDIES}
  for inner, value in values.items():
    if isinstance(value, Mapping) and inner not in passed:
      names = filter(None, (path, labels.part_name(inner)))
      yield from _find_parts(value, ', '.join(names), inner)


def find_sections(result: Mapping[str, Any]) -> list[Section]:
  """All parts of a result that have rates, in their order.

  Args:
    result: JSON values.
  """
  return [*_find_parts(result, '', str(result.get('protocol', '')))]
