"""Shares of probes that a two-stage search finds, over candidates."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from facejax.array_typing import Float
from facejax.evaluation.reporting.curves import CandidateCurve

ENOUGH = 0.999  # of the Rank-1 of float search
_FIXED = tuple(m * 10**n for n in range(1, 10) for m in (1, 2, 5))
_CURVE_POINTS = 300
# Shares of whole counts; their quotients are rounded.
_ROUNDING = 1e-12


class StageShares(NamedTuple):
  """Shares of probes that one kind of first stage finds.

  Attributes:
    rank1: by the first stage alone, ties as errors.
    rank1_lower_row: the same, ties to the lower row of the gallery.
    recall: float [G], of probes with a mate among the first c, c = 1 .. G.
    two_stage: float [G], Rank-1 of both stages, ties as errors.
    two_stage_lower_row: float [G], the same, ties to the lower row.
  """

  rank1: float
  rank1_lower_row: float
  recall: Float[np.ndarray, ' G']
  two_stage: Float[np.ndarray, ' G']
  two_stage_lower_row: Float[np.ndarray, ' G']


class Shares(NamedTuple):
  """Shares of probes that are found, of one split or the mean of several.

  Attributes:
    rank1: of float search among the whole gallery, ties as errors.
    rank1_lower_row: the same, ties to the lower row of the gallery.
    by_stage: by the first stage, 'hamming' and 'asymmetric'.
  """

  rank1: float
  rank1_lower_row: float
  by_stage: dict[str, StageShares]


def listed_candidates(num_gallery: int) -> list[int]:
  """10, 20, 50, 100 and so on below G, and G."""
  return [c for c in _FIXED if c < num_gallery] + [num_gallery]


def smallest_candidates(shares: Shares, stage: str) -> int:
  """The first c whose Rank-1 reaches 99.9 % of that of float search."""
  wanted = ENOUGH * shares.rank1 - _ROUNDING
  return 1 + int(np.argmax(shares.by_stage[stage].two_stage >= wanted))


def candidate_curve(shares: Shares, stage: str) -> CandidateCurve:
  """What the picture of a first stage is drawn from, some 300 points."""
  found = shares.by_stage[stage]
  last = len(found.recall)
  points = np.geomspace(1, last, _CURVE_POINTS).round().astype(np.int64)
  smallest = smallest_candidates(shares, stage)
  candidates = np.unique([*points, *listed_candidates(last), smallest])
  return CandidateCurve(
    candidates=candidates,
    recall=found.recall[candidates - 1],
    rank1=found.two_stage[candidates - 1],
    float_rank1=shares.rank1,
    smallest=smallest,
  )


def over_draws(draws: Sequence[Shares]) -> tuple[Shares, Shares | None]:
  """Mean and sample deviation of every share; a single draw has none."""
  mean = jax.tree.map(_mean, *draws)
  if len(draws) == 1:
    return mean, None
  return mean, jax.tree.map(_deviation, *draws)


def _mean(*values: Any) -> Any:
  found = np.mean(values, axis=0)
  return found if found.ndim else float(found)


def _deviation(*values: Any) -> Any:
  found = np.std(values, axis=0, ddof=1)
  return found if found.ndim else float(found)
