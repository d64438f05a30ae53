"""Measures the search: throughput, latency, and recall of the first stage."""

import datetime
import importlib.metadata
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import reporting, search_sides
from benchmarks.search_gallery import Faces, draw_faces
from benchmarks.search_sides import Search, TwoStage
from facejax import files
from facejax.evaluation.identification.timing import processor
from facejax.search.compiled import num_threads
from facejax.search.vectors import store_vectors

RECALL = 0.99
_CURVE = (1, 10, 30, 100, 300, 1000, 3000)
_CANDIDATES = _CURVE[-1]
_SINGLE_SECONDS = 4.0  # of one probe at a time, a side


def _seconds(search: Search, probes: slice) -> float:
  start = time.perf_counter()
  search(probes)
  return time.perf_counter() - start


def batch_seconds(
  sides: Mapping[str, Search], num_probes: int, rounds: int
) -> dict[str, list[float]]:
  """Seconds of all probes at once, a round after the other."""
  for search in sides.values():
    search(slice(0, min(8, num_probes)))  # compiles
  seconds: dict[str, list[float]] = {name: [] for name in sides}
  for _ in range(rounds):
    for name, search in sides.items():
      seconds[name].append(_seconds(search, slice(0, num_probes)))
  return seconds


def single_seconds(
  sides: Mapping[str, Search], num_probes: int
) -> dict[str, dict[str, float]]:
  """Milliseconds of one probe at a time: median, 99th percentile, count.

  Sides take turns, so that other work on the machine hits them alike; a slow
  one stops after some seconds, and its count says what its percentile is worth.
  """
  taken: dict[str, list[float]] = {name: [] for name in sides}
  for probe in range(num_probes):
    for name, search in sides.items():
      if sum(taken[name]) < _SINGLE_SECONDS:
        taken[name].append(_seconds(search, slice(probe, probe + 1)))
  result = {}
  for name, seconds in taken.items():
    p50, p99 = 1e3 * np.percentile(seconds, [50, 99])
    result[name] = {
      'p50_ms': round(float(p50), 3),
      'p99_ms': round(float(p99), 3),
      'num_probes': len(seconds),
    }
  return result


def truth_ranks(search: Search, answers: np.ndarray) -> np.ndarray:
  """Place of each probe's exhaustive answer among the candidates, from 0.

  Args:
    search: a first stage that returns `_CANDIDATES` rows.
    answers: int [Q], rows.

  Returns:
    int [Q]; `_CANDIDATES` where it is not among them.
  """
  _, rows = search(slice(0, len(answers)))
  found = rows == answers[:, None]
  return np.where(found.any(axis=1), found.argmax(axis=1), _CANDIDATES)


def recall_curves(
  faces: Faces, widths: Sequence[int], answers: np.ndarray
) -> tuple[dict[str, dict[str, Any]], list[TwoStage]]:
  """Recall against c for each first stage, and the least c for `RECALL`."""
  curves, ways = {}, []
  count = min(_CANDIDATES, len(faces.gallery))
  for stage in ('hamming', 'asymmetric'):
    for bits in widths:
      files.note(f'recall of {stage}, {bits} bits')
      search = search_sides.first_stage(faces, stage, bits, count)
      ranks = np.sort(truth_ranks(search, answers))
      # As many probes as the recall asks for are found among the first c.
      least = int(ranks[int(np.ceil(RECALL * len(ranks))) - 1]) + 1
      reached = least <= count
      curves[f'{stage}_{bits}'] = {
        'recall': {c: float(np.mean(ranks < c)) for c in _CURVE if c <= count},
        'candidates': least if reached else None,
      }
      if reached:
        ways.append(TwoStage(stage, bits, least))
  return curves, ways


def _ratio(
  seconds: Mapping[str, list[float]], slow: str, fast: str
) -> float | None:
  """Median over the rounds of how many times as fast a side is."""
  if slow not in seconds:
    return None
  pairs = zip(seconds[slow], seconds[fast], strict=True)
  return round(statistics.median(a / b for a, b in pairs), 2)


