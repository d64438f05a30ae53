"""What the scores of all pairs say: rates, intervals, curves."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from facejax.array_typing import Float, Int
from facejax.evaluation import rates
from facejax.evaluation.all_pairs import people_bootstrap
from facejax.evaluation.reporting.curves import (
  Curves,
  RocCurve,
  ScoreHistogram,
)
from facejax.evaluation.scoring import keys
from facejax.evaluation.scoring.tail import Tail

_NUM_BINS, _CURVE_POINTS = 100, 1000
_DRAWN_FAR = 1e-3


@dataclasses.dataclass(frozen=True)
class AllPairs:
  """Scores of all pairs of N images, each pair once.

  Attributes:
    labels: int [N], the person of every image, 0 .. P - 1.
    first: int32 [G], first image of every genuine pair.
    second: int32 [G], second image.
    genuine: float32 [G], their scores.
    tail: the largest impostor scores with their images.
    counts: int64 [2^18], all impostor scores by class of `scoring.keys`.
    points: operating points by false-accept rate.
  """

  labels: Int[np.ndarray, ' N']
  first: Int[np.ndarray, ' G']
  second: Int[np.ndarray, ' G']
  genuine: Float[np.ndarray, ' G']
  tail: Tail
  counts: Int[np.ndarray, ' _']
  points: dict[float, rates.OperatingPoint]

  @property
  def num_impostors(self) -> int:
    """Pairs of different people."""
    return int(self.counts.sum())

  def pair_set(self) -> people_bootstrap.PairSet:
    """What a bootstrap over people needs."""
    order = np.argsort(-self.genuine, kind='stable')
    tail = self.tail
    return people_bootstrap.PairSet(
      labels=self.labels,
      genuine_scores=self.genuine[order],
      genuine_people=self.labels[self.first[order]],
      tail_scores=tail.scores,
      tail_people=np.stack([self.labels[tail.first], self.labels[tail.second]]),
    )

  def class_rates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Impostor and genuine pairs accepted from each class up, from the top.

    Returns:
      int64 [T] of either kind, both rising, and the smallest score of the
      classes, float32 [T]; only classes that hold a score.
    """
    genuine = np.asarray(_count_genuine(self.genuine))
    used = np.flatnonzero(self.counts + genuine)[::-1]
    return (
      np.cumsum(self.counts[used]),
      np.cumsum(genuine[used].astype(np.int64)),
      keys.class_floors()[used],
    )

  def area(self) -> tuple[float, float]:
    """Area under the ROC, and how far from it the true one may be.

    Pairs of one class count as ties, one half; at worst they all are not.
    """
    impostors, genuine, _ = self.class_rates()
    new_impostors = np.diff(impostors, prepend=0).astype(np.float64)
    new_genuine = np.diff(genuine, prepend=0).astype(np.float64)
    total = float(impostors[-1]) * float(genuine[-1])
    below = (new_impostors * (genuine - new_genuine / 2)).sum()
    return below / total, (new_impostors * new_genuine).sum() / (2 * total)

  def eer(self) -> float:
    """Equal error rate, on the straight lines between classes."""
    impostors, genuine, _ = self.class_rates()
    far = np.append(0, impostors / impostors[-1])
    gap = far - (1 - np.append(0, genuine / genuine[-1]))
    after = int(np.argmax(gap >= 0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(far[after - 1] + share * (far[after] - far[after - 1]))

  def to_json(self, *, draws: int, seed: int) -> dict[str, Any]:
    """Rates at every false-accept rate, with intervals over people."""
    fars = np.array(list(self.points))
    at = np.array([self.points[far].threshold for far in self.points])
    found = people_bootstrap.resample(
      self.pair_set(), fars, at, draws=draws, seed=seed
    )

    def by_far(values: Sequence[Any]) -> dict[str, Any]:
      return dict(zip(map(rates.far_name, fars), values, strict=True))

    points = self.points.values()
    area, error = self.area()
    return {
      'measure': 'cosine',
      'tar_at_far': by_far([point.tar for point in points]),
      'tar_intervals_95': by_far(people_bootstrap.interval(found.tar)),
      'thresholds': by_far([_finite(point.threshold) for point in points]),
      'threshold_intervals_95': by_far(
        people_bootstrap.interval(found.thresholds)
      ),
      'far_at_threshold': by_far([point.far for point in points]),
      'far_intervals_95': by_far(people_bootstrap.interval(found.far)),
      'far_rule': 'at_most',
      'smallest_far': 1 / self.num_impostors,
      'auc': area,
      'auc_error': error,
      'eer': self.eer(),
      'num_pairs': self.num_impostors + len(self.genuine),
      'num_genuine': len(self.genuine),
      'num_impostors': self.num_impostors,
      'num_images': len(self.labels),
      'num_people': int(self.labels.max()) + 1,
      'bootstrap': {'over': 'people', 'draws': draws, 'seed': seed},
    }

  def curves(self, name: str) -> Curves:
    """ROC and histogram, to draw."""
    return Curves(
      roc={name: self._roc_curve()},
      histogram={name: self._histogram()},
    )

  def _roc_curve(self) -> RocCurve:
    """Exact points: single ones of the tail, then whole classes."""
    ranks = np.unique(
      np.geomspace(1, len(self.tail.scores), _CURVE_POINTS).astype(np.int64)
    )
    at = self.tail.scores[ranks - 1]
    impostors, genuine, floors = self.class_rates()
    below = floors <= self.tail.scores[-1]
    above = rates.count_above(np.sort(self.genuine), at)
    far = np.append(self.tail.count_greater(at), impostors[below])
    tar = np.append(above, genuine[below])
    return RocCurve(
      far=far / self.num_impostors,
      tar=tar / len(self.genuine),
      num_impostors=self.num_impostors,
      points=self.points,
      note=f'AUC {self.area()[0]:.5f}',
    )

  def _drawn_threshold(self) -> tuple[float | None, str]:
    """The threshold of the rate nearest to 1e-3, and what it is."""
    if not self.points:
      return None, ''
    far = min(self.points, key=lambda far: abs(math.log(far / _DRAWN_FAR)))
    threshold = _finite(self.points[far].threshold)
    return threshold, f'FAR {rates.far_name(far)}'

  def _histogram(self) -> ScoreHistogram:
    """Both kinds over common bins; impostors by the floor of their class."""
    threshold, note = self._drawn_threshold()
    used = np.flatnonzero(self.counts)
    floors = keys.class_floors()[used].astype(np.float64)
    low = min(floors[0], float(self.genuine.min()))
    high = max(float(self.tail.scores[0]), float(self.genuine.max()))
    edges = np.linspace(low, max(high, low + 1e-6), _NUM_BINS + 1)
    weights = self.counts[used].astype(np.float64)
    impostor, _ = np.histogram(floors, edges, weights=weights)
    return ScoreHistogram(
      edges=edges,
      genuine=np.histogram(self.genuine, edges)[0],
      impostor=impostor.astype(np.int64),
      threshold=threshold,
      threshold_note=note,
    )


def _finite(threshold: float) -> float | None:
  """A threshold as JSON; None accepts everything."""
  return float(threshold) if math.isfinite(threshold) else None


@jax.jit
def _count_genuine(scores: jax.Array) -> jax.Array:
  """Scores by class."""
  return keys.count_classes(scores, jnp.ones(scores.shape, bool))
