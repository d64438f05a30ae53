"""Bootstrap over people of rates that come from all pairs of a set.

A person's images stand in very many pairs, so pairs are not independent and
no interval that counts them holds. What a new sample would change is who the
people are: a draw takes as many people with replacement, an impostor pair
counts as often as both its people were drawn, a genuine pair as often as its
person was. Two draws of one person make no pair.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from facejax.array_typing import Float, Int
from facejax.evaluation import rates
from facejax.evaluation.all_pairs.running_weights import RunningWeights

CONFIDENCE = 0.95
_DRAWS_AT_ONCE = 128


@dataclasses.dataclass(frozen=True)
class PairSet:
  """Scores of all pairs of a set, as far as a bootstrap needs them.

  Attributes:
    labels: int [N], the person of every image, 0 .. P - 1, each with one.
    genuine_scores: float32 [G], falling.
    genuine_people: int [G], the person of each.
    tail_scores: float32 [n], the largest of the impostor pairs, falling.
    tail_people: int [2, n], the two people of each.
  """

  labels: Int[np.ndarray, ' N']
  genuine_scores: Float[np.ndarray, ' G']
  genuine_people: Int[np.ndarray, ' G']
  tail_scores: Float[np.ndarray, ' n']
  tail_people: Int[np.ndarray, '2 n']

  @property
  def images(self) -> Int[np.ndarray, ' P']:
    """Images of each person."""
    return np.bincount(self.labels)


class Rates(NamedTuple):
  """Rates of the draws; NaN where a draw cannot tell.

  Attributes:
    tar: float [B, F], at the draw's own thresholds.
    thresholds: float [B, F], by the rule 'at_most'.
    far: float [B, F], of the draw at the thresholds of the whole set.
  """

  tar: Float[np.ndarray, 'B F']
  thresholds: Float[np.ndarray, 'B F']
  far: Float[np.ndarray, 'B F']


def draw_people(
  num_people: int, *, draws: int, seed: int
) -> Int[np.ndarray, 'B P']:
  """How often each person is drawn; the same seed draws the same people."""
  rng = np.random.default_rng(seed)
  return np.stack(
    [
      np.bincount(rng.integers(0, num_people, num_people), minlength=num_people)
      for _ in range(draws)
    ]
  )


def _count_above(
  falling: Float[np.ndarray, ' n'], thresholds: Float[np.ndarray, '*T']
) -> Int[np.ndarray, '*T']:
  """How many scores are greater than each threshold."""
  return np.searchsorted(-falling, -thresholds, side='left')


def _rates(
  pairs: PairSet,
  times: Int[np.ndarray, 'B P'],
  fars: Float[np.ndarray, ' F'],
  thresholds: Float[np.ndarray, ' F'],
) -> Rates:
  """Rates of some draws, with every person counted as often as drawn."""
  owned = times * pairs.images
  impostors = (owned.sum(1) ** 2 - (owned**2).sum(1)) // 2
  allowed = [[rates.num_accepted(f, int(n)) for f in fars] for n in impostors]
  accepted = RunningWeights(pairs.tail_people, times)
  place = accepted.find(np.array(allowed, np.int64))
  length = len(pairs.tail_scores)
  own = pairs.tail_scores[np.minimum(place, length - 1)].astype(np.float64)
  own[(place == length) | (impostors == 0)[:, None]] = np.nan
  genuine = RunningWeights(pairs.genuine_people[None], times)
  above = genuine.before(_count_above(pairs.genuine_scores, own))
  total = np.where(genuine.total > 0, genuine.total, np.nan)
  tar = np.where(np.isnan(own), np.nan, above / total[:, None])
  # What lies below the tail has not been counted.
  known = (thresholds >= pairs.tail_scores[-1]) & (impostors > 0)[:, None]
  above = np.tile(_count_above(pairs.tail_scores, thresholds), (len(times), 1))
  far = accepted.before(above) / np.maximum(impostors, 1)[:, None]
  return Rates(tar, own, np.where(known, far, np.nan))


def resample(
  pairs: PairSet,
  fars: Float[np.ndarray, ' F'],
  thresholds: Float[np.ndarray, ' F'],
  *,
  draws: int = 1000,
  seed: int = 0,
) -> Rates:
  """Rates of B draws of people.

  Args:
    pairs: the scores; the tail must reach well beyond the largest rate.
    fars: the rates asked for.
    thresholds: of the whole set at these rates.
    draws: B.
    seed: of the draws.

  Returns:
    Rates with B rows, in the order of the draws: those of two models of the
    same images and seed belong together row by row.

  References:
    B. Efron, Bootstrap Methods, 1979; the draw of people rather than pairs
    as in R. Bolle et al., Confidence interval measurement in performance
    analysis of biometrics systems using the bootstrap, 2004 (subsets).
  """
  times = draw_people(len(pairs.images), draws=draws, seed=seed)
  found = [
    _rates(pairs, times[start : start + _DRAWS_AT_ONCE], fars, thresholds)
    for start in range(0, draws, _DRAWS_AT_ONCE)
  ]
  return Rates(*map(np.concatenate, zip(*found, strict=True)))


def interval(
  values: Float[np.ndarray, 'B F'],
) -> list[list[float] | None]:
  """The middle 95 % of the draws of each rate; None where any cannot tell."""
  tail = (1 - CONFIDENCE) / 2
  intervals = []
  for column in values.T:
    if np.isnan(column).any():
      intervals.append(None)
      continue
    low, high = np.quantile(column, [tail, 1 - tail])
    intervals.append([float(low), float(high)])
  return intervals
