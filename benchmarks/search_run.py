"""Measures the search: throughput, latency, and recall of the first stage."""

import datetime
import importlib.metadata
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import reporting, search_sides, search_timing
from benchmarks.search_gallery import Faces, draw_faces
from benchmarks.search_sides import TwoStage
from benchmarks.search_timing import Search
from facejax import files
from facejax.evaluation.identification.timing import processor
from facejax.search.compiled import num_threads
from facejax.search.vectors import store_vectors

RECALL = 0.99
_CURVE = (1, 10, 30, 100, 300, 1000, 3000)
_CANDIDATES = _CURVE[-1]
# Also measured with one probe at a time.
_SINGLE = ('hamming', 'asymmetric', 'float')


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


def _ratios(
  batch: Mapping[str, list[float]],
  single: Mapping[str, list[float]],
  best: str | None,
) -> dict[str, Any]:
  """What the targets are about, by medians and by the least."""
  found = {
    'hamming_over_faiss': search_timing.ratios(
      batch, 'faiss_hamming', 'hamming'
    ),
    'hamming_over_faiss_single': search_timing.ratios(
      single, 'faiss_hamming', 'hamming'
    ),
  }
  if best:
    found |= {
      f'two_stage_over_{other}': search_timing.ratios(batch, other, best)
      for other in ('float', 'faiss_float')
    }
    found['two_stage_over_float_single'] = search_timing.ratios(
      single, 'float', 'two_stage'
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
  seconds = search_timing.batch_seconds(sides, num_probes, rounds)
  batch = search_timing.summarize_batches(seconds, num_probes)
  best = min(
    (way.name for way in ways),
    key=lambda name: batch[name]['median_seconds'],
    default=None,
  )
  files.note('latency')
  alone = {
    name: search
    for name, search in sides.items()
    if name in _SINGLE or name.startswith('faiss')
  }
  if best:
    alone['two_stage'] = sides[best]
  single = search_timing.single_seconds(alone, num_probes)
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
    'ratios': _ratios(seconds, single, best),
    'batch': batch,
    'single': search_timing.summarize_singles(single),
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
