"""Identification metrics: who is found, at which rank, above which score.

A probe's mate is the identity in the gallery that the probe shows. Its rank is
1 + the number of other identities whose best score is at least its own: a tie
is an error. Rank 0 says that the gallery holds no mate.
"""

from typing import NamedTuple

import numpy as np

from facejax.array_typing import Float, Int
from facejax.errors import DataError, UsageError
from facejax.evaluation import rates

MAX_RANK = 20


class Detections(NamedTuple):
  """Rates at every threshold that changes them.

  Attributes:
    far: float [T], share of impostor probes with a score above the threshold,
      from 0 rising to 1.
    dir: float [T], share of genuine probes found above it.
    thresholds: float [T], falling: every distinct score, then -inf.
  """

  far: Float[np.ndarray, ' T']
  dir: Float[np.ndarray, ' T']
  thresholds: Float[np.ndarray, ' T']


class DetectionPoint(NamedTuple):
  """A threshold and what it lets through.

  Attributes:
    dir: detection and identification rate, the share of genuine probes whose
      mate is found within the rank and scores above the threshold.
    far: share of impostor probes whose best match scores above it.
    threshold: a score; -inf lets everything through.
  """

  dir: float
  far: float
  threshold: float


def ranks_of_mates(
  scores: Float[np.ndarray, 'Q G'],
  probe_labels: Int[np.ndarray, ' Q'],
  gallery_labels: Int[np.ndarray, ' G'],
) -> Int[np.ndarray, ' Q']:
  """Ranks from a whole matrix of scores, for small cases.

  `scoring.ranking.match_probes` does it for large ones.

  Args:
    scores: float [Q, G], more is more alike.
    probe_labels: int [Q], identities.
    gallery_labels: int [G], identities, of one or more images each.

  Returns:
    Int [Q], from 1; 0 where the gallery holds no mate.

  Raises:
    DataError: a score is NaN.
  """
  if np.isnan(scores).any():
    probe, image = np.argwhere(np.isnan(scores))[0]
    raise DataError(f'the score of probe {probe}, gallery image {image} is NaN')
  identities, column = np.unique(gallery_labels, return_inverse=True)
  best = np.full((len(probe_labels), len(identities)), -np.inf)
  np.maximum.at(best, (slice(None), column), scores)
  is_mate = probe_labels[:, None] == identities[None, :]
  mate = np.where(is_mate, best, -np.inf).max(axis=1, initial=-np.inf)
  ahead = (~is_mate & (best >= mate[:, None])).sum(axis=1)
  return np.where(is_mate.any(axis=1), 1 + ahead, 0)


def cmc(
  ranks: Int[np.ndarray, ' Q'], max_rank: int = MAX_RANK
) -> Float[np.ndarray, ' R']:
  """Cumulative match characteristic: the share of probes found within a rank.

  Args:
    ranks: int [Q], from 1, of probes that all have a mate in the gallery.
    max_rank: R.

  Returns:
    float [R], never falling; the first is rank-1 accuracy.

  Raises:
    DataError: there are no probes, or some have no mate.
    UsageError: `max_rank` is below 1.
  """
  if max_rank < 1:
    raise UsageError(f'max_rank={max_rank}: ranks count from 1')
  without = int((ranks < 1).sum())
  if without or not len(ranks):
    raise DataError(
      f'{without} of {len(ranks)} probes have no mate in the gallery: a closed '
      'set needs probes, and a mate for each of them'
    )
  counts = np.bincount(ranks, minlength=max_rank + 1)[1 : max_rank + 1]
  return np.cumsum(counts) / len(ranks)


