"""How many pairs of strangers score as high as a pair that looks suspicious."""

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from jax.scipy.special import log_ndtr

from facejax.array_typing import Float

_KEPT = 1 << 16
_NORMAL = NormalDist()


class Tail(NamedTuple):
  """How rare high scores between strangers are.

  From `start` on, the scores fall off like those of a normal distribution of
  this center and width, P(score > t) = Q((t - center) / width).

  Attributes:
    center: of the normal distribution, not the mean of the scores.
    width: its deviation.
    start: below it the tail says nothing.
    count: the pairs of strangers that it is asked about.
    sample: float32 [P], some of the scores that it was fitted to, rising.
  """

  center: float
  width: float
  start: float
  count: int
  sample: np.ndarray

  def expected(self, scores: Float[np.ndarray, ' B']) -> np.ndarray:
    """How many of all pairs of strangers score as high, float64 [B].

    A score below the tail gets the number of pairs that reach its start.
    """
    z = (np.maximum(scores, self.start) - self.center) / self.width
    # In logarithms: single precision has no 1e-50.
    logs = np.asarray(log_ndtr(-z.astype(np.float32)), np.float64)
    return self.count * np.exp(logs)

  def threshold(self, alarms: float) -> float:
    """The score that `alarms` of all pairs of strangers exceed."""
    share = min(max(alarms / self.count, 1e-300), 0.5)
    score = self.center - self.width * _NORMAL.inv_cdf(share)
    return max(score, self.start)


def fit_tail(
  scores: Float[np.ndarray, ' P'], *, foreign: float, count: int
) -> Tail:
  """Fits the tail through two high quantiles.

  Nearly all pairs are of strangers, however many people stand on both sides:
  where the longer side has K identities, one pair in K at most is of one
  person. The quantile that ten times as many pairs exceed is therefore the
  strangers' own, and nothing further out is used.

  Args:
    scores: of a sample of all pairs, mostly of strangers.
    foreign: the largest share of other pairs, 1 / K.
    count: all pairs.
  """
  share = min(max(10 * foreign, 10 / len(scores)), 0.1)
  wider = math.sqrt(share)
  start, lower = map(float, np.quantile(scores, [1 - share, 1 - wider]))
  z, wider_z = -_NORMAL.inv_cdf(share), -_NORMAL.inv_cdf(wider)
  # Scores have a deviation of about one; a tiny set must not give none.
  width = max((start - lower) / (z - wider_z), 0.1)
  sample = np.sort(scores)[:: -(-len(scores) // _KEPT)]
  return Tail(start - width * z, width, start, count, sample)