def _ratios(
  seconds: Mapping[str, list[float]],
  singles: Mapping[str, dict[str, float]],
  best: str | None,
) -> dict[str, float | None]:
  """What the targets are about."""
  found = {
    'hamming_batch_over_faiss': _ratio(seconds, 'faiss_hamming', 'hamming')
  }
  if 'faiss_hamming' in singles:
    found['hamming_single_over_faiss'] = round(
      singles['faiss_hamming']['p50_ms'] / singles['hamming']['p50_ms'], 2
    )
  if best:
    found['two_stage_over_float'] = _ratio(seconds, 'float', best)
    found['two_stage_over_faiss_float'] = _ratio(seconds, 'faiss_float', best)
    found['two_stage_single_over_float'] = round(
      singles['float']['p50_ms'] / singles['two_stage']['p50_ms'], 2
    )
  return found


def _described() -> dict[str, Any]:
  """The machine and the libraries."""
  found = {
    'date': datetime.date.today().isoformat(),
    'command': ' '.join(['python', '-m', 'benchmarks.search', *sys.argv[1:]]),
    'chip': processor(),
    'threads': num_threads(),
    'load_average_before': os.getloadavg()[0],
  }
  for package in ('numpy', 'numba', 'faiss-cpu'):
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      found[package] = None
  return found


def measure(
  count: int,
  num_probes: int,
  size: int,
  widths: Sequence[int],
  *,
  dtype: str,
  rounds: int,
) -> dict[str, Any]:
  """All measurements; JSON values.

  Args:
    count: templates of the gallery.
    num_probes: of the batch.
    size: values of a vector.
    widths: bits of the codes.
    dtype: that the vectors of the second stage are stored in.
    rounds: that ratios are medians over.
  """
  result = _described()
  files.note(f'draws {count:,} templates')
  faces = draw_faces(count, num_probes, size, max(*widths, search_sides.BITS))
  vectors = store_vectors(faces.gallery, dtype)
  exhaustive = search_sides.float_search(faces, vectors)
  answers = exhaustive(slice(0, num_probes))[1][:, 0]
  curves, ways = recall_curves(faces, widths, answers)
  sides = {
    'hamming': search_sides.first_stage(
      faces, 'hamming', search_sides.BITS, search_sides.TOP_K
    ),
    'asymmetric': search_sides.first_stage(
      faces, 'asymmetric', search_sides.BITS, search_sides.TOP_K
    ),
    'float': exhaustive,
  }
  for way in [
    TwoStage('hamming', search_sides.BITS, search_sides.TOP_K),
    *ways,
  ]:
    sides[way.name] = search_sides.two_stage(faces, vectors, way)
  try:
    sides |= search_sides.faiss_sides(faces)
  except ImportError as error:
    result['skipped'] = {'faiss': reporting.reason(error)}
  files.note('throughput')
  seconds = batch_seconds(sides, num_probes, rounds)
  medians = {name: statistics.median(s) for name, s in seconds.items()}
  best = min((way.name for way in ways), key=medians.get, default=None)
  files.note('latency')
  alone = ('hamming', 'asymmetric', 'float', 'faiss_hamming', 'faiss_float')
  singles = {name: sides[name] for name in alone if name in sides}
  if best:
    singles['two_stage'] = sides[best]
  latency = single_seconds(singles, num_probes)
  ratios = _ratios(seconds, latency, best)
  result |= {
    'load_average_after': os.getloadavg()[0],
    'num_templates': count,
    'num_probes': num_probes,
    'dimension': size,
    'vectors': dtype,
    'top_k': search_sides.TOP_K,
    'rank1_float': float(np.mean(answers == faces.mates)),
    'recall_wanted': RECALL,
    'first_stages': curves,
    'best_two_stage': best,
    'ratios': ratios,
    'batch': {
      name: {
        'median_seconds': round(median, 4),
        'least_seconds': round(min(seconds[name]), 4),
        'probes_per_second': round(num_probes / median, 1),
      }
      for name, median in medians.items()
    },
    'single': latency,
  }
  files.note(_table(result))
  return result


def _table(result: dict[str, Any]) -> str:
  """One line a side."""
  rows = [
    f'{result["num_templates"]:,} templates, {result["num_probes"]:,} probes, '
    f'{result["chip"]}, {result["threads"]} threads, load '
    f'{result["load_average_after"]:.1f}',
    f'{"":24s}  batch s    p50 ms    p99 ms',
  ]
  for name, batch in result['batch'].items():
    single = result['single'].get(name, {})
    columns = [f'{single[key]:9.2f}' for key in ('p50_ms', 'p99_ms') if single]
    rows.append(
      ' '.join([f'{name:24s}{batch["median_seconds"]:9.3f}', *columns])
    )
  return '\n'.join([*rows, f'{result["best_two_stage"]}: {result["ratios"]}'])
