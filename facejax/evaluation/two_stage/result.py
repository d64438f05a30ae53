"""What a two-stage search of a closed set found, and what is said of it."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.reporting.curves import Curves
from facejax.evaluation.two_stage.shares import (
  Shares,
  StageShares,
  candidate_curve,
  listed_candidates,
  smallest_candidates,
)

HAMMING, ASYMMETRIC = 'hamming', 'asymmetric'
STAGES = (HAMMING, ASYMMETRIC)
TIE_RULES = {
  'rank1': (
    'equal cosines, or of codes alone equal distances, are errors, as in every '
    'protocol (spec 13.5)'
  ),
  'rank1_lower_row': (
    'of equal ones the lower row of the gallery is the answer, as '
    'launch.search gives it (spec 5)'
  ),
  'candidates': 'of equal distances the lower row comes first',
}


class Answers(NamedTuple):
  """What every probe is told, row by row of the gallery.

  Attributes:
    places: int64 [Q], place of the first mate in the first stage's order,
      from 1.
    rows: int64 [Q], the answer with the candidates asked for.
    scores: float32 [Q], its cosine.
    right: bool [Q], whether it is a mate, ties as errors.
  """

  places: Int[np.ndarray, ' Q']
  rows: Int[np.ndarray, ' Q']
  scores: Float[np.ndarray, ' Q']
  right: Bool[np.ndarray, ' Q']


class RadiusResult(NamedTuple):
  """All images within a Hamming distance as candidates.

  A probe with none within it is looked up in the whole gallery (spec 5).

  Attributes:
    radius: the distance.
    counts: int64 [Q], candidates of every probe; 0 before the whole gallery
      is taken.
    rank1: ties as errors.
    rank1_lower_row: ties to the lower row.
  """

  radius: int
  counts: Int[np.ndarray, ' Q']
  rank1: float
  rank1_lower_row: float

  def to_json(self) -> dict[str, Any]:
    """JSON values."""
    return {
      'radius': self.radius,
      'rank1': self.rank1,
      'rank1_lower_row': self.rank1_lower_row,
      'num_empty_sets': int((self.counts == 0).sum()),
      'mean_candidates': float(self.counts.mean()),
      'median_candidates': float(np.median(self.counts)),
      'max_candidates': int(self.counts.max()),
    }


@dataclasses.dataclass(frozen=True)
class TwoStageResult:
  """Who is found by float search, by codes, and by both.

  Attributes:
    gallery_index: int [G], rows of the features.
    probe_index: int [Q], rows of the features.
    num_identities: people in the gallery.
    candidates: c of the answers, at most G.
    shares: of probes, for every c.
    answers: by the first stage, with c candidates.
    mates: int64 [Q], every probe's most similar mate, row of the gallery.
    mate_scores: float32 [Q], its cosine.
    float_right: bool [Q], whether float search finds a mate, ties as errors.
    equals_float_search: whether with c = G both first stages give every probe
      the very answer of the exhaustive search of `search.scan`.
    by_vectors: Rank-1 of exhaustive search, ties to the lower row, by the
      type that the gallery's vectors are stored in.
    radius: with all images within a distance as candidates, if asked for.
  """

  gallery_index: Int[np.ndarray, ' G']
  probe_index: Int[np.ndarray, ' Q']
  num_identities: int
  candidates: int
  shares: Shares
  answers: dict[str, Answers]
  mates: Int[np.ndarray, ' Q']
  mate_scores: Float[np.ndarray, ' Q']
  float_right: Bool[np.ndarray, ' Q']
  equals_float_search: bool
  by_vectors: dict[str, float]
  radius: RadiusResult | None = None

  def lost(self, count: int) -> Int[np.ndarray, ' P']:
    """Probes that the Hamming two-stage search answers wrongly.

    First those that float search finds, which the codes lost, then the others;
    each kind by the margin of the answer over the mate, the largest first.
    """
    answers = self.answers[HAMMING]
    wrong = np.flatnonzero(~answers.right)
    margins = answers.scores[wrong] - self.mate_scores[wrong]
    order = np.lexsort((-margins, ~self.float_right[wrong]))
    return wrong[order[:count]]


def make_curves(shares: Shares) -> Curves:
  """Recall and Rank-1 over candidates, to draw."""
  return Curves(
    candidates={stage: candidate_curve(shares, stage) for stage in STAGES}
  )


def _rank1(
  found: tuple[float, float],
  deviations: tuple[float, float] | None,
  num_probes: int,
) -> dict[str, Any]:
  """Rank-1 by both rules for ties, with an interval or a deviation."""
  values = dict(zip(('rank1', 'rank1_lower_row'), found, strict=True))
  if deviations is None:
    # Photos of one person are not independent: it is a little too narrow.
    return values | {'interval_95': list(wilson_interval(found[0], num_probes))}
  return values | {'std': deviations[0], 'rank1_lower_row_std': deviations[1]}


def _both_stages(
  found: StageShares, deviations: StageShares | None, c: int, num_probes: int
) -> dict[str, Any]:
  """Rates of a two-stage search with c candidates and others."""
  num_gallery = len(found.recall)
  listed = listed_candidates(num_gallery)
  at = c - 1
  spread = deviations and (
    float(deviations.two_stage[at]),
    float(deviations.two_stage_lower_row[at]),
  )
  rank1 = float(found.two_stage[at]), float(found.two_stage_lower_row[at])
  return {
    'candidates': c,
    **_rank1(rank1, spread, num_probes),
    'recall': float(found.recall[at]),
    'rank1_at_candidates': {
      str(n): float(found.two_stage[n - 1]) for n in listed
    },
    'recall_at_candidates': {
      str(n): float(found.recall[n - 1]) for n in listed
    },
  }


def to_json(
  shares: Shares, deviations: Shares | None, *, candidates: int, num_probes: int
) -> dict[str, Any]:
  """Rates of float search, of codes alone and of both, as JSON values.

  Args:
    shares: of a split, or the mean over draws.
    deviations: over draws, or None.
    candidates: c of the main rates.
    num_probes: Q, behind the intervals.

  Returns:
    `float_search`, `hamming_alone`, `asymmetric_alone`, `two_stage_hamming`
    and `two_stage_asymmetric`, each with `rank1` (ties as errors) and
    `rank1_lower_row`; those of two stages with `recall`, both at other numbers
    of candidates, and `smallest_candidates` for 99.9 % of float search.
  """
  spread = deviations and (deviations.rank1, deviations.rank1_lower_row)
  whole = shares.rank1, shares.rank1_lower_row
  values = {'float_search': _rank1(whole, spread, num_probes)}
  for stage in STAGES:
    found = shares.by_stage[stage]
    other = deviations and deviations.by_stage[stage]
    values[f'{stage}_alone'] = _rank1(
      (found.rank1, found.rank1_lower_row),
      other and (other.rank1, other.rank1_lower_row),
      num_probes,
    )
  for stage in STAGES:
    found = shares.by_stage[stage]
    other = deviations and deviations.by_stage[stage]
    values[f'two_stage_{stage}'] = {
      **_both_stages(found, other, candidates, num_probes),
      'smallest_candidates': smallest_candidates(shares, stage),
    }
  return values
