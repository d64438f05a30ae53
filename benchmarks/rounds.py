"""Fair timing of several functions in one process.

A round times each of them once, one after the other, and comparisons are made
within rounds, so that other work on the machine hits all alike.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

# Threads that wait for work spin for some milliseconds after a call, which
# would take a core from whoever is measured next.
_SETTLE_SECONDS = 0.05
_ENOUGH_SECONDS = 0.2

Work = Callable[[], Any]


def time_rounds(
  sides: Mapping[str, Work], rounds: int
) -> dict[str, list[float]]:
  """Seconds a call of each function, round by round.

  Short functions are called several times a round, after one untimed call.

  Args:
    sides: functions that return when their work is done, by name.
    rounds: how many.

  Returns:
    `rounds` values by name; the values at one place belong together.
  """
  calls = {}
  for name, work in sides.items():
    work()  # compiles
    calls[name] = max(1, math.ceil(_ENOUGH_SECONDS / _seconds(work, 1)))
  seconds: dict[str, list[float]] = {name: [] for name in sides}
  for _ in range(rounds):
    for name, work in sides.items():
      time.sleep(_SETTLE_SECONDS)
      work()
      seconds[name].append(_seconds(work, calls[name]))
  return seconds


def _seconds(work: Work, calls: int) -> float:
  start = time.perf_counter()
  for _ in range(calls):
    work()
  return (time.perf_counter() - start) / calls


def summarize(
  seconds: Mapping[str, list[float]], batch_size: int
) -> dict[str, dict[str, float]]:
  """Medians and minima in milliseconds, images per second of the median."""
  result = {}
  for name, values in seconds.items():
    median = statistics.median(values)
    result[name] = {
      'median_ms': round(1e3 * median, 3),
      'min_ms': round(1e3 * min(values), 3),
      'images_per_second': round(batch_size / median, 1),
    }
  return result


def speed_ratios(
  seconds: Mapping[str, list[float]], ours: tuple[str, ...]
) -> dict[str, float]:
  """How many times as fast as every other side the best of ours is.

  Args:
    seconds: by side and round, see `time_rounds`.
    ours: names of our sides; those that were not measured are left out.

  Returns:
    By name of the other side, the median over the rounds of its seconds by
    ours; empty if none of ours was measured.
  """
  measured = [name for name in ours if name in seconds]
  if not measured:
    return {}
  best = seconds[min(measured, key=lambda n: statistics.median(seconds[n]))]
  return {
    name: round(
      statistics.median(
        theirs / own for theirs, own in zip(values, best, strict=True)
      ),
      3,
    )
    for name, values in seconds.items()
    if name not in ours
  }
