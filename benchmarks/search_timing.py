"""Seconds of searches that must not disturb each other.

Threads of OpenMP and of BLAS wait for each other, and for a while after a call
spin for more work. Where sides take turns call by call, or share the cores with
other programs, those that wait look many times slower than they are: faiss's
1.2 ms for a probe became 13 to 76 ms. So a side runs some calls in a row, after
a pause and one call that is not timed, and beside medians stands the least,
which waiting only ever adds to. Ratios are given by both: on a busy machine
the one by the least is the one to quote.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

_SETTLE_SECONDS = 0.2
_CALLS_IN_A_ROW = 25
_SINGLE_SECONDS = 4.0  # of one probe at a time, a side

# Numbers of some probes, as a slice -> (values, rows) of the best.
Search = Callable[[slice], Any]


def _seconds(search: Search, probes: slice) -> float:
  start = time.perf_counter()
  search(probes)
  return time.perf_counter() - start


def batch_seconds(
  sides: Mapping[str, Search], num_probes: int, rounds: int
) -> dict[str, list[float]]:
  """Seconds of all probes at once, a round after the other."""
  seconds: dict[str, list[float]] = {name: [] for name in sides}
  for _ in range(rounds):
    for name, search in sides.items():
      time.sleep(_SETTLE_SECONDS)
      search(slice(0, min(8, num_probes)))
      seconds[name].append(_seconds(search, slice(0, num_probes)))
  return seconds


def single_seconds(
  sides: Mapping[str, Search], num_probes: int
) -> dict[str, list[float]]:
  """Seconds of one probe at a time; a slow side stops after some seconds."""
  taken: dict[str, list[float]] = {name: [] for name in sides}
  for start in range(0, num_probes, _CALLS_IN_A_ROW):
    for name, search in sides.items():
      if sum(taken[name]) > _SINGLE_SECONDS:
        continue
      time.sleep(_SETTLE_SECONDS)
      search(slice(start, start + 1))
      for probe in range(start, min(start + _CALLS_IN_A_ROW, num_probes)):
        taken[name].append(_seconds(search, slice(probe, probe + 1)))
  return taken


def summarize_batches(
  seconds: Mapping[str, list[float]], num_probes: int
) -> dict[str, dict[str, float]]:
  """Median and least seconds, and probes per second of the median."""
  return {
    name: {
      'median_seconds': round(statistics.median(values), 4),
      'least_seconds': round(min(values), 4),
      'probes_per_second': round(num_probes / statistics.median(values), 1),
    }
    for name, values in seconds.items()
  }


def summarize_singles(
  seconds: Mapping[str, list[float]],
) -> dict[str, dict[str, float]]:
  """Milliseconds; the number of calls says what a percentile is worth."""
  result = {}
  for name, values in seconds.items():
    p50, p99 = 1e3 * np.percentile(values, [50, 99])
    result[name] = {
      'least_ms': round(1e3 * min(values), 3),
      'p50_ms': round(float(p50), 3),
      'p99_ms': round(float(p99), 3),
      'num_calls': len(values),
    }
  return result


def ratios(
  seconds: Mapping[str, list[float]], slow: str, fast: str
) -> dict[str, float] | None:
  """How many times as fast a side is, or None if one was not measured.

  Of another library that is given in several forms (names that begin with
  `slow`), the fastest is taken.
  """
  others = [values for name, values in seconds.items() if name.startswith(slow)]
  if not others or fast not in seconds:
    return None
  own = seconds[fast]
  median = min(statistics.median(values) for values in others)
  return {
    'by_median': round(median / statistics.median(own), 2),
    'by_least': round(min(map(min, others)) / min(own), 2),
  }
