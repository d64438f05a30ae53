"""Verification of pairs whose probe, the second image, is damaged.

The thresholds stay those of the undamaged list, as a system in use keeps the
one it was given: accuracy, TAR and FAR at these say what damage does to it.
The accuracy at thresholds chosen anew says how much of that is lost for good,
and how much is a shift of all scores.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from facejax import files
from facejax.array_typing import Bool, Int
from facejax.data.protocols import PairList
from facejax.errors import UsageError
from facejax.evaluation import rates
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.modes import MODES
from facejax.evaluation.sources import EmbeddingSource
from facejax.evaluation.studies.damaged_probes import DamagedProbes
from facejax.evaluation.studies.degradations import DAMAGES, Number
from facejax.evaluation.studies.robustness_result import (
  DamagedRates,
  Robustness,
)
from facejax.evaluation.verification import verify_pairs
from facejax.evaluation.verification_result import Verification

NUM_PAIRS = 1000
_FINEST_FAR = 1e-3


def check_mode_fixed(mode: str) -> None:
  """Refuses a mode whose features depend on the other images of the test.

  Its mean would be taken over the damaged images too, and so repair a part of
  the damage, which no system in use can.

  Raises:
    UsageError: the mode is transductive.
  """
  if MODES[mode].transductive:
    fixed = [name for name, rule in MODES.items() if not rule.transductive]
    raise UsageError(
      f'--robustness: mode {mode} takes the mean of the test images away, the '
      f'damaged ones among them: use mode {" or ".join(fixed)}'
    )


def first_of_folds(
  same: Bool[np.ndarray, ' P'], folds: Int[np.ndarray, ' P'], *, count: int
) -> Int[np.ndarray, ' p']:
  """Places of about `count` pairs: the first of each kind in every fold.

  Args:
    same: bool [P], True for genuine pairs.
    folds: int [P], 0 .. F-1.
    count: pairs wanted, divided evenly over folds and kinds, at least one of
      each; of a list that has no more, all.
  """
  if count >= len(same):
    return np.arange(len(same))
  num_folds = int(folds.max()) + 1
  each = max(1, count // (2 * num_folds))
  places = [
    np.flatnonzero((folds == fold) & kind)[:each]
    for fold in range(num_folds)
    for kind in (same, ~same)
  ]
  return np.sort(np.concatenate(places))


def _part(pairs: PairList, places: Int[np.ndarray, ' p']) -> PairList:
  """Some pairs of a list."""
  return PairList(
    names_a=tuple(pairs.names_a[place] for place in places),
    names_b=tuple(pairs.names_b[place] for place in places),
    same=pairs.same[places],
    folds=pairs.folds[places],
  )


def _rows(embeddings: Embeddings, names: Sequence[str]) -> Embeddings:
  """The embeddings of some images."""
  place = {name: row for row, name in enumerate(embeddings.names)}
  rows = np.array([place[name] for name in names])
  return dataclasses.replace(
    embeddings,
    names=tuple(names),
    plain=embeddings.plain[rows],
    flip=None if embeddings.flip is None else embeddings.flip[rows],
  )


def _rates(
  result: Verification,
  threshold: float,
  pairs: PairList,
  firsts: Embeddings,
  probes: Embeddings,
) -> DamagedRates:
  """Rates of pairs of a first image and a probe.

  An image that stands first in one pair and second in another has a row in
  both: it is damaged only where it is second.
  """
  index_a, index_b = (
    np.array([place[name] for name in names])
    for place, names in (
      ({x: row for row, x in enumerate(firsts.names)}, pairs.names_a),
      ({x: row for row, x in enumerate(probes.names)}, pairs.names_b),
    )
  )
  flips = firsts.flip, probes.flip
  found = verify_pairs(
    np.concatenate([firsts.plain, probes.plain]),
    None if firsts.flip is None else np.concatenate(flips),
    index_a,
    index_b + len(firsts.names),
    pairs.same,
    pairs.folds,
    mode=result.mode,
    training_mean=firsts.training_mean,
    names=[*firsts.names, *probes.names],
    fars=(),
  )
  fixed = result.fold_thresholds[pairs.folds]
  right = (found.scores > fixed) == pairs.same
  of_folds = np.bincount(pairs.folds, right) / np.bincount(pairs.folds)
  accepted = found.scores > threshold
  return DamagedRates(
    accuracy=float(of_folds.mean()),
    accuracy_new_thresholds=found.accuracy,
    tar=float(accepted[pairs.same].mean()),
    far=float(accepted[~pairs.same].mean()),
  )


def _threshold_far(num_impostors: int) -> float:
  """The finest usual rate that so many pairs resolve, not under 1e-3."""
  usual = rates.resolvable_fars(num_impostors)
  return min(
    (far for far in usual if far >= _FINEST_FAR), default=1 / num_impostors
  )


def measure_robustness(
  source: EmbeddingSource,
  pairs: PairList,
  result: Verification,
  embeddings: Embeddings,
  *,
  kinds: Sequence[str],
  num_pairs: int = NUM_PAIRS,
  seed: int = 0,
) -> Robustness:
  """Verifies pairs again and again, their second images damaged.

  Args:
    source: a model and its images.
    pairs: the list.
    result: what was found without damage; its thresholds are kept.
    embeddings: of the undamaged images, from which the first ones are taken.
    kinds: names of DAMAGES.
    num_pairs: how many pairs are measured, those of `first_of_folds`; every
      level of every kind embeds their second images.
    seed: of the places of squares.

  Returns:
    TAR and FAR at the threshold of FAR 1e-3, or of the finest that the list
    resolves.

  Raises:
    DataError: an image cannot be read, or an embedding is not finite.
  """
  far = _threshold_far(int((~pairs.same).sum()))
  threshold = rates.tar_at_far(result.scores, result.same, far).threshold
  chosen = _part(
    pairs, first_of_folds(pairs.same, pairs.folds, count=num_pairs)
  )
  firsts = _rows(embeddings, sorted({*chosen.names_a}))
  probes = DamagedProbes(source, sorted({*chosen.names_b}), seed=seed)
  damaged: dict[str, dict[Number, DamagedRates]] = {kind: {} for kind in kinds}
  steps = [(kind, x) for kind in kinds for x in DAMAGES[kind].levels]
  for kind, level in files.progress(steps, desc='damaging', unit='level'):
    found = probes.embed(kind, level, flip=embeddings.flip is not None)
    damaged[kind][level] = _rates(result, threshold, chosen, firsts, found)
  return Robustness(
    mode=result.mode,
    far=far,
    threshold=float(result.measured(threshold)),
    num_genuine=int(chosen.same.sum()),
    num_impostors=int((~chosen.same).sum()),
    num_probes=len(probes.names),
    seed=seed,
    untouched=_rates(
      result, threshold, chosen, firsts, _rows(embeddings, probes.names)
    ),
    damaged=damaged,
  )
