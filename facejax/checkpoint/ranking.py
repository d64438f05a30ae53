"""What the checkpoints of a run measured, and which one is the best."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import orbax.checkpoint as ocp

from facejax.errors import UsageError
from facejax.files import Path


class Ranking:
  """Metrics by step, read where they are needed; a preservation policy.

  Invariants: the best step has the largest (smallest) finite value of the
  metric, the newest of equal ones; a step without the metric, or whose metrics
  cannot be read, is never the best, and harms nothing else.

  The metrics are Orbax's custom metadata of a step. Its own `BestN` would need
  an item of metrics in every step, and a manager does not open a folder in
  which one of those is damaged.
  """

  def __init__(self, directory: Path, *, metric: str | None, best_is: str):
    """Of the steps below `directory`; without a metric none is the best.

    Raises:
      UsageError: `best_is` is neither 'max' nor 'min'.
    """
    if best_is not in ('max', 'min'):
      raise UsageError(f'best_is={best_is!r}: use max or min')
    self._directory, self._metric = directory, metric
    self._sign = 1 if best_is == 'max' else -1
    self._metrics: dict[int, dict[str, float]] = {}

  def add(self, step: int, metrics: dict[str, float]) -> None:
    """Knows of a step before it is on disk."""
    self._metrics[step] = dict(metrics)

  def forget(self, step: int) -> None:
    """No longer knows of a step that is not on disk any more."""
    self._metrics.pop(step, None)

  def metrics_of(self, step: int) -> dict[str, float]:
    """What a step was saved with; {} if that cannot be read."""
    if step not in self._metrics:
      path = self._directory / str(step)
      try:
        custom = ocp.metadata.get_step_metadata(path).custom_metadata
        self._metrics[step] = dict(custom['metrics'])
      except Exception:  # of any kind, if the metadata are damaged
        self._metrics[step] = {}
    return dict(self._metrics[step])

  def _value(self, step: int) -> float | None:
    value = self.metrics_of(step).get(self._metric)
    if isinstance(value, float | int) and math.isfinite(value):
      return self._sign * float(value)
    return None

  def best(self, steps: Iterable[int]) -> int | None:
    """The best of some steps; None if none of them has the metric."""
    values = {step: self._value(step) for step in steps}
    known = [step for step, value in values.items() if value is not None]
    return max(known, key=lambda step: (values[step], step), default=None)

  def should_preserve(
    self,
    checkpoints: Sequence[Any],
    *,
    context: ocp.checkpoint_managers.PreservationContext,
  ) -> Sequence[bool]:
    """Which checkpoints stay, for `ocp.CheckpointManager`: the best one."""
    del context
    best = self.best(checkpoint.step for checkpoint in checkpoints)
    return [checkpoint.step == best for checkpoint in checkpoints]