def _check_probes(genuine_scores, genuine_ranks, impostor_scores, rank):
  """Refuses what no rate can be read from."""
  if rank < 1:
    raise UsageError(f'rank={rank}: ranks count from 1')
  for kind, part in (
    ('genuine', genuine_scores),
    ('impostor', impostor_scores),
  ):
    if not len(part):
      raise DataError(f'there are no {kind} probes: an open set needs both')
    if not np.isfinite(part).all():
      probe = int(np.flatnonzero(~np.isfinite(part))[0])
      raise DataError(f'the score of {kind} probe {probe} is {part[probe]}')
  if (genuine_ranks < 1).any():
    probe = int(np.flatnonzero(genuine_ranks < 1)[0])
    raise DataError(f'genuine probe {probe} has no mate in the gallery')


def dir_curve(
  genuine_scores: Float[np.ndarray, ' Q'],
  genuine_ranks: Int[np.ndarray, ' Q'],
  impostor_scores: Float[np.ndarray, ' I'],
  *,
  rank: int = 1,
) -> Detections:
  """Detection and identification rate over the false-alarm rate, exact.

  Args:
    genuine_scores: float [Q], best score of the mate, for each probe that has
      one in the gallery.
    genuine_ranks: int [Q], the mate's rank, from 1.
    impostor_scores: float [I], best score of the whole gallery, for each probe
      without a mate.
    rank: within which a mate counts as found.

  Returns:
    One point for each distinct score, and one that lets everything through.

  Raises:
    DataError: probes of one kind only, or a score is not finite.
    UsageError: `rank` is below 1.
  """
  _check_probes(genuine_scores, genuine_ranks, impostor_scores, rank)
  distinct = np.unique(np.concatenate([genuine_scores, impostor_scores]))
  thresholds = np.append(distinct[::-1].astype(np.float64), -np.inf)
  found = genuine_scores[genuine_ranks <= rank]
  return Detections(
    far=rates.count_above(np.sort(impostor_scores), thresholds)
    / len(impostor_scores),
    dir=rates.count_above(np.sort(found), thresholds) / len(genuine_scores),
    thresholds=thresholds,
  )


def dir_at_far(
  genuine_scores: Float[np.ndarray, ' Q'],
  genuine_ranks: Int[np.ndarray, ' Q'],
  impostor_scores: Float[np.ndarray, ' I'],
  far: float | int,
  *,
  rank: int = 1,
  rule: str = 'at_most',
) -> DetectionPoint:
  """Detection and identification rate at a false-alarm rate.

  Of N impostor probes, rule 'at_most' takes as threshold the
  (floor(far * N) + 1)-th largest of their best scores, so at most far * N of
  them raise an alarm, ties included. Rule 'nearest' takes the point of the
  curve whose rate is nearest to `far`, of equally near ones the one that lets
  most through; it may let through more than was asked for.

  Args:
    genuine_scores: float [Q], as for `dir_curve`.
    genuine_ranks: int [Q], from 1.
    impostor_scores: float [I].
    far: the rate asked for, 1 / I <= far <= 1.
    rank: within which a mate counts as found.
    rule: 'at_most' or 'nearest'.

  Returns:
    The threshold with the rates it has on these probes.

  Raises:
    DataError: probes of one kind only, or a score is not finite.
    UsageError: `far` is finer than 1 / I, which no number of these probes can
      show; or the rank or the rule is unknown.

  References:
    spec 13.2 and 13.5.
  """
  _check_probes(genuine_scores, genuine_ranks, impostor_scores, rank)
  count = len(impostor_scores)
  if not (1 - 1e-12) / count <= far <= 1:
    raise UsageError(
      f'a false-alarm rate of {far:g} cannot be read from {count} impostor '
      f'probes: ask for {1 / count:.2g} to 1, or bring more probes'
    )
  point = rates.tar_at_far(
    np.concatenate([genuine_scores, impostor_scores]),
    np.arange(len(genuine_scores) + count) < len(genuine_scores),
    float(far),
    rule=rule,
  )
  found = (genuine_ranks <= rank) & (genuine_scores > point.threshold)
  return DetectionPoint(
    dir=float(found.mean()), far=point.far, threshold=point.threshold
  )
