"""What the pictures of a report are drawn from.

Every protocol describes its findings in these, and one place draws them, for
one model or for several side by side.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from facejax.array_typing import Float, Int
from facejax.evaluation.metrics import OperatingPoint


@dataclasses.dataclass(frozen=True)
class RocCurve:
  """Accepted shares over falling thresholds.

  Attributes:
    far: float [T], share of impostor pairs accepted, never falling.
    tar: float [T], share of genuine pairs accepted, never falling.
    num_impostors: pairs behind `far`; 1 / num_impostors is its resolution.
    points: operating points to mark, by the rate asked for.
    note: what the legend adds to the name, such as 'accuracy 99.18%'.
  """

  far: Float[np.ndarray, ' T']
  tar: Float[np.ndarray, ' T']
  num_impostors: int
  points: Mapping[float, OperatingPoint]
  note: str = ''


@dataclasses.dataclass(frozen=True)
class ScoreHistogram:
  """Counts of scores over common bins.

  Attributes:
    edges: float [B + 1], rising, in the unit of `measure`.
    genuine: int [B].
    impostor: int [B].
    threshold: where a line stands, or None.
    measure: 'cosine' or 'squared_distance'.
    threshold_note: which threshold it is, 'FAR 1e-3', or ''.
  """

  edges: Float[np.ndarray, ' E']
  genuine: Int[np.ndarray, ' B']
  impostor: Int[np.ndarray, ' B']
  threshold: float | None
  measure: str = 'cosine'
  threshold_note: str = ''


@dataclasses.dataclass(frozen=True)
class DirCurve:
  """Detection and identification rate over the false-alarm rate.

  Attributes:
    far: float [T], share of impostor probes that raise an alarm, never
      falling.
    dir: float [T], share of genuine probes found at rank 1 and above the
      threshold.
    num_impostors: probes behind `far`.
  """

  far: Float[np.ndarray, ' T']
  dir: Float[np.ndarray, ' T']
  num_impostors: int


@dataclasses.dataclass(frozen=True)
class Degradation:
  """A result over growing damage to the probe images.

  Attributes:
    name: what is done, 'gaussian blur'.
    levels: float [L], how much of it.
    unit: of the levels, 'sigma, pixels'.
    values: float [L], the result at each level, shares of 1.
    result: what the values are, 'accuracy'.
    untouched: the result without damage.
  """

  name: str
  levels: Float[np.ndarray, ' L']
  unit: str
  values: Float[np.ndarray, ' L']
  result: str
  untouched: float


@dataclasses.dataclass(frozen=True)
class CandidateCurve:
  """What a two-stage search finds over the number of its candidates.

  Attributes:
    candidates: int [C], that the first stage hands on, rising.
    recall: float [C], share of probes whose mate is among them.
    rank1: float [C], share of probes found by both stages.
    float_rank1: share found by float search among everybody.
    smallest: candidates that reach 99.9 % of it.
  """

  candidates: Int[np.ndarray, ' C']
  recall: Float[np.ndarray, ' C']
  rank1: Float[np.ndarray, ' C']
  float_rank1: float
  smallest: int


@dataclasses.dataclass(frozen=True)
class Curves:
  """All that a report draws; each mapping by the name in the legend."""

  roc: Mapping[str, RocCurve] = dataclasses.field(default_factory=dict)
  histogram: Mapping[str, ScoreHistogram] = dataclasses.field(
    default_factory=dict
  )
  # Shares of probes whose mate is at rank 1, 2, ... R.
  cmc: Mapping[str, Float[np.ndarray, ' R']] = dataclasses.field(
    default_factory=dict
  )
  dir: Mapping[str, DirCurve] = dataclasses.field(default_factory=dict)
  candidates: Mapping[str, CandidateCurve] = dataclasses.field(
    default_factory=dict
  )
  degradation: Mapping[str, Degradation] = dataclasses.field(
    default_factory=dict
  )


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
  """A pair on the wrong side of the threshold, or nearest to it.

  Attributes:
    first: name of an image.
    second: name of the other.
    score: in the unit of the histogram's measure.
    genuine: whether they show one person.
    pictures: both crops as JPEG files, or None where only embeddings are
      known.
  """

  first: str
  second: str
  score: float
  genuine: bool
  pictures: tuple[bytes, bytes] | None = None
