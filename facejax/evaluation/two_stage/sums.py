"""Adds up what blocks of probes found."""

from typing import NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.evaluation.two_stage.result import Answers, RadiusResult
from facejax.evaluation.two_stage.running_best import Walk, columns_of_keys
from facejax.evaluation.two_stage.shares import StageShares


class FloatAnswers(NamedTuple):
  """What cosines alone say of every probe.

  Attributes:
    mates: int64 [Q], the most similar mate, row of the gallery.
    mate_scores: float32 [Q], its cosine.
    right: bool [Q], whether the most similar image is a mate, ties to the
      lower row.
    right_strict: bool [Q], the same, ties as errors.
  """

  mates: Int[np.ndarray, ' Q']
  mate_scores: Float[np.ndarray, ' Q']
  right: Bool[np.ndarray, ' Q']
  right_strict: Bool[np.ndarray, ' Q']


class StageSums:
  """Adds the walks of blocks of probes up."""

  def __init__(self, num_gallery: int, candidates: int):
    self.candidates = candidates
    self.right = np.zeros(num_gallery, np.int64)
    self.right_strict = np.zeros(num_gallery, np.int64)
    self.alone, self.alone_strict = 0, 0
    self.answers: list[Answers] = []

  def add(self, found: Walk, scores: Float[np.ndarray, 'B G']) -> None:
    """Adds a block."""
    self.right += found.right.sum(axis=0)
    self.right_strict += found.right_strict.sum(axis=0)
    self.alone += int(found.alone.sum())
    self.alone_strict += int(found.alone_strict.sum())
    at = self.candidates - 1
    rows = columns_of_keys(found.best[:, at])
    picked = np.take_along_axis(scores, rows[:, None], 1)[:, 0]
    self.answers.append(
      Answers(found.places, rows, picked, found.right_strict[:, at])
    )

  def whole(self) -> tuple[StageShares, Answers]:
    """Shares and answers of all probes."""
    answers = Answers(*map(np.concatenate, zip(*self.answers, strict=True)))
    count = len(answers.places)
    reached = np.bincount(answers.places - 1, minlength=len(self.right))
    return StageShares(
      rank1=self.alone_strict / count,
      rank1_lower_row=self.alone / count,
      recall=np.cumsum(reached) / count,
      two_stage=self.right_strict / count,
      two_stage_lower_row=self.right / count,
    ), answers


class RadiusSums:
  """Gathers what a radius finds."""

  def __init__(self, radius: int):
    self.radius = radius
    self.counts: list[np.ndarray] = []
    self.right, self.right_strict = 0, 0

  def add(self, found: Walk, merits: Int[np.ndarray, 'B G']) -> None:
    """Adds a block of the Hamming stage; merits are minus distances."""
    counts = (merits >= -self.radius).sum(axis=1)
    # An empty set is the whole gallery: place -1.
    last, probes = counts - 1, np.arange(len(counts))
    self.right += int(found.right[probes, last].sum())
    self.right_strict += int(found.right_strict[probes, last].sum())
    self.counts.append(counts)

  def whole(self) -> RadiusResult:
    """The result of all probes."""
    counts = np.concatenate(self.counts)
    return RadiusResult(
      self.radius,
      counts,
      rank1=self.right_strict / len(counts),
      rank1_lower_row=self.right / len(counts),
    )
