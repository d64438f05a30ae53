"""When to answer "unknown": thresholds for a rate of false identifications.

A probe of somebody who is not enrolled is a false positive if its best score
exceeds the threshold. The share of such probes, the FPIR, grows with the
gallery, so a threshold that was right for a small one is wrong for a large one.

Let F_G(t) be the probability that the best of G people scores at most t against
a stranger. Were the scores of the people independent and alike, it would be
F_1(t)^G, and so from a calibration against G_0 people

  F_G(t) = F_{G_0}(t)^(G / G_0),    FPIR_G(t) = 1 - F_G(t).

A threshold for a rate r at G people is therefore the t where the strangers of
the calibration exceeded with the share

  r_0 = 1 - (1 - r)^(G_0 / G).

Scores of one gallery are not quite independent: some probes (blurred ones, or
faces of a kind that is frequent in the gallery) score high with many people.
Their best score then grows slower than the formula says, and the rate that is
reached at a larger gallery is at or below the wanted one; at a smaller gallery
it may be above. Calibrate again when the gallery has grown much. Templates of
one person are alike, so G counts people; a person with ten templates is still
one, and if people have many more templates now than when it was calibrated, the
rate is higher than wanted.

References:
  P. Grother, M. Ngan, K. Hanaoka, "Face Recognition Vendor Test Part 2:
    Identification", NISTIR 8271, 2019 (FPIR and its growth with the gallery).
"""

import dataclasses
import math
from typing import Any

import numpy as np

from facejax.array_typing import Float
from facejax.errors import DataError, UsageError

# Kinds of scores; each has thresholds of its own.
KINDS = ('cosine', 'hamming', 'asymmetric')


@dataclasses.dataclass(frozen=True)
class Calibration:
  """Best scores of probes whose people are not in the index.

  Attributes:
    people: G_0, people that were searched.
    templates: that they had.
    scores: by kind, float32 [n], falling.
  """

  people: int
  templates: int
  scores: dict[str, Float[np.ndarray, ' n']]

  def to_bytes(self) -> bytes:
    """The scores as a file holds them: float32, kind after kind."""
    return np.stack(list(self.scores.values())).astype('<f4').tobytes()

  def about(self) -> dict[str, Any]:
    """JSON values that say what the file holds."""
    return {
      'kinds': list(self.scores),
      'probes': len(next(iter(self.scores.values()))),
      'people': self.people,
      'templates': self.templates,
    }


def read_calibration(about: dict[str, Any], content: bytes) -> Calibration:
  """Inverse of `to_bytes` and `about`.

  Raises:
    DataError: they do not fit each other.
  """
  try:
    kinds, probes = about['kinds'], int(about['probes'])
    people, templates = int(about['people']), int(about['templates'])
    scores = np.frombuffer(content, '<f4').reshape(len(kinds), probes)
    if not set(kinds) <= set(KINDS) or not kinds or probes < 1 or people < 1:
      raise ValueError(f'{kinds} of {probes} probes and {people} people')
  except (KeyError, TypeError, ValueError) as error:
    raise DataError(
      f'the calibration is damaged ({error}): calibrate again'
    ) from None
  return Calibration(people, templates, dict(zip(kinds, scores, strict=True)))


def smallest_rate(num_probes: int, people: int, calibrated: int) -> float:
  """The smallest FPIR that a calibration resolves: one probe above.

  Args:
    num_probes: n of the calibration.
    people: G, present.
    calibrated: G_0 of the calibration.
  """
  if num_probes == 1:
    return 1.0
  return -math.expm1(people / calibrated * math.log1p(-1 / num_probes))


def rate_at(
  calibration: Calibration, kind: str, threshold: float, people: int
) -> float:
  """The FPIR that the formula gives for a threshold at `people` people."""
  scores = calibration.scores[kind]
  share = np.count_nonzero(scores > threshold) / len(scores)
  if share >= 1:
    return 1.0
  return -math.expm1(people / calibration.people * math.log1p(-share))


def threshold_at(
  calibration: Calibration, kind: str, fpir: float, *, people: int
) -> float:
  """The score above which a best match is somebody known.

  Of the n probes at most floor(n r_0) lie above it (module docstring).

  Args:
    calibration: of the index.
    kind: of the scores, one of `KINDS`.
    fpir: the rate r wanted, above 0 and below 1.
    people: G, in the index now.

  Returns:
    A threshold; the score must exceed it.

  Raises:
    UsageError: no such rate, or one that the calibration does not resolve.
  """
  if not 0 < fpir < 1:
    raise UsageError(f'fpir={fpir:g}: give a rate above 0 and below 1')
  if kind not in calibration.scores:
    raise UsageError(
      f'the index has no calibration for {kind} scores, only for '
      f'{", ".join(calibration.scores)}: calibrate again'
    )
  if not people:
    return math.inf
  scores = calibration.scores[kind]
  share = -math.expm1(calibration.people / people * math.log1p(-fpir))
  # A hair more, since 1e-3 of 1,000 probes is one of them.
  above = math.floor(share * len(scores) * (1 + 1e-9))
  if above < 1:
    least = smallest_rate(len(scores), people, calibration.people)
    raise UsageError(
      f'fpir={fpir:g} cannot be told from {len(scores)} probes of strangers at '
      f'{people} people: the smallest rate is {least:.2g}; calibrate with more '
      'people'
    )
  return float(scores[above]) if above < len(scores) else -math.inf
