"""A share of a result with what stands beside it, and numbers as text."""

import dataclasses
from typing import Any

Interval = tuple[float, float]


def is_number(value: Any) -> bool:
  """Whether a JSON value is a number, and not a truth value."""
  return isinstance(value, int | float) and not isinstance(value, bool)


def as_interval(value: Any) -> Interval | None:
  """A pair of numbers, or None."""
  if isinstance(value, list | tuple) and len(value) == 2:
    low, high = value
    if is_number(low) and is_number(high):
      return float(low), float(high)
  return None


def scientific(value: float | int) -> str:
  """A rate to three digits: 0.00099985 is '1e-3', 2.09e-08 is '2.09e-8'."""
  if value == 0:
    return '0'
  mantissa, exponent = f'{value:.2e}'.split('e')
  if '.' in mantissa:
    mantissa = mantissa.rstrip('0').rstrip('.')
  return f'{mantissa}e{int(exponent)}'


def percent_interval(interval: Interval | None) -> str:
  """'98.47 – 99.12%', or nothing."""
  if interval is None:
    return ''
  low, high = interval
  return f'{100 * low:.2f} – {high:.2%}'


@dataclasses.dataclass(frozen=True)
class Rate:
  """A share of a result.

  Attributes:
    label: 'TAR at FAR 1e-3'.
    share: of 1.
    text: '98.77%'.
    std: standard deviation over folds or draws, or None.
    interval: 95 % interval, or None.
    threshold: score, or None.
    threshold_interval: its 95 % interval, or None.
    far: false-accept rate that the threshold has, or None.
    far_interval: its 95 % interval, or None.
    note: what else is to be said.
  """

  label: str
  share: float
  text: str
  std: float | None = None
  interval: Interval | None = None
  threshold: float | None = None
  threshold_interval: Interval | None = None
  far: float | None = None
  far_interval: Interval | None = None
  note: str = ''

  @property
  def spread(self) -> str:
    """'± 0.41%', or nothing."""
    return '' if self.std is None else f'± {self.std:.2%}'

  @property
  def interval_text(self) -> str:
    """'98.47 – 99.12%', or nothing."""
    return percent_interval(self.interval)

  @property
  def threshold_text(self) -> str:
    """'0.2850', or nothing."""
    return '' if self.threshold is None else f'{self.threshold:.4f}'

  @property
  def threshold_interval_text(self) -> str:
    """'0.2743 – 0.2957', or nothing."""
    if self.threshold_interval is None:
      return ''
    low, high = self.threshold_interval
    return f'{low:.4f} – {high:.4f}'

  @property
  def far_text(self) -> str:
    """'9.98e-4', or nothing."""
    return '' if self.far is None else scientific(self.far)

  @property
  def far_interval_text(self) -> str:
    """'9.67e-4 – 1.05e-3', or nothing."""
    if self.far_interval is None:
      return ''
    low, high = self.far_interval
    return f'{scientific(low)} – {scientific(high)}'
