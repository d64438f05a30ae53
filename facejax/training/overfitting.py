"""When a run overfits: its held-out loss rises while its own loss falls."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Check:
  """What two losses were at one evaluation.

  Attributes:
    held_out: loss on held-out people; NaN if it was no number.
    training: mean of the training losses that were logged since the check
      before, or since the first step; NaN without any.
  """

  held_out: float
  training: float


def overfits(checks: Sequence[Check], patience: int) -> bool:
  """Whether a run overfits at the last of its checks.

  With the held-out losses h and training losses t of checks 0 .. i, and
  patience p, it does if

    h[i] > h[i - 1] > ... > h[i - p]   and   t[i] < t[i - p]:

  the held-out loss has risen p times in a row, and over these the training
  loss has fallen. It takes p + 1 checks; a loss that is no number ends a row.

  Args:
    checks: in their order.
    patience: p, 1 or more.

  References:
    Zeng et al. 2019 train "until overfitting" and do not say how it shows:
    this reading is ours (spec 7.1).
  """
  last = checks[-patience - 1 :]
  if len(last) <= patience:
    return False
  rises = all(
    after.held_out > before.held_out
    for before, after in zip(last[:-1], last[1:], strict=True)
  )
  return rises and last[-1].training < last[0].training


class OverfittingWatch:
  """Gathers the checks of a run from its rows of metrics.

  What it says follows from the rows alone, so a run that goes on says at every
  step what it would have said without the interruption.
  """

  def __init__(self, metric: str, patience: int):
    """Begins without checks.

    Args:
      metric: the held-out loss, such as 'evaluation/people/loss'.
      patience: see `overfits`.
    """
    self._metric, self._patience = metric, patience
    self._checks: list[Check] = []
    self._losses: list[float] = []

  def add(self, row: Mapping[str, Any]) -> None:
    """Takes up a row of metrics, in the order of steps; None is no number."""
    if row.get('loss') is not None:
      self._losses.append(row['loss'])
    if self._metric in row:
      held_out = row[self._metric]
      count = len(self._losses)
      self._checks.append(
        Check(
          math.nan if held_out is None else held_out,
          math.fsum(self._losses) / count if count else math.nan,
        )
      )
      self._losses = []

  @property
  def overfits(self) -> bool:
    """Whether the run overfits as it stands."""
    return overfits(self._checks, self._patience)
