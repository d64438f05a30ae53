"""Verification of pair lists: LFW and its kin, and any list of a user.

Numbers and how they compare with those of published tools, for the same
embeddings:

- Mode insightface gives the accuracy, its deviation over the folds and, as
  `fold_tar_at_far`, the VAL at FAR 1e-3 of InsightFace's verification.py
  (thresholds 0 .. 4 in steps of 0.01, and of 0.001 for VAL). Logs of
  arcface_torch print the highest accuracy over a whole training, chosen on
  the test set; this is one accuracy of one model.
- Mode sphereface gives that of SphereFace's evaluation code (the mean of the
  other folds removed, thresholds -1 .. 1 in steps of 1e-4).
- FaceX-Zoo takes the threshold of the largest TAR - FAR among 1,000 between
  the smallest and the largest cosine: accuracies may differ by some
  hundredths of a point. The deviation that it prints is the standard error of
  the mean, which over ten folds is a third of the deviation here.
- AUC and EER are those of the straight-line ROC through every point, as in
  scikit-learn; TAR at FAR never interpolates.
"""

import functools
from collections.abc import Sequence
from typing import Any

from facejax import files
from facejax.data.protocols import PairList
from facejax.evaluation import verification
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.modes import MODES, check_mode
from facejax.evaluation.protocols.chosen_pairs import find_pairs, published
from facejax.evaluation.protocols.confused_pairs import (
  confused_pairs,
  most_confused,
)
from facejax.evaluation.protocols.pair_sets import PAIR_SETS
from facejax.evaluation.protocols.pair_studies import OPTIONS, read_studies
from facejax.evaluation.protocols.protocol import (
  ALL_MODES,
  Protocol,
  common_result,
)
from facejax.evaluation.rates import check_far
from facejax.evaluation.reporting.curves import ConfusedPair, Curves
from facejax.evaluation.reporting.paired import DECISIONS
from facejax.evaluation.reporting.report import Report
from facejax.evaluation.sources import EmbeddingSource
from facejax.evaluation.studies.robustness_result import Robustness
from facejax.evaluation.verification_result import Verification


def _modes(mode: str, source: EmbeddingSource) -> dict[str, str | None]:
  """The modes to run, each with the reason why it cannot be (None: it can)."""
  if mode != ALL_MODES:
    return {mode: None}
  reasons = dict.fromkeys(MODES)
  if not source.has_flip:
    for name, rule in MODES.items():
      if rule.needs_flip:
        reasons[name] = 'no embeddings of the mirrored images'
  if source.training_mean is None:
    reasons['centred'] = 'no mean embedding of training faces'
  return reasons


def _check(
  source: EmbeddingSource,
  pairs: PairList,
  names: Sequence[str],
  fars: Sequence[float] | None,
) -> None:
  """Refuses what cannot be measured, before any embedding."""
  for name in names:
    check_mode(
      name,
      has_flip=source.has_flip,
      has_mean=source.training_mean is not None,
    )
  verification.check_pairs(pairs.same, pairs.folds)
  for far in fars or ():
    check_far(far, int((~pairs.same).sum()))


def verify(
  source: EmbeddingSource,
  pairs: PairList,
  *,
  mode: str,
  fars: Sequence[float] | None = None,
) -> tuple[dict[str, Verification], dict[str, str], Embeddings]:
  """Verifies a pair list in one mode or in all, from one embedding pass.

  Args:
    source: gives the embeddings of the images.
    pairs: the pair list.
    mode: a name of `modes.MODES`, or 'all'.
    fars: false-accept rates to report; None reports the decades that the
      list resolves.

  Returns:
    Results by mode; why a mode of 'all' was left out, by mode; the
    embeddings.

  Raises:
    DataError: an image is missing or unreadable, an embedding is not finite,
      or the list has pairs of one kind only.
    UsageError: the mode is unknown or lacks what it needs, or the list cannot
      resolve a rate.
  """
  reasons = _modes(mode, source)
  skipped = {name: why for name, why in reasons.items() if why}
  names = [name for name in reasons if name not in skipped]
  _check(source, pairs, names, fars)
  images = pairs.images()
  embeddings = source.embed(
    images, flip=any(MODES[name].needs_flip for name in names)
  )
  index_a, index_b = pairs.index(images)
  results = {
    name: verification.verify_pairs(
      embeddings.plain,
      embeddings.flip,
      index_a,
      index_b,
      pairs.same,
      pairs.folds,
      mode=name,
      training_mean=embeddings.training_mean,
      names=images,
      fars=fars,
    )
    for name in names
  }
  return results, skipped, embeddings


