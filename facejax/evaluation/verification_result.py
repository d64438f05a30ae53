"""What the verification of a pair list found."""

import dataclasses
import math
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.evaluation import rates
from facejax.evaluation.folds import FoldRates
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.modes import MODES
from facejax.evaluation.reporting.curves import RocCurve, ScoreHistogram

FOLD_FAR = 1e-3  # the rate of InsightFace's own table


@dataclasses.dataclass(frozen=True)
class Verification:
  """A verification result; rates are shares of 1.

  Attributes:
    mode: a name of MODES.
    accuracy: mean over the folds.
    fold_accuracies: float [F].
    fold_thresholds: float [F], as scores.
    points: operating point by false-accept rate, by the rule 'at_most'.
    fold_rates: rates of the folds where the others' FAR is 1e-3, in mode
      insightface and where the set resolves it; else None.
    auc: area under the ROC.
    eer: equal error rate.
    scores: float [P], more is more alike (minus the squared distance in mode
      insightface). In mode sphereface a pair's score is that of its own fold,
      with the mean of the others; AUC, EER and operating points pool these.
    same: bool [P].
    folds: int [P], 0 .. F-1.
  """

  mode: str
  accuracy: float
  fold_accuracies: Float[np.ndarray, ' F']
  fold_thresholds: Float[np.ndarray, ' F']
  points: dict[float, rates.OperatingPoint]
  fold_rates: FoldRates | None
  auc: float
  eer: float
  scores: Float[np.ndarray, ' P']
  same: Bool[np.ndarray, ' P']
  folds: Int[np.ndarray, ' P']

  @property
  def measure(self) -> str:
    """'cosine' or 'squared_distance'."""
    return MODES[self.mode].measure

  def measured(self, score: Any) -> Any:
    """Scores in the unit of `measure`."""
    return -score if self.measure == 'squared_distance' else score

  def roc_curve(self) -> RocCurve:
    """The ROC, to draw."""
    curve = rates.roc(self.scores, self.same)
    return RocCurve(
      far=curve.far,
      tar=curve.tar,
      num_impostors=int((~self.same).sum()),
      points=self.points,
      note=f'accuracy {self.accuracy:.2%}, EER {self.eer:.2%}',
    )

  def histogram(self) -> ScoreHistogram:
    """Scores by kind, to draw, with the mean of the folds' thresholds."""
    values = self.measured(self.scores)
    edges = np.histogram_bin_edges(values, bins=60)
    return ScoreHistogram(
      edges=edges,
      genuine=np.histogram(values[self.same], edges)[0],
      impostor=np.histogram(values[~self.same], edges)[0],
      threshold=float(self.measured(self.fold_thresholds.mean())),
      measure=self.measure,
    )

  def excess(self) -> Float[np.ndarray, ' P']:
    """How far each score is above the threshold of the pair's fold."""
    return self.scores - self.fold_thresholds[self.folds]

  def to_json(self) -> dict[str, Any]:
    """The result as JSON values; rates are keyed '1e-3'.

    The intervals are Wilson's, which take pairs as independent trials and,
    for a TAR, its threshold as given. Pairs share people, so the true ones
    are wider.
    """
    num_genuine = int(self.same.sum())
    num_impostors = len(self.same) - num_genuine
    named = {rates.far_name(far): at for far, at in self.points.items()}
    return {
      'mode': self.mode,
      'transductive': MODES[self.mode].transductive,
      'accuracy': self.accuracy,
      'std': float(self.fold_accuracies.std()),
      'interval_95': list(wilson_interval(self.accuracy, len(self.same))),
      'fold_accuracies': self.fold_accuracies.tolist(),
      'fold_thresholds': self.measured(self.fold_thresholds).tolist(),
      'auc': self.auc,
      'eer': self.eer,
      'tar_at_far': {name: at.tar for name, at in named.items()},
      'tar_intervals_95': {
        name: list(wilson_interval(at.tar, num_genuine))
        for name, at in named.items()
      },
      'thresholds': {
        name: self._threshold(at.threshold) for name, at in named.items()
      },
      'far_rule': 'at_most',
      'tar_at_nearest_far': self._nearest_json(),
      'fold_tar_at_far': self._fold_rates_json(),
      'smallest_far': 1 / num_impostors,
      'measure': self.measure,
      'num_pairs': len(self.same),
      'num_genuine': num_genuine,
      'num_impostors': num_impostors,
      'num_folds': len(self.fold_accuracies),
    }

  def _threshold(self, score: float) -> float | None:
    """A threshold in the unit of `measure`; None accepts everything."""
    return self.measured(score) if math.isfinite(score) else None

  def _nearest_json(self) -> dict[str, dict[str, float | None]]:
    """The points of the rule 'nearest', with the FAR that they have."""
    points = {
      far: rates.tar_at_far(self.scores, self.same, far, rule='nearest')
      for far in self.points
    }
    return {
      rates.far_name(far): {
        'tar': at.tar,
        'far': at.far,
        'threshold': self._threshold(at.threshold),
      }
      for far, at in points.items()
    }

  def _fold_rates_json(self) -> dict[str, dict[str, float]]:
    """Mean TAR, its deviation over the folds and mean FAR, by rate."""
    if self.fold_rates is None:
      return {}
    tar, far, _ = self.fold_rates
    means = {'tar': tar.mean(), 'std': tar.std(), 'far': far.mean()}
    return {rates.far_name(FOLD_FAR): {k: float(v) for k, v in means.items()}}
