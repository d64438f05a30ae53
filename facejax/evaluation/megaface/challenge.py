"""MegaFace challenge 1: probes among distractors, identified and verified.

The scores of all probes with all distractors are computed once, block by
block, and never stored: memory does not grow with the number of distractors.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from facejax.array_typing import Float, Int
from facejax.errors import DataError
from facejax.evaluation import rates
from facejax.evaluation.all_pairs.result import AllPairs
from facejax.evaluation.all_pairs.scores import (
  genuine_pairs,
  genuine_scores,
  operating_points,
)
from facejax.evaluation.megaface.distractors import Distractors
from facejax.evaluation.megaface.result import MegaFace, count_hits
from facejax.evaluation.scoring import keys
from facejax.evaluation.scoring.impostors import ImpostorScores

FARS = (1e-3, 1e-4, 1e-5, 1e-6)
MAX_RANK = 20
_LONGEST_TAIL = 4_000_000


def _rank1_by_size(
  pairs: AllPairs,
  features: Float[np.ndarray, 'Q D'],
  labels: Int[np.ndarray, ' Q'],
  distractors: Distractors,
  best: Float[np.ndarray, ' Q'],
  mesh: Mesh | None,
) -> dict[int, float]:
  """Rank-1 rate among the first 10, 100, ... distractors, and among all.

  Sizes of more than half of all are left out: they would cost another pass.
  """
  total, trials = len(distractors), 2 * len(pairs.genuine)
  sizes = [10**k for k in range(1, 16) if 2 * 10**k <= total]
  found, so_far = {}, np.full(len(labels), -np.inf, np.float32)
  for start, stop in zip([0, *sizes], sizes, strict=False):
    part = ImpostorScores(
      features,
      labels,
      functools.partial(distractors.blocks, start, stop),
      stop - start,
      mesh,
    ).collect(best=1, desc=f'first {stop:,}')
    so_far = np.maximum(so_far, part.best[:, 0])
    found[stop] = float(count_hits(pairs, so_far).sum() / trials)
  found[total] = float(count_hits(pairs, best).sum() / trials)
  return found


def score_megaface(
  features: Float[np.ndarray, 'Q D'],
  labels: Int[np.ndarray, ' Q'],
  distractors: Distractors,
  *,
  fars: Sequence[float] | None = None,
  mesh: Mesh | None = None,
) -> MegaFace:
  """Identifies and verifies probes among distractors.

  For each ordered pair (i, j) of one person's probes, image i joins the
  distractors and j looks for it. Probes of people with one image have no mate
  to find; they count in verification only. Memory: the probes' features, a
  block of distractors, 12 bytes for a genuine pair and for each impostor pair
  that the largest rate accepts, of at most four millions.

  Args:
    features: float32 [Q, D], unit norm.
    labels: int [Q], the person of every probe, 0 .. P - 1.
    distractors: M images of other people, of the same dimension.
    fars: the rates asked for; by default 1e-3 .. 1e-6, as far as the pairs
      resolve them.
    mesh: its devices share the work; None takes all of this process.

  Raises:
    DataError: nobody has two probes, or the dimensions differ.
    UsageError: the pairs do not resolve a rate that was asked for.

  References:
    spec 13.4.
  """
  labels = np.asarray(labels, np.int32)
  mates = genuine_pairs(labels)
  if not mates.shape[1]:
    raise DataError('nobody has two probe images: there is no mate to find')
  dimension = distractors.read(0, 1).shape[1]
  if dimension != features.shape[1]:
    raise DataError(
      f'probes have {features.shape[1]} values, distractors {dimension}: they '
      'must come from one model, in one mode'
    )
  total = len(distractors)
  impostors = ImpostorScores(features, labels, distractors.blocks, total, mesh)
  count = impostors.count_pairs()
  if fars is None:
    fars = [far for far in rates.resolvable_fars(count) if far in FARS]
  for far in fars:
    rates.check_far(far, count)
  unreachable = len(labels) * distractors.num_out_of_reach
  accepted = max((rates.num_accepted(far, count) for far in fars), default=0)
  kept = impostors.collect(
    counts=True,
    tail=min(max(accepted + 1, 1000), _LONGEST_TAIL, count - unreachable),
    best=MAX_RANK,
    desc=f'{total:,} distractors',
  )
  genuine = genuine_scores(features, mates)
  points = operating_points(impostors, kept, genuine, fars, count)
  # What is out of reach is no more alike than opposites are.
  counts = kept.counts.copy()
  counts[int(keys.classes(jnp.float32(-1)))] += unreachable
  pairs = AllPairs(labels, *mates, genuine, kept.tail, counts, points)
  by_size = _rank1_by_size(
    pairs, features, labels, distractors, kept.best[:, 0], mesh
  )
  return MegaFace(pairs, kept.best, by_size, len(labels), total)
