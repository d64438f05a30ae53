"""Fewer points for a curve of millions that looks and reads the same."""

import dataclasses

import numpy as np

from facejax.array_typing import Float, Int
from facejax.evaluation.reporting.curves import DirCurve, RocCurve

MAX_POINTS = 4000
_LOG_STEPS, _STEPS = 1600, 900
_DECADES = 10.0 ** -np.arange(13)
# A rate is a quotient of two counts, and 1e-3 is not 10.0 ** -3 to the bit.
_ROUNDING = 1 + 1e-9


def _kept(
  far: Float[np.ndarray, ' T'], rate: Float[np.ndarray, ' T']
) -> Int[np.ndarray, ' K']:
  """Places of the points that stay, rising."""
  if len(far) <= MAX_POINTS:
    return np.arange(len(far))
  smallest = far[far > 0].min(initial=1.0)
  # The last point within each rate asked for is what rule 'at_most' reads.
  rates = np.concatenate(
    [
      _DECADES * _ROUNDING,
      np.geomspace(smallest, 1, _LOG_STEPS),
      np.linspace(0, 1, _STEPS),
    ]
  )
  places = [
    [0, len(far) - 1],
    np.searchsorted(far, rates, side='right') - 1,
    np.searchsorted(rate, np.linspace(rate[0], rate[-1], _STEPS)),
  ]
  return np.unique(np.clip(np.concatenate(places), 0, len(far) - 1))


def thin_roc(curve: RocCurve) -> RocCurve:
  """An ROC of at most 4,000 points.

  Every point that stays is a point of the curve. The extremes stay, and so do
  the points that answer for the rates 1, 0.1, 0.01 and so on.
  """
  kept = _kept(curve.far, curve.tar)
  return dataclasses.replace(curve, far=curve.far[kept], tar=curve.tar[kept])


def thin_dir(curve: DirCurve) -> DirCurve:
  """A DIR curve of at most 4,000 points, chosen as those of an ROC."""
  kept = _kept(curve.far, curve.dir)
  return dataclasses.replace(curve, far=curve.far[kept], dir=curve.dir[kept])
