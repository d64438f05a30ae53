"""Every metric of verification and identification, under one name.

A score says how alike two faces are, more is more alike. A pair is accepted
if and only if its score is greater than the threshold: a tie is a rejection,
of genuine and of impostor pairs alike. A distance d is scored as -d.
"""

from facejax.evaluation.folds import (
  FoldAccuracy,
  fold_sizes,
  kfold_accuracy,
)
from facejax.evaluation.identification.ranks import cmc, dir_at_far
from facejax.evaluation.rates import (
  FARS,
  OperatingPoint,
  Roc,
  auc,
  check_far,
  count_above,
  eer,
  far_name,
  resolvable_fars,
  roc,
  split_scores,
  tar_at_far,
)

__all__ = [
  'FARS',
  'FoldAccuracy',
  'OperatingPoint',
  'Roc',
  'auc',
  'check_far',
  'cmc',
  'count_above',
  'dir_at_far',
  'eer',
  'far_name',
  'fold_sizes',
  'kfold_accuracy',
  'resolvable_fars',
  'roc',
  'split_scores',
  'tar_at_far',
]
