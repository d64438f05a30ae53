"""What MegaFace found: rates among distractors, and how sure they are."""

import dataclasses
import math
from typing import Any

import numpy as np

from facejax.array_typing import Float, Int
from facejax.evaluation import rates
from facejax.evaluation.all_pairs import people_bootstrap
from facejax.evaluation.all_pairs.result import AllPairs
from facejax.evaluation.reporting.curves import Curves

_DRAWS, _SEED = 1000, 0


def count_hits(
  pairs: AllPairs, best: Float[np.ndarray, ' Q']
) -> Int[np.ndarray, ' G']:
  """How often, 0 to 2, each pair's score is at least the best of its probe.

  Args:
    pairs: genuine pairs; either image is the probe once.
    best: float32 [Q], of every probe with distractors.
  """
  images = (pairs.first, pairs.second)
  return sum((pairs.genuine >= best[probe]).astype(int) for probe in images)


@dataclasses.dataclass(frozen=True)
class MegaFace:
  """Scores of Q probes with each other and with M distractors.

  A mate's rank is 1 plus the distractors that score above it: of equal scores
  the mate is named first, as in FaceX-Zoo's evaluator.

  Attributes:
    pairs: genuine pairs of probes, each once, and impostor pairs of a probe
      and a distractor, whose place stands in `tail.second`.
    best: float32 [Q, 20], the greatest scores of each probe with distractors,
      falling, -inf where there are fewer.
    rank1_by_size: rank-1 rate among the first 10, 100, ... distractors, and
      among all.
    num_probes: Q.
    num_distractors: M.
  """

  pairs: AllPairs
  best: Float[np.ndarray, 'Q R']
  rank1_by_size: dict[int, float]
  num_probes: int
  num_distractors: int

  def hits(self, rank: int) -> Int[np.ndarray, ' G']:
    """How often, 0 to 2, each pair is identified: either image is a probe."""
    return count_hits(self.pairs, self.best[:, rank - 1])

  def cmc(self) -> Float[np.ndarray, ' R']:
    """Share of probe and mate pairs with the mate at rank 1, ... or better."""
    ranks = range(1, self.best.shape[1] + 1)
    trials = 2 * len(self.pairs.genuine)
    return np.array([self.hits(rank).sum() / trials for rank in ranks])

  def people_intervals(self) -> tuple[list[float], dict[str, list[float]]]:
    """95 % intervals of rank-1 and of the TAR at each rate's threshold.

    Probe people are drawn with replacement; the distractors, and with them the
    thresholds, stay.
    """
    pairs, points = self.pairs, self.pairs.points
    names = [rates.far_name(far) for far in points]
    shares = [self.hits(1) / 2]
    for point in points.values():
      shares.append(pairs.genuine > np.float32(point.threshold))
    people, place = np.unique(pairs.labels[pairs.first], return_inverse=True)
    found = np.stack([np.bincount(place, weights=share) for share in shares])
    rng = np.random.default_rng(_SEED)
    times = rng.multinomial(
      len(people), np.full(len(people), 1 / len(people)), _DRAWS
    )
    drawn = (times @ found.T) / (times @ np.bincount(place))[:, None]
    rank1, *tars = people_bootstrap.interval(drawn)
    return rank1, dict(zip(names, tars, strict=True))

  def to_json(self) -> dict[str, Any]:
    """The result as JSON values; rates are keyed '1e-6'."""
    pairs = self.pairs
    points = {rates.far_name(far): at for far, at in pairs.points.items()}
    rank1_interval, tar_intervals = self.people_intervals()
    area, error = pairs.area()
    cmc = self.cmc().tolist()
    return {
      'rank1': cmc[0],
      'rank1_interval_95': rank1_interval,
      'rank1_by_distractors': {
        str(size): share for size, share in self.rank1_by_size.items()
      },
      'cmc': cmc,
      'tie_rule': 'mate_first',
      'tar_at_far': {name: at.tar for name, at in points.items()},
      'tar_intervals_95': tar_intervals,
      'thresholds': {
        name: at.threshold if math.isfinite(at.threshold) else None
        for name, at in points.items()
      },
      'far_at_threshold': {name: at.far for name, at in points.items()},
      'far_rule': 'at_most',
      'smallest_far': 1 / pairs.num_impostors,
      'auc': area,
      'auc_error': error,
      'num_identifications': 2 * len(pairs.genuine),
      'num_genuine': len(pairs.genuine),
      'num_impostors': pairs.num_impostors,
      'bootstrap': {'over': 'probe people', 'draws': _DRAWS, 'seed': _SEED},
    }

  def curves(self, name: str) -> Curves:
    """ROC, histogram and CMC, to draw."""
    curves = self.pairs.curves(name)
    return dataclasses.replace(curves, cmc={name: self.cmc()})

  def most_alike(self, count: int) -> Int[np.ndarray, ' W']:
    """Places in the tail: distractors that beat a mate, the most alike first.

    Of a probe's person, and of a distractor, only one pair is taken.
    """
    pairs, tail = self.pairs, self.pairs.tail
    worst_mate = np.full(self.num_probes, np.inf, np.float32)
    for images in (pairs.first, pairs.second):
      np.minimum.at(worst_mate, images, pairs.genuine)
    beaten = np.flatnonzero(tail.scores > worst_mate[tail.first])
    taken, people, distractors = [], set(), set()
    for place in beaten:
      person = int(pairs.labels[tail.first[place]])
      distractor = int(tail.second[place])
      if person in people or distractor in distractors:
        continue
      people.add(person)
      distractors.add(distractor)
      taken.append(place)
      if len(taken) == count:
        break
    return np.array(taken, np.int64)
