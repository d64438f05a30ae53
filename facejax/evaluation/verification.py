"""Pair verification from embeddings: accuracy, ROC and operating points."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.evaluation import rates
from facejax.evaluation.folds import (
  fold_sizes,
  fold_tar_at_far,
  kfold_accuracy,
)
from facejax.evaluation.modes import (
  MODES,
  EmbeddedPairs,
  check_embeddings,
  check_mode,
)
from facejax.evaluation.verification_result import FOLD_FAR, Verification


def check_pairs(
  same: Bool[np.ndarray, ' P'], folds: Int[np.ndarray, ' P']
) -> None:
  """Refuses a list that no accuracy can come from, before any embedding.

  Raises:
    DataError: pairs of one kind only, or fewer than two folds.
  """
  rates.split_scores(np.zeros(len(same)), same)
  fold_sizes(folds)


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


def _measure(
  pairs: EmbeddedPairs, mode: str, fars: Sequence[float] | None
) -> Verification:
  """Scores the pairs, and measures fold by fold and over all."""
  same, folds, rule = pairs.same, pairs.folds, MODES[mode]
  scores = rule.scores(pairs)
  result = kfold_accuracy(
    scores, same, folds, rule.thresholds, choice=rule.choice
  )
  fold_rates = None
  if rule.rate_thresholds is not None:
    fold_rates = fold_tar_at_far(
      scores, same, folds, rule.rate_thresholds, FOLD_FAR
    )
  if scores.ndim == 2:
    scores = scores[folds, np.arange(len(same))]
  if fars is None:
    fars = rates.resolvable_fars(int((~same).sum()))
  return Verification(
    mode=mode,
    accuracy=float(result.accuracies.mean()),
    fold_accuracies=result.accuracies,
    fold_thresholds=result.thresholds,
    points={far: rates.tar_at_far(scores, same, far) for far in fars},
    fold_rates=fold_rates,
    auc=rates.auc(scores, same),
    eer=rates.eer(scores, same),
    scores=scores,
    same=same,
    folds=folds,
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
  fars: Sequence[float] | None = None,
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
    fars: false-accept rates to report; None reports the decades 1e-1 .. 1e-6
      that the set resolves.

  Returns:
    Accuracy at the threshold of the other folds, and the rates of all pairs.

  Raises:
    DataError: an embedding is not finite, or there are pairs of one kind only
      or fewer than two folds.
    UsageError: the mode is unknown or lacks what it needs, or the set cannot
      resolve a rate.

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
  return _measure(pairs, mode, fars)
