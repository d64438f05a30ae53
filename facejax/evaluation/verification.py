"""Pair verification from embeddings: accuracy, ROC and operating points."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.errors import DataError
from facejax.evaluation import metrics
from facejax.evaluation.folds import FoldRates, fold_tar_at_far
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.modes import MODES, EmbeddedPairs, check_mode

_FOLD_FAR = 1e-3  # the rate of InsightFace's own table


@dataclasses.dataclass(frozen=True)
class Verification:
  """A verification result; rates are shares of 1.

  Attributes:
    mode: a name of MODES.
    accuracy: mean over the folds.
    fold_accuracies: float [F].
    fold_thresholds: float [F], as scores.
    points: operating point by false-accept rate, the rates that the set can
      resolve.
    fold_rates: rates of the folds where the others' FAR is 1e-3, in mode
      insightface and where the set resolves it; else None.
    auc: area under the ROC.
    eer: equal error rate.
    scores: float [P], more is more alike (minus the squared distance in mode
      insightface). In mode sphereface a pair's score is that of its own fold,
      with the mean of the others; AUC, EER and operating points pool these.
    same: bool [P].
  """

  mode: str
  accuracy: float
  fold_accuracies: Float[np.ndarray, ' F']
  fold_thresholds: Float[np.ndarray, ' F']
  points: dict[float, metrics.OperatingPoint]
  fold_rates: FoldRates | None
  auc: float
  eer: float
  scores: Float[np.ndarray, ' P']
  same: Bool[np.ndarray, ' P']

  @property
  def measure(self) -> str:
    """'cosine' or 'squared_distance'."""
    return MODES[self.mode].measure

  def measured(self, score: Any) -> Any:
    """Scores in the unit of `measure`."""
    return -score if self.measure == 'squared_distance' else score

  def to_json(self) -> dict[str, Any]:
    """The result as JSON values; rates are keyed '1e-3'."""
    low, high = wilson_interval(self.accuracy, len(self.same))
    num_impostors = int((~self.same).sum())
    return {
      'mode': self.mode,
      'transductive': MODES[self.mode].transductive,
      'accuracy': self.accuracy,
      'std': float(self.fold_accuracies.std()),
      'interval_95': [low, high],
      'fold_accuracies': self.fold_accuracies.tolist(),
      'fold_thresholds': self.measured(self.fold_thresholds).tolist(),
      'auc': self.auc,
      'eer': self.eer,
      'tar_at_far': {
        metrics.far_name(far): point.tar for far, point in self.points.items()
      },
      'thresholds': {
        metrics.far_name(far): self.measured(point.threshold)
        for far, point in self.points.items()
      },
      'fold_tar_at_far': self._fold_rates_json(),
      'far_rule': 'at_most',
      'smallest_far': 1 / num_impostors,
      'measure': self.measure,
      'num_pairs': len(self.same),
      'num_genuine': int(self.same.sum()),
      'num_impostors': num_impostors,
    }

  def _fold_rates_json(self) -> dict[str, dict[str, float]]:
    """Mean TAR, its deviation over the folds and mean FAR, by rate."""
    if self.fold_rates is None:
      return {}
    tar, far, _ = self.fold_rates
    rates = {'tar': tar.mean(), 'std': tar.std(), 'far': far.mean()}
    return {
      metrics.far_name(_FOLD_FAR): {k: float(v) for k, v in rates.items()}
    }


def check_embeddings(
  embeddings: Float[np.ndarray, 'N D'], names: Sequence[str] | None
) -> None:
  """Refuses embeddings that are not finite.

  Raises:
    DataError: names the first image.
  """
  bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
  if len(bad):
    image = names[bad[0]] if names is not None else f'number {bad[0]}'
    raise DataError(
      f'the embedding of image {image} is not finite, nor are '
      f'{len(bad) - 1} others: the model or the saved embeddings are damaged'
    )


def check_pairs(
  same: Bool[np.ndarray, ' P'], folds: Int[np.ndarray, ' P']
) -> None:
  """Refuses a list that no accuracy can come from, before any embedding.

  Raises:
    DataError: pairs of one kind only, or fewer than two folds.
  """
  metrics.split_scores(np.zeros(len(same)), same)
  metrics.fold_sizes(folds)


def _embedded_pairs(
  plain: Float[np.ndarray, 'N D'],
  flip: Float[np.ndarray, 'N D'] | None,
  training_mean: Float[np.ndarray, ' D'] | None,
  mode: str,
  names: Sequence[str] | None,
  **pairs: Any,
) -> EmbeddedPairs:
  """Checked input of a mode, in float64."""
  check_mode(
    mode, has_flip=flip is not None, has_mean=training_mean is not None
  )
  if not MODES[mode].needs_flip:
    flip = None
  wide = [
    None if x is None else np.asarray(x, np.float64)
    for x in (plain, flip, training_mean)
  ]
  for embeddings in wide[:2]:
    if embeddings is not None:
      check_embeddings(embeddings, names)
  return EmbeddedPairs(
    plain=wide[0], flip=wide[1], training_mean=wide[2], **pairs
  )


def verify_pairs(
  plain: Float[np.ndarray, 'N D'],
  flip: Float[np.ndarray, 'N D'] | None,
  index_a: Int[np.ndarray, ' P'],
  index_b: Int[np.ndarray, ' P'],
  same: Bool[np.ndarray, ' P'],
  folds: Int[np.ndarray, ' P'],
  *,
  mode: str,
  training_mean: Float[np.ndarray, ' D'] | None = None,
  names: Sequence[str] | None = None,
) -> Verification:
  """Verifies pairs from the embeddings of their images.

  Args:
    plain: float [N, D], embeddings that are not normalised.
    flip: float [N, D], of the mirrored images, or None in the modes plain
      and centred.
    index_a: int [P], row of the first image of a pair.
    index_b: int [P], row of the second.
    same: bool [P], True for genuine pairs.
    folds: int [P], 0 .. F-1, none empty.
    mode: a name of MODES.
    training_mean: float [D], mean raw embedding of training faces, for mode
      centred.
    names: N names of the images, for errors.

  Returns:
    Accuracy at the threshold of the other folds, and the rates of all pairs.

  Raises:
    DataError: an embedding is not finite, or there are pairs of one kind only
      or fewer than two folds.
    UsageError: the mode is unknown or lacks what it needs.

  References:
    spec 13.1 and 13.5.
  """
  pairs = _embedded_pairs(
    plain,
    flip,
    training_mean,
    mode,
    names,
    index_a=index_a,
    index_b=index_b,
    same=same,
    folds=folds,
  )
  check_pairs(same, folds)
  rule = MODES[mode]
  scores = rule.scores(pairs)
  result = metrics.kfold_accuracy(
    scores, same, folds, rule.thresholds, choice=rule.choice
  )
  fold_rates = None
  if rule.rate_thresholds is not None:
    fold_rates = fold_tar_at_far(
      scores, same, folds, rule.rate_thresholds, _FOLD_FAR
    )
  if scores.ndim == 2:
    scores = scores[folds, np.arange(len(same))]
  return Verification(
    mode=mode,
    accuracy=float(result.accuracies.mean()),
    fold_accuracies=result.accuracies,
    fold_thresholds=result.thresholds,
    points={
      far: metrics.tar_at_far(scores, same, far)
      for far in metrics.resolvable_fars(int((~same).sum()))
    },
    fold_rates=fold_rates,
    auc=metrics.auc(scores, same),
    eer=metrics.eer(scores, same),
    scores=scores,
    same=same,
  )
