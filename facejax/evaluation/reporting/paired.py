"""Paired comparison: are two models different on the same images?

Two models that are measured on the same pairs make many of the same errors.
What they differ in says more than two intervals that overlap.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import special

from facejax.array_typing import Bool
from facejax.errors import UsageError
from facejax.evaluation.all_pairs import comparison as all_pairs_comparison

Measurements = Mapping[str, np.ndarray]

DECISIONS = 'correct_'  # and the mode: bool [P], whether a pair was right
_RIGHT = 'right_'  # and the way to search: bool [Q], whether a mate was found
_DRAWS = 10_000


def compare_shares(
  first: Bool[np.ndarray, ' P'],
  second: Bool[np.ndarray, ' P'],
  *,
  seed: int = 0,
) -> dict[str, Any]:
  """How the shares of right decisions of two models differ.

  McNemar's exact test looks at the pairs that only one of them decides
  rightly: if the models are equally good, a fair coin says which one. The
  interval is that of a bootstrap over pairs, drawn by the counts of pairs
  that only one, only the other, or both or none decide rightly, which is the
  same and costs nothing. Pairs that share people are not independent, so the
  true interval is wider.

  Args:
    first: bool [P], whether the first model decides each pair rightly.
    second: bool [P], the same of the second.
    seed: of the bootstrap.

  Returns:
    `difference` of the shares, first minus second, its `interval_95`,
    `share_above_0` of the draws, `only_first_right`, `only_second_right` and
    `mcnemar_p`, all JSON values.

  References:
    Q. McNemar, Note on the Sampling Error of the Difference between
    Correlated Proportions or Percentages, 1947.
  """
  only_first = int((first & ~second).sum())
  only_second = int((second & ~first).sum())
  differing = only_first + only_second
  count = len(first)
  counts = np.array([only_first, only_second, count - differing])
  draws = np.random.default_rng(seed).multinomial(count, counts / count, _DRAWS)
  differences = (draws[:, 0] - draws[:, 1]) / count
  low, high = np.quantile(differences, (0.025, 0.975))
  fewer = min(only_first, only_second)
  p_value = min(1.0, 2 * special.bdtr(fewer, differing, 0.5))
  return {
    'difference': (only_first - only_second) / count,
    'interval_95': [float(low), float(high)],
    'share_above_0': float((differences > 0).mean()),
    'only_first_right': only_first,
    'only_second_right': only_second,
    'mcnemar_p': float(p_value),
  }


def compare_decisions(
  first: Measurements, second: Measurements
) -> dict[str, dict[str, Any]]:
  """Compares two reports of one pair list, mode by mode.

  Args:
    first: measurements of a report: `same` bool [P] and, for every mode,
      `correct_MODE` bool [P].
    second: of another report of the same pairs in the same order.

  Returns:
    What `compare_shares` finds in each mode that both have.

  Raises:
    UsageError: the reports are of different pairs.
  """
  both = [name for name in first if name.startswith(DECISIONS)]
  both = [name for name in both if name in second]
  if both and not np.array_equal(first['same'], second['same']):
    raise UsageError(
      'the reports are of different pair lists: evaluate both models on one'
    )
  return {
    name.removeprefix(DECISIONS): compare_shares(first[name], second[name])
    for name in both
  }


def compare_ranks(
  first: Measurements, second: Measurements
) -> dict[str, dict[str, Any]]:
  """Compares two closed-set reports at rank 1.

  Args:
    first: measurements of a report: `probes`, names [Q], and `ranks` int [Q],
      1 where the mate is the best match; of several draws, the first.
    second: of another report.

  Returns:
    What `compare_shares` finds of the probes, or {} where there are none.

  Raises:
    UsageError: the reports are of different probes.
  """
  if 'ranks' not in first or 'ranks' not in second:
    return {}
  _check_probes(first, second)
  right = (each['ranks'] == 1 for each in (first, second))
  return {'rank 1': compare_shares(*right)}


def compare_two_stage(
  first: Measurements, second: Measurements
) -> dict[str, dict[str, Any]]:
  """Compares two reports of two-stage searches at rank 1.

  Args:
    first: measurements of a report: `probes`, names [Q], and bool [Q] that
      begin with `right_`, one for every way to search.
    second: of another report.

  Returns:
    What `compare_shares` finds of the probes in every way to search.

  Raises:
    UsageError: the reports are of different probes.
  """
  _check_probes(first, second)
  return {
    name.removeprefix(_RIGHT).replace('_', ' '): compare_shares(
      first[name], second[name]
    )
    for name in first
    if name.startswith(_RIGHT) and name in second
  }


def _check_probes(first: Measurements, second: Measurements) -> None:
  """Refuses reports of different probes."""
  if not np.array_equal(first['probes'], second['probes']):
    raise UsageError(
      'the reports are of different probes: evaluate both models on one split'
    )


_PAIR_LISTS = (
  'lfw',
  'agedb30',
  'cfp_ff',
  'cfp_fp',
  'calfw',
  'cplfw',
  'pairs',
)
# By protocol: measurements of two reports to JSON values, rows of columns by
# name; differences are first minus second, and {} says that nothing can be
# compared. Values that are no rows are remarks.
Comparer = Callable[[Measurements, Measurements], dict[str, Any]]
COMPARERS: dict[str, Comparer] = {
  **dict.fromkeys(_PAIR_LISTS, compare_decisions),
  'lfw_closed': compare_ranks,
  'lfw_two_stage': compare_two_stage,
  'lfw_all': all_pairs_comparison.compare,
  'folder': all_pairs_comparison.compare,
}
