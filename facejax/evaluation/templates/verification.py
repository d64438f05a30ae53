"""1:1 verification of templates: millions of scored pairs to rates."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.evaluation import metrics
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.reporting.curves import RocCurve, ScoreHistogram

_DRAWN = 1000  # points of a curve, evenly along the logarithm of the rate
_DRAWN_FAR = 1e-4  # where the histogram shows a threshold, if it is resolved


class NearestPoint(NamedTuple):
  """A point of the ROC.

  Attributes:
    tar: share of genuine pairs accepted.
    far: share of impostor pairs accepted, perhaps more than was asked for.
  """

  tar: float
  far: float


def _kept_points(
  genuine: Float[np.ndarray, ' G'], impostor: Float[np.ndarray, ' I']
) -> tuple[Int[np.ndarray, ' T'], Int[np.ndarray, ' T']]:
  """Accepted impostor and genuine pairs at the points that sklearn keeps.

  A point stands for 'at least this score', from the highest distinct score to
  the lowest. Points between two equal steps are dropped; then one is put in
  front that accepts nothing.
  """
  scores = np.unique(np.concatenate([genuine, impostor]))[::-1]
  impostors, genuines = (
    (len(part) - np.searchsorted(part, scores, side='left')).astype(np.int32)
    for part in (impostor, genuine)
  )
  if len(scores) > 2:
    bends = (np.diff(impostors, 2) != 0) | (np.diff(genuines, 2) != 0)
    kept = np.concatenate([[True], bends, [True]])
    impostors, genuines = impostors[kept], genuines[kept]
  return np.append(0, impostors), np.append(0, genuines)


def nearest_points(
  genuine: Float[np.ndarray, ' G'],
  impostor: Float[np.ndarray, ' I'],
  fars: Sequence[float],
) -> dict[float, NearestPoint]:
  """Rule 'nearest', to the letter of InsightFace's IJB scripts.

  They read the point of scikit-learn's `roc_curve` whose false-accept rate is
  nearest to the one asked for, of equally near ones the one that accepts most.
  By default that curve lacks every point between two equal steps: from one
  genuine score to the next it keeps only the ends of a run of impostor pairs
  (each a step of its own, but for ties). So the nearest point is often one
  just behind a genuine pair, which counts that pair although it comes at a
  higher rate; where genuine scores are sparse, at high rates, the rate read
  may be far from the one asked for. Hence `far` belongs to the result.

  The scripts score in float64. In float32 more impostor pairs tie, fewer steps
  are equal and a few more points stay, which may move a TAR by one genuine
  pair.

  Args:
    genuine: float [G], rising.
    impostor: float [I], rising.
    fars: the rates asked for.

  Returns:
    TAR and FAR by the rate asked for.
  """
  impostors, genuines = _kept_points(genuine, impostor)
  points = {}
  for far in fars:
    distance = np.abs(impostors / len(impostor) - far)
    # The last of the minima, without a second array of their places.
    place = len(distance) - 1 - int(np.argmin(distance[::-1]))
    points[far] = NearestPoint(
      tar=float(genuines[place] / len(genuine)),
      far=float(impostors[place] / len(impostor)),
    )
  return points


def roc_corners(
  genuine: Float[np.ndarray, ' G'], impostor: Float[np.ndarray, ' I']
) -> tuple[Float[np.ndarray, ' T'], Float[np.ndarray, ' T']]:
  """The straight-line ROC by its corners, which all lie at genuine scores.

  Args:
    genuine: float [G], rising.
    impostor: float [I], rising; may be a thousand times as many.

  Returns:
    FAR and TAR, float [T], from (0, 0) to (1, 1).
  """
  scores = np.unique(genuine)[::-1]
  rates = []
  for part in (impostor, genuine):
    sides = [np.searchsorted(part, scores, side=s) for s in ('right', 'left')]
    inner = (len(part) - np.stack(sides, axis=1).ravel()) / len(part)
    rates.append(np.concatenate([[0.0], inner, [1.0]]))
  return rates[0], rates[1]


def _eer(far: Float[np.ndarray, ' T'], tar: Float[np.ndarray, ' T']) -> float:
  """Where the ROC of these corners meets FAR = 1 - TAR."""
  gap = far + tar - 1
  after = int(np.argmax(gap >= 0))
  before = after - 1
  weight = -gap[before] / (gap[after] - gap[before])
  return float(far[before] + weight * (far[after] - far[before]))


def _at_most(
  genuine: Float[np.ndarray, ' G'],
  impostor: Float[np.ndarray, ' I'],
  far: float,
) -> metrics.OperatingPoint:
  """`metrics.tar_at_far`, without sorting millions of scores for each rate."""
  accepted = math.floor(far * len(impostor) * (1 + 1e-12))
  threshold = float(impostor[-1 - accepted])
  tar, found = (
    float(metrics.count_above(part, np.array([threshold]))[0] / len(part))
    for part in (genuine, impostor)
  )
  return metrics.OperatingPoint(tar=tar, far=found, threshold=threshold)


@dataclasses.dataclass(frozen=True)
class TemplateVerification:
  """A result of 1:1; rates are shares of 1.

  Attributes:
    points: operating points by the rate asked for, rule 'at_most' of spec
      13.5.
    nearest: the points of rule 'nearest'.
    auc: area under the ROC.
    eer: equal error rate.
    genuine: float32 [G], scores, rising.
    impostor: float32 [I], scores, rising.
  """

  points: dict[float, metrics.OperatingPoint]
  nearest: dict[float, NearestPoint]
  auc: float
  eer: float
  genuine: Float[np.ndarray, ' G']
  impostor: Float[np.ndarray, ' I']

  def roc_curve(self) -> RocCurve:
    """The ROC, thinned to what a picture shows."""
    far, tar = roc_corners(self.genuine, self.impostor)
    wanted = np.geomspace(1 / len(self.impostor), 1, _DRAWN)
    # Both sides of every wanted rate, so that the line stays where it is.
    behind = np.minimum(np.searchsorted(far, wanted), len(far) - 1)
    kept = np.unique(np.concatenate([[0], behind - 1, behind]).clip(0))
    return RocCurve(
      far=far[kept],
      tar=tar[kept],
      num_impostors=len(self.impostor),
      points=self.points,
      note=f'EER {self.eer:.2%}',
    )

  def histogram(self) -> ScoreHistogram:
    """Scores by kind, to draw."""
    lowest = min(self.genuine[0], self.impostor[0])
    highest = max(self.genuine[-1], self.impostor[-1])
    edges = np.linspace(float(lowest), float(highest), 81)
    far = max(_DRAWN_FAR, min(self.points, default=1.0))
    point = self.points.get(far)
    return ScoreHistogram(
      edges=edges,
      genuine=np.histogram(self.genuine, edges)[0],
      impostor=np.histogram(self.impostor, edges)[0],
      threshold=None if point is None else point.threshold,
    )

  def to_json(self) -> dict[str, Any]:
    """The result as JSON values; rates are keyed '1e-4'."""
    count = len(self.genuine)
    named = {metrics.far_name(far): p for far, p in self.points.items()}
    nearest = {metrics.far_name(far): p for far, p in self.nearest.items()}
    return {
      'tar_at_far': {name: p.tar for name, p in named.items()},
      'thresholds': {name: p.threshold for name, p in named.items()},
      'tar_intervals_95': {
        name: list(wilson_interval(p.tar, count)) for name, p in named.items()
      },
      'far_rule': 'at_most',
      'tar_at_nearest_far': {name: p.tar for name, p in nearest.items()},
      'nearest_fars': {name: p.far for name, p in nearest.items()},
      'smallest_far': 1 / len(self.impostor),
      'auc': self.auc,
      'eer': self.eer,
      'measure': 'cosine',
      'num_pairs': count + len(self.impostor),
      'num_genuine': count,
      'num_impostors': len(self.impostor),
    }


def verify_templates(
  scores: Float[np.ndarray, ' P'], same: Bool[np.ndarray, ' P']
) -> TemplateVerification:
  """Rates of scored pairs of templates.

  Args:
    scores: float32 [P], cosines.
    same: bool [P].

  Raises:
    DataError: pairs of one kind only, or a score is not finite.
  """
  genuine, impostor = metrics.split_scores(scores, same)
  fars = metrics.resolvable_fars(len(impostor))
  far, tar = roc_corners(genuine, impostor)
  return TemplateVerification(
    points={rate: _at_most(genuine, impostor, rate) for rate in fars},
    nearest=nearest_points(genuine, impostor, fars),
    auc=float(np.trapezoid(tar, far)),
    eer=_eer(far, tar),
    genuine=genuine,
    impostor=impostor,
  )
