"""Results of each fold at a threshold that the other folds fix."""

from typing import NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.errors import DataError, UsageError
from facejax.evaluation.rates import count_above


class FoldAccuracy(NamedTuple):
  """Accuracy of every fold at the threshold of the other folds.

  Attributes:
    accuracies: float [F], share of pairs decided rightly.
    thresholds: float [F], scores.
  """

  accuracies: Float[np.ndarray, ' F']
  thresholds: Float[np.ndarray, ' F']


class FoldRates(NamedTuple):
  """Rates of the F folds.

  Attributes:
    tar: float [F], share of the fold's genuine pairs accepted.
    far: float [F], share of its impostor pairs accepted.
    thresholds: float [F], scores.
  """

  tar: Float[np.ndarray, ' F']
  far: Float[np.ndarray, ' F']
  thresholds: Float[np.ndarray, ' F']


def fold_sizes(folds: Int[np.ndarray, ' P']) -> Int[np.ndarray, ' F']:
  """Pairs in each fold.

  Raises:
    DataError: there are fewer than two folds or an empty one.
  """
  counts = np.bincount(folds)
  if len(counts) < 2 or not counts.all():
    raise DataError(
      f'folds of {counts.tolist()} pairs: k-fold accuracy needs two or more, '
      'none empty (at least two genuine and two impostor pairs)'
    )
  return counts


def _best_threshold(
  scores: Float[np.ndarray, ' P'],
  same: Bool[np.ndarray, ' P'],
  thresholds: Float[np.ndarray, ' T'],
  choice: str,
) -> float:
  """The threshold of the highest accuracy, by cumulative counts."""
  correct = count_above(np.sort(scores[same]), thresholds)
  correct = correct - count_above(np.sort(scores[~same]), thresholds)
  if choice == 'first':
    return float(thresholds[np.argmax(correct)])
  return float(thresholds[correct == correct.max()].mean())


def kfold_accuracy(
  scores: Float[np.ndarray, ' P'] | Float[np.ndarray, 'F P'],
  same: Bool[np.ndarray, ' P'],
  folds: Int[np.ndarray, ' P'],
  thresholds: Float[np.ndarray, ' T'],
  *,
  choice: str = 'mean',
) -> FoldAccuracy:
  """Accuracy of each fold at the best threshold of the other folds.

  Args:
    scores: float [P], more is more alike; or [F, P] where every fold scores
      all pairs in its own way (a mean over the other folds, for one).
    same: bool [P], True for genuine pairs.
    folds: int [P], 0 .. F-1, none empty.
    thresholds: float [T], the candidates.
    choice: which of equally good candidates: 'first' in the order given, or
      the 'mean' of them all.

  Returns:
    Accuracies and thresholds of the F folds.

  Raises:
    DataError: there are fewer than two folds or an empty one.
    UsageError: the choice is unknown.
  """
  if choice not in ('first', 'mean'):
    raise UsageError(f"choice {choice!r}: use 'first' or 'mean'")
  scores = np.broadcast_to(scores, (len(fold_sizes(folds)), len(same)))
  accuracies, chosen = [], []
  for fold, row in enumerate(scores):
    test = folds == fold
    best = _best_threshold(row[~test], same[~test], thresholds, choice)
    accuracies.append(np.mean((row[test] > best) == same[test]))
    chosen.append(best)
  return FoldAccuracy(np.array(accuracies), np.array(chosen))


def fold_tar_at_far(
  scores: Float[np.ndarray, ' P'],
  same: Bool[np.ndarray, ' P'],
  folds: Int[np.ndarray, ' P'],
  thresholds: Float[np.ndarray, ' T'],
  far: float,
) -> FoldRates | None:
  """TAR of each fold where the FAR of the other folds is `far`.

  The threshold lies between two candidates, the last at which the other folds
  accept a share of at most `far` and the next, by linear interpolation of the
  share (the 'VAL' of FaceNet and InsightFace). A fold's own FAR may come out
  above `far`.

  Args:
    scores: float [P], more is more alike.
    same: bool [P], True for genuine pairs.
    folds: int [P], 0 .. F-1, none empty.
    thresholds: float [T], candidates, falling.
    far: the rate asked for.

  Returns:
    Rates and thresholds, or None where they have no meaning: a fold has pairs
    of one kind only, or the other folds of some fold cannot resolve `far`.

  References:
    spec 13.1, mode IF; calculate_val of InsightFace's verification.py.
  """
  num_folds = len(fold_sizes(folds))
  genuine, impostor = (
    np.bincount(folds[kind], minlength=num_folds) for kind in (same, ~same)
  )
  others = impostor.sum() - impostor
  if not genuine.all() or not impostor.all() or others.min() * far < 1:
    return None
  rates = []
  for fold in range(num_folds):
    test = folds == fold
    accepted = count_above(np.sort(scores[~test & ~same]), thresholds)
    if accepted[-1] < far * others[fold]:
      best = thresholds[0]  # the tools accept nothing then
    else:
      best = np.interp(far, accepted / others[fold], thresholds)
    above = scores > best
    rates.append((above[test & same].mean(), above[test & ~same].mean(), best))
  return FoldRates(*np.array(rates).T)