def _curves(
  results: dict[str, Verification], damaged: Robustness | None
) -> Curves:
  """What is drawn of each mode, and of damaged images."""
  return Curves(
    roc={name: result.roc_curve() for name, result in results.items()},
    histogram={name: result.histogram() for name, result in results.items()},
    degradation={} if damaged is None else damaged.curves(),
  )


def _confused(
  source: EmbeddingSource, pairs: PairList, result: Verification
) -> tuple[ConfusedPair, ...]:
  """The pairs furthest on the wrong side of their folds' thresholds."""
  worst = most_confused(result.excess(), pairs.same)
  return confused_pairs(
    source,
    [pairs.names_a[place] for place in worst],
    [pairs.names_b[place] for place in worst],
    result.measured(result.scores[worst]),
    pairs.same[worst],
  )


def evaluate_pairs(
  protocol: str,
  source: EmbeddingSource,
  *,
  mode: str,
  pairs: files.PathLike | None = None,
  far: Sequence[float] | None = None,
  **studies: Any,
) -> Report:
  """Verifies the pair list of a protocol.

  The result says `official: true` only of a list whose counts of pairs,
  genuine pairs and folds are the published ones of the protocol, and names
  the set; of any other a line on stderr says the difference. The confused
  pairs of 'all' are those of its first mode.

  Args:
    protocol: a name of PAIR_SETS; 'pairs' takes any list.
    source: gives the embeddings of the images that the list names.
    mode: a name of `modes.MODES`, or 'all'.
    pairs: the pair list, or CFP's folder of them. None for one of a usual
      name beside the data, and for a `.bin`, which has its own.
    far: false-accept rates to report; None reports the decades that the list
      resolves.
    **studies: rates of groups of people and under damage, the options of
      `read_studies`.

  Raises:
    DataError: the list, an image or an embedding cannot be used.
    UsageError: the mode is unknown or lacks what it needs, pairs are missing,
      the list cannot resolve a rate, or a study cannot be made.
  """
  asked = read_studies(**studies)
  pair_list, place = find_pairs(protocol, source, pairs)
  asked.check(source, pair_list, mode=mode)
  official = published(protocol, pair_list)
  fars = None if far is None else sorted({*far}, reverse=True)
  results, skipped, embeddings = verify(source, pair_list, mode=mode, fars=fars)
  damaged = asked.of_damage(source, pair_list, results, embeddings)
  modes = {
    name: found.to_json() | asked.of_groups(found, pair_list)
    for name, found in results.items()
  }
  result = {
    **common_result(protocol, source, mode=mode),
    'pairs': place,
    **official,
    'num_pairs': len(pair_list.same),
    'num_images': len(embeddings.names),
    **asked.of_table(pair_list),
    **({} if damaged is None else damaged.to_json()),
  }
  if mode == ALL_MODES:
    result |= {'modes': modes, 'skipped': skipped}
  else:
    result |= modes[mode]
  return Report(
    result,
    title=f'{official["set"] or protocol}: {len(pair_list.same):,} pairs',
    curves=_curves(results, damaged),
    confused=_confused(source, pair_list, next(iter(results.values()))),
    measurements={'same': pair_list.same}
    | {
      f'{DECISIONS}{name}': (found.excess() > 0) == found.same
      for name, found in results.items()
    },
  )


PROTOCOLS: dict[str, Protocol] = {
  name: Protocol(
    functools.partial(evaluate_pairs, name),
    frozenset({'pairs', 'far', 'save_embeddings'}) | OPTIONS,
    all_modes=True,
  )
  for name in PAIR_SETS
}
