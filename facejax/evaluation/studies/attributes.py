"""Rates of groups of people, at thresholds that are the same for all.

A system in use has one threshold. A threshold of its own would give every
group the same false-accept rate, and so hide what is to be seen, and it would
need to know the group of everybody who stands before the camera. So all rates
here are read at the thresholds of the whole set, the accuracy at those of the
folds.

In the words of NIST: the false non-match rate (FNMR) of a group is the share
of its genuine pairs that a threshold refuses, 1 - TAR; its false match rate
(FMR) is the share of accepted pairs of two different people who are both of
the group. Faces of one group are more alike than faces of two, so such pairs
are the harder ones, and an FMR of a group is mostly above that of the set.

References:
  P. Grother, M. Ngan, K. Hanaoka, Face Recognition Vendor Test Part 3:
  Demographic Effects, NISTIR 8280, 2019: one threshold, FMR within groups.
  P. Grother, Face Recognition Vendor Test Part 8: Summarizing Demographic
  Differentials, NISTIR 8429, 2022: largest over smallest rate, and largest
  over geometric mean. (There a score equal to the threshold is accepted, here
  it is refused.)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Int
from facejax.data.attributes import UNKNOWN, Attributes
from facejax.data.protocols import PairList
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.metrics import far_name
from facejax.evaluation.verification_result import Verification

MIN_PAIRS = 30  # a rate of fewer pairs is not stated

Rates = dict[str, Any]


def _share(
  hits: Bool[np.ndarray, ' P'], min_pairs: int
) -> tuple[float | None, list[float] | None]:
  """A share and its 95 % interval, or None of too few pairs."""
  if len(hits) < max(1, min_pairs):
    return None, None
  share = float(hits.mean())
  return share, list(wilson_interval(share, len(hits)))


def _counts(
  same: Bool[np.ndarray, ' P'], chosen: Bool[np.ndarray, ' P']
) -> dict[str, int]:
  """How many of the chosen pairs there are of each kind."""
  num_genuine = int((chosen & same).sum())
  num_pairs = int(chosen.sum())
  return {
    'num_pairs': num_pairs,
    'num_genuine': num_genuine,
    'num_impostors': num_pairs - num_genuine,
  }


def rates_of_pairs(
  result: Verification,
  chosen: Bool[np.ndarray, ' P'],
  *,
  min_pairs: int = MIN_PAIRS,
) -> Rates:
  """Rates of some pairs, at the thresholds of all.

  Args:
    result: of the whole list.
    chosen: bool [P], which pairs count.
    min_pairs: a rate of fewer pairs is None; the counts are always there.

  Returns:
    JSON values. `accuracy` is the share of the pairs that the thresholds of
    their folds decide rightly; `balanced_accuracy` the mean of that share over
    genuine and over impostor pairs, which does not depend on how many there
    are of each, as the comparison of groups must not. By the rate that a
    threshold has on the whole set: `tar_at_far`, `fnmr_at_far`, `fmr_at_far`
    and `fmr_ratio_at_far`, the FMR over that of all impostor pairs. Intervals
    are Wilson's, which take pairs as independent.
  """
  genuine, impostor = chosen & result.same, chosen & ~result.same
  right = (result.excess() > 0) == result.same
  counts = _counts(result.same, chosen)
  accuracy, interval = _share(right[chosen], min_pairs)
  kinds = [_share(right[kind], min_pairs)[0] for kind in (genuine, impostor)]
  rates: Rates = {
    **counts,
    'smallest_far': 1 / n if (n := counts['num_impostors']) else None,
    'accuracy': accuracy,
    'interval_95': interval,
    'balanced_accuracy': None if None in kinds else sum(kinds) / 2,
  }
  keys = (
    'tar_at_far', 'tar_intervals_95', 'fnmr_at_far', 'fmr_at_far',
    'fmr_intervals_95', 'fmr_ratio_at_far',
  )  # fmt: skip
  rates |= {key: {} for key in keys}
  for far, point in result.points.items():
    accepted = result.scores > point.threshold
    tar, tar_interval = _share(accepted[genuine], min_pairs)
    fmr, fmr_interval = _share(accepted[impostor], min_pairs)
    found = (
      tar,
      tar_interval,
      None if tar is None else 1 - tar,
      fmr,
      fmr_interval,
      fmr / point.far if fmr is not None and point.far else None,
    )
    for key, value in zip(keys, found, strict=True):
      rates[key][far_name(far)] = value
  return rates


def _spread(values: Mapping[str, float | None]) -> Rates | None:
  """Smallest and largest of what is known of the groups, and how far apart.

  Ratios are None where a rate is 0: with so few errors nothing can be said.
  """
  known = {name: value for name, value in values.items() if value is not None}
  if len(known) < 2:
    return None
  lowest, highest = min(known, key=known.get), max(known, key=known.get)
  spread = {
    'lowest': lowest,
    'highest': highest,
    'gap': known[highest] - known[lowest],
  }
  if known[lowest] > 0:
    mean = float(np.exp(np.log([*known.values()]).mean()))
    ratios = known[highest] / known[lowest], known[highest] / mean
  else:
    ratios = None, None
  keys = 'max_to_min', 'max_to_geometric_mean'
  return spread | dict(zip(keys, ratios, strict=True))


def _spreads(groups: Mapping[str, Rates], fars: Sequence[str]) -> Rates:
  """Spread over the groups of each rate; None where fewer than two have it."""

  def spread(rate: Callable[[Rates], float | None]) -> Rates | None:
    return _spread({name: rate(found) for name, found in groups.items()})

  balanced = spread(lambda found: found['balanced_accuracy'])
  if balanced is not None:
    balanced = {key: balanced[key] for key in ('lowest', 'highest', 'gap')}
  return {'balanced_accuracy': balanced} | {
    key: {far: spread(lambda found, k=key, f=far: found[k][f]) for far in fars}
    for key in ('fnmr_at_far', 'fmr_at_far')
  }


def rates_by_group(
  result: Verification,
  first: Int[np.ndarray, ' P'],
  second: Int[np.ndarray, ' P'],
  *,
  values: Sequence[str],
  min_pairs: int = MIN_PAIRS,
) -> Rates:
  """Rates of every group, of pairs across groups, and how groups differ.

  Args:
    result: of the whole list.
    first: int [P], group of the first image of a pair, -1 if unknown.
    second: int [P], of the second image.
    values: names of the V groups.
    min_pairs: a rate of fewer pairs is None.

  Returns:
    JSON values. `groups`: rates of the pairs whose images are both of a group.
    `across`: of pairs of images of two groups. `unknown`: how many pairs have
    an image of no known group; they count nowhere else. `spread`: lowest and
    highest group of each rate, their gap and ratios.
  """
  known = (first != UNKNOWN) & (second != UNKNOWN)
  groups = {
    value: rates_of_pairs(
      result,
      (first == number) & (second == number),
      min_pairs=min_pairs,
    )
    for number, value in enumerate(values)
  }
  return {
    'groups': groups,
    'across': rates_of_pairs(
      result, known & (first != second), min_pairs=min_pairs
    ),
    'unknown': _counts(result.same, ~known),
    'spread': _spreads(groups, [far_name(far) for far in result.points]),
  }


def rates_by_attribute(
  result: Verification, pairs: PairList, attributes: Attributes
) -> dict[str, Rates]:
  """Rates by every attribute of a table.

  Args:
    result: of the pair list.
    pairs: the list.
    attributes: of its images or people.

  Returns:
    By column, the JSON values of `rates_by_group`; every group has
    `num_images` too, and `unknown` those of no known group.
  """
  images = pairs.images()
  index_a, index_b = pairs.index(images)
  found = {}
  for column in attributes.columns:
    groups = attributes.groups(column, images)
    rates = rates_by_group(
      result,
      groups.labels[index_a],
      groups.labels[index_b],
      values=groups.values,
    )
    for value, count in zip(groups.values, groups.counts(), strict=True):
      rates['groups'][value]['num_images'] = int(count)
    rates['unknown']['num_images'] = int((groups.labels == UNKNOWN).sum())
    found[column] = rates
  return found
