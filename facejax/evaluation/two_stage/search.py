"""Looks probes up in two stages, with every number of candidates at once."""

from typing import NamedTuple

import numpy as np

from facejax import files
from facejax.array_typing import Float, Int, UInt8
from facejax.evaluation.identification.closed_set import check_closed_set
from facejax.evaluation.two_stage.codes import VECTOR_BYTES, pack_codes
from facejax.evaluation.two_stage.result import (
  ASYMMETRIC,
  HAMMING,
  STAGES,
  TwoStageResult,
)
from facejax.evaluation.two_stage.running_best import (
  NOBODY,
  columns_of_keys,
  make_keys,
  scores_part,
  walk,
)
from facejax.evaluation.two_stage.shares import Shares
from facejax.evaluation.two_stage.sums import (
  FloatAnswers,
  RadiusSums,
  StageSums,
)
from facejax.search import scan
from facejax.search.vectors import StoredVectors, store_vectors

DEFAULT_CANDIDATES = 100
_BLOCK = 1 << 21  # probes times images at a time, some 16 MiB an array


class Searched(NamedTuple):
  """Probes and a gallery as a search sees them.

  Attributes:
    probes: float32 [Q, D], unit norm.
    probe_logits: float32 [Q, L].
    probe_labels: int [Q].
    codes: uint8 [G, L // 8], of the gallery.
    vectors: of the gallery.
    gallery_labels: int [G].
  """

  probes: Float[np.ndarray, 'Q D']
  probe_logits: Float[np.ndarray, 'Q L']
  probe_labels: Int[np.ndarray, ' Q']
  codes: UInt8[np.ndarray, 'G _']
  vectors: StoredVectors
  gallery_labels: Int[np.ndarray, ' G']


def as_searched(
  features: Float[np.ndarray, 'N D'],
  logits: Float[np.ndarray, 'N L'],
  labels: Int[np.ndarray, ' N'],
  gallery_index: Int[np.ndarray, ' G'],
  probe_index: Int[np.ndarray, ' Q'],
) -> Searched:
  """Probes and gallery of a split; arguments as of `search_closed_set`."""
  return Searched(
    probes=features[probe_index],
    probe_logits=logits[probe_index],
    probe_labels=labels[probe_index],
    codes=pack_codes(logits[gallery_index]),
    vectors=store_vectors(features[gallery_index], 'float32'),
    gallery_labels=labels[gallery_index],
  )


def _cosines(
  probes: Float[np.ndarray, 'B D'], vectors: StoredVectors, num_gallery: int
) -> Float[np.ndarray, 'B G']:
  """All cosines, to the bit those of the second stage."""
  everybody = np.broadcast_to(
    np.arange(num_gallery), (len(probes), num_gallery)
  )
  found, rows = scan.rank_candidates(
    probes, vectors, np.ascontiguousarray(everybody), num_gallery
  )
  scores = np.empty_like(found)
  np.put_along_axis(scores, rows, found, 1)
  return scores


def _orders(logits, codes):
  """Order and merits of the gallery in both first stages, [B, G] each."""
  count = len(codes)
  distances, by_distance = scan.top_hamming(pack_codes(logits), codes, count)
  scores, by_score = scan.top_asymmetric(logits, codes, count)
  return {HAMMING: (by_distance, -distances), ASYMMETRIC: (by_score, scores)}


def _answers_by_vectors(
  searched: Searched, gallery: Float[np.ndarray, 'G D']
) -> tuple[Int[np.ndarray, ' Q'], dict[str, float]]:
  """Answers of exhaustive search, and its Rank-1 by the type of vectors."""
  answers, rank1 = {}, {}
  for name in VECTOR_BYTES:
    vectors = store_vectors(gallery, name)
    _, rows = scan.top_cosine(searched.probes, vectors, 1)
    answers[name] = rows[:, 0]
    right = searched.gallery_labels[rows[:, 0]] == searched.probe_labels
    rank1[name] = float(right.mean())
  return answers['float32'], rank1


