"""Intervals: how far a measured share may be from the true one."""

import math


def wilson_interval(share: float, count: int) -> tuple[float, float]:
  """95 % interval of a share measured on `count` independent trials.

  Pairs that share people are not independent: the true interval is wider.

  References:
    E. B. Wilson, Probable Inference, 1927.
  """
  z = 1.959963984540054
  centre = share + z * z / (2 * count)
  spread = z * math.sqrt(
    share * (1 - share) / count + z * z / (4 * count * count)
  )
  scale = 1 + z * z / count
  return max(0.0, (centre - spread) / scale), min(
    1.0, (centre + spread) / scale
  )
