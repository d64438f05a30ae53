"""Rates of scored pairs, by the definitions of spec 13.5.

A score says how alike two faces are, more is more alike. A pair is accepted
if and only if its score is greater than the threshold: a tie is a rejection,
of genuine and of impostor pairs alike. A distance d is scored as -d.
"""

import math
from typing import NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.errors import DataError, UsageError

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# 0.29 * 100 is 28.999999999999996: shares of a count need a little room.
_ROUNDING = 1 + 1e-12


class Roc(NamedTuple):
  """Accepted shares at every threshold that changes them.

  Attributes:
    far: float [T], share of impostor pairs accepted, from 0 rising to 1.
    tar: float [T], share of genuine pairs accepted, from 0 rising to 1.
    thresholds: float [T], falling: every distinct score, then -inf.
  """

  far: Float[np.ndarray, ' T']
  tar: Float[np.ndarray, ' T']
  thresholds: Float[np.ndarray, ' T']


class OperatingPoint(NamedTuple):
  """A threshold and what it accepts.

  Attributes:
    tar: share of genuine pairs with a score above the threshold.
    far: share of impostor pairs above it, measured.
    threshold: a score; -inf accepts everything.
  """

  tar: float
  far: float
  threshold: float


def far_name(far: float) -> str:
  """A false-accept rate as a key: 0.001 is '1e-3'."""
  mantissa, exponent = f'{far:e}'.split('e')
  return f'{float(mantissa):g}e{int(exponent)}'


def split_scores(
  scores: Float[np.ndarray, ' P'], same: Bool[np.ndarray, ' P']
) -> tuple[Float[np.ndarray, ' G'], Float[np.ndarray, ' I']]:
  """Sorted scores of the genuine and of the impostor pairs.

  Raises:
    DataError: a score is not finite, or there are pairs of one kind only.
  """
  if not np.isfinite(scores).all():
    pair = int(np.flatnonzero(~np.isfinite(scores))[0])
    raise DataError(f'the score of pair {pair} is {scores[pair]}')
  genuine, impostor = np.sort(scores[same]), np.sort(scores[~same])
  for kind, other, part in (
    ('impostor', 'genuine', genuine),
    ('genuine', 'impostor', impostor),
  ):
    if not len(part):
      raise DataError(
        f'all {len(scores)} pairs are {kind} pairs: add {other} pairs'
      )
  return genuine, impostor


def count_above(
  ascending: Float[np.ndarray, ' N'], thresholds: Float[np.ndarray, ' T']
) -> Int[np.ndarray, ' T']:
  """How many of N sorted scores are greater than each threshold."""
  return len(ascending) - np.searchsorted(ascending, thresholds, side='right')


def roc(scores: Float[np.ndarray, ' P'], same: Bool[np.ndarray, ' P']) -> Roc:
  """The receiver operating characteristic, exact, without thinning.

  Args:
    scores: float [P], more is more alike.
    same: bool [P], True for genuine pairs.

  Returns:
    One point for each distinct score and one that accepts everything; the
    first point accepts nothing.

  Raises:
    DataError: a score is not finite, or there are pairs of one kind only.
  """
  genuine, impostor = split_scores(scores, same)
  thresholds = np.append(np.unique(scores)[::-1].astype(np.float64), -np.inf)
  return Roc(
    far=count_above(impostor, thresholds) / len(impostor),
    tar=count_above(genuine, thresholds) / len(genuine),
    thresholds=thresholds,
  )


def resolvable_fars(num_impostors: int) -> tuple[float, ...]:
  """The rates 1e-1 .. 1e-6 of which `num_impostors` pairs can speak."""
  return tuple(f for f in FARS if f * num_impostors * _ROUNDING >= 1)


def check_far(far: float | int, num_impostors: int) -> None:
  """Refuses a rate of which `num_impostors` pairs cannot speak.

  Raises:
    UsageError: says the finest that they can.
  """
  if not 1 <= far * num_impostors * _ROUNDING <= num_impostors * _ROUNDING:
    raise UsageError(
      f'a false-accept rate of {far:g} cannot be read from {num_impostors} '
      f'impostor pairs: ask for {1 / num_impostors:.2g} to 1, or bring more '
      'pairs'
    )


def num_accepted(far: float | int, num_impostors: int) -> int:
  """Impostor pairs that a rate lets in at most: floor(far * N)."""
  return min(num_impostors, math.floor(far * num_impostors * _ROUNDING))


def tar_at_far(
  scores: Float[np.ndarray, ' P'],
  same: Bool[np.ndarray, ' P'],
  far: float,
  *,
  rule: str = 'at_most',
) -> OperatingPoint:
  """True-accept rate at a false-accept rate.

  Of N impostor pairs, rule 'at_most' takes as threshold the
  (floor(far * N) + 1)-th largest impostor score, so at most far * N impostors
  are accepted, ties included. Rule 'nearest' takes the ROC point whose rate
  is nearest to `far`, and of equally near ones the one that accepts most, as
  InsightFace's IJB script does; it may accept more than was asked for. (That
  script reads a curve without the inner points of straight runs, so where the
  points of a set are sparse it may read another one.)

  Args:
    scores: float [P], more is more alike.
    same: bool [P], True for genuine pairs.
    far: the rate asked for, 1 / N <= far <= 1.
    rule: 'at_most' or 'nearest'.

  Returns:
    The threshold with the rates it has on these pairs.

  Raises:
    UsageError: `far` is finer than 1 / N, the resolution of the set; nothing
      is extrapolated. Or the rule is unknown.
    DataError: a score is not finite, or there are pairs of one kind only.

  References:
    spec 13.5.
  """
  genuine, impostor = split_scores(scores, same)
  count = len(impostor)
  check_far(far, count)
  if rule == 'at_most':
    accepted = num_accepted(far, count)
    threshold = (
      -math.inf if accepted == count else float(impostor[-1 - accepted])
    )
  elif rule == 'nearest':
    curve = roc(scores, same)
    distance = np.abs(curve.far - far)
    nearest = np.flatnonzero(distance == distance.min())[-1]
    threshold = float(curve.thresholds[nearest])
  else:
    raise UsageError(f"rule {rule!r}: use 'at_most' or 'nearest'")
  at = np.array([threshold])
  return OperatingPoint(
    tar=float(count_above(genuine, at)[0] / len(genuine)),
    far=float(count_above(impostor, at)[0] / count),
    threshold=threshold,
  )


def auc(scores: Float[np.ndarray, ' P'], same: Bool[np.ndarray, ' P']) -> float:
  """Area under the ROC: how often a genuine pair outscores an impostor pair.

  Ties count one half, which makes it the area of the straight-line ROC.

  Raises:
    DataError: a score is not finite, or there are pairs of one kind only.
  """
  genuine, impostor = split_scores(scores, same)
  below = np.searchsorted(impostor, genuine, side='left').sum()
  not_above = np.searchsorted(impostor, genuine, side='right').sum()
  return float((below + not_above) / (2 * len(genuine) * len(impostor)))


def eer(scores: Float[np.ndarray, ' P'], same: Bool[np.ndarray, ' P']) -> float:
  """Equal error rate: where the straight-line ROC meets FAR = 1 - TAR.

  Raises:
    DataError: a score is not finite, or there are pairs of one kind only.
  """
  curve = roc(scores, same)
  gap = curve.far - (1 - curve.tar)  # from -1, never falling, to 1
  after = int(np.argmax(gap >= 0))
  before = after - 1
  weight = -gap[before] / (gap[after] - gap[before])
  return float(
    curve.far[before] + weight * (curve.far[after] - curve.far[before])
  )