def _float_answers(scores, keys, is_mate) -> FloatAnswers:
  """What cosines alone say of a block of probes."""
  mates = np.where(is_mate, keys, NOBODY).max(axis=1)
  others = np.where(is_mate, NOBODY, keys).max(axis=1)
  rows = columns_of_keys(mates)
  return FloatAnswers(
    mates=rows,
    mate_scores=np.take_along_axis(scores, rows[:, None], 1)[:, 0],
    right=mates > others,
    right_strict=scores_part(mates) > scores_part(others),
  )


def _search_blocks(
  searched: Searched, sums: dict[str, StageSums], within: RadiusSums | None
) -> tuple[FloatAnswers, list[np.ndarray]]:
  """Searches a block of probes after the other.

  Args:
    searched: probes and gallery.
    sums: by the first stage; the blocks are added to it.
    within: the same of the radius rule, if it is asked for.

  Returns:
    What cosines alone say, and the rows that each first stage ends at with the
    whole gallery as candidates.
  """
  count = len(searched.gallery_labels)
  size = max(1, _BLOCK // count)
  floats, last = [], {stage: [] for stage in sums}
  for start in files.progress(
    range(0, len(searched.probes), size),
    desc='searching',
    unit='block',
    delay=5,
  ):
    part = slice(start, start + size)
    scores = _cosines(searched.probes[part], searched.vectors, count)
    keys = make_keys(scores)
    is_mate = searched.probe_labels[part, None] == searched.gallery_labels
    floats.append(_float_answers(scores, keys, is_mate))
    orders = _orders(searched.probe_logits[part], searched.codes)
    for stage, (order, merits) in orders.items():
      found = walk(order, merits, keys, is_mate)
      sums[stage].add(found, scores)
      last[stage].append(columns_of_keys(found.best[:, -1]))
      if within is not None and stage == HAMMING:
        within.add(found, merits)
  joined = FloatAnswers(*map(np.concatenate, zip(*floats, strict=True)))
  return joined, [np.concatenate(rows) for rows in last.values()]


def search_closed_set(
  features: Float[np.ndarray, 'N D'],
  logits: Float[np.ndarray, 'N L'],
  labels: Int[np.ndarray, ' N'],
  gallery_index: Int[np.ndarray, ' G'],
  probe_index: Int[np.ndarray, ' Q'],
  *,
  candidates: int = DEFAULT_CANDIDATES,
  radius: int | None = None,
) -> TwoStageResult:
  """Looks every probe up by floats, by codes, and by codes and then floats.

  Distances, scores and orders are those of `search.scan`, so what is measured
  is what an index answers. Work and time grow with Q times G.

  Args:
    features: float32 [N, D], unit norm.
    logits: float32 [N, L], L a multiple of 8; bit = logit > 0.
    labels: int [N], the person of every row.
    gallery_index: int [G], rows; one or more a person, of which the best
      counts.
    probe_index: int [Q], other rows.
    candidates: c that single answers are given for; a gallery that is smaller
      is taken whole.
    radius: a Hamming distance, for the radius rule too.

  Raises:
    DataError: an image in both, or a probe without mate.

  References:
    spec 5, 13.2, 13.5.
  """
  check_closed_set(labels, gallery_index, probe_index)
  gallery = features[gallery_index]
  searched = as_searched(features, logits, labels, gallery_index, probe_index)
  candidates = min(candidates, len(gallery))
  sums = {stage: StageSums(len(gallery), candidates) for stage in STAGES}
  within = None if radius is None else RadiusSums(radius)
  floats, last = _search_blocks(searched, sums, within)
  exhaustive, by_vectors = _answers_by_vectors(searched, gallery)
  stages = {stage: each.whole() for stage, each in sums.items()}
  return TwoStageResult(
    gallery_index=gallery_index,
    probe_index=probe_index,
    num_identities=len(np.unique(searched.gallery_labels)),
    candidates=candidates,
    shares=Shares(
      rank1=float(floats.right_strict.mean()),
      rank1_lower_row=float(floats.right.mean()),
      by_stage={stage: shares for stage, (shares, _) in stages.items()},
    ),
    answers={stage: answers for stage, (_, answers) in stages.items()},
    mates=floats.mates,
    mate_scores=floats.mate_scores,
    float_right=floats.right_strict,
    equals_float_search=all(np.array_equal(x, exhaustive) for x in last),
    by_vectors=by_vectors,
    radius=None if within is None else within.whole(),
  )
