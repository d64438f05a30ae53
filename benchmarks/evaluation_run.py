"""Times evaluation beside the product it rests on, scikit-learn and NumPy."""

import concurrent.futures
import datetime
import functools
import importlib.metadata
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import reporting, rounds, scored_faces
from benchmarks.scored_faces import ScoredFaces
from benchmarks.settings import Settings
from facejax import files
from facejax.data.identification_splits import first_images
from facejax.evaluation import rates
from facejax.evaluation.all_pairs import people_bootstrap
from facejax.evaluation.all_pairs import scores as all_pairs
from facejax.evaluation.identification import closed_set
from facejax.evaluation.scoring.scan import TILE_ROWS
from facejax.parallel.mesh import split_cpu

FARS = (1e-3, 1e-4, 1e-5, 1e-6)
TOGETHER = ('features', 'all_pairs', 'closed_set')
_COLUMNS, _DRAWS, _SCORED_ROWS = 1024, 1000, 512


def _all_pairs(faces: ScoredFaces) -> all_pairs.AllPairs:
  """All that a report shows of all pairs, but for the intervals."""
  found = all_pairs.score_all_pairs(*faces, fars=FARS)
  found.area(), found.eer(), found.curves('LFW')
  return found


def _bootstrap(found: all_pairs.AllPairs) -> people_bootstrap.Rates:
  """The draws behind the intervals."""
  at = np.array([point.threshold for point in found.points.values()])
  return people_bootstrap.resample(
    found.pair_set(), np.array(FARS), at, draws=_DRAWS
  )


@jax.jit
def _tile_products(
  rows: jax.Array, columns: jax.Array, tiles: jax.Array
) -> jax.Array:
  """Products of the first tiles of rows with some columns, added up."""

  def add(tile, total):
    part = jax.lax.dynamic_slice_in_dim(rows, tile * TILE_ROWS, TILE_ROWS)
    return total + part @ columns.T

  return jax.lax.fori_loop(0, tiles, add, jnp.zeros((TILE_ROWS, _COLUMNS)))


def _product(features: np.ndarray) -> Callable[[], Any]:
  """The products of all tiles above the diagonal, without any scoring."""
  count = -(-len(features) // _COLUMNS) * _COLUMNS
  rows = jnp.pad(features, ((0, count - len(features)), (0, 0)))
  blocks = rows.reshape(-1, _COLUMNS, rows.shape[1])

  def work():
    jax.block_until_ready(
      [
        _tile_products(rows, block, (number + 1) * _COLUMNS // TILE_ROWS)
        for number, block in enumerate(blocks)
      ]
    )

  return work


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
  """Seconds of one call, and what it returned."""
  start = time.perf_counter()
  found = work()
  return time.perf_counter() - start, found


def measure(path: str | None, num_rounds: int) -> dict[str, Any]:
  """Times our parts on all devices of this process.

  Args:
    path: of saved embeddings; None takes random ones.
    num_rounds: that the medians are over.
  """
  described = reporting.describe(Settings(device='cpu'))
  faces = scored_faces.read_faces(path)
  first = faces.first_of_each()
  compiling, found = _seconds(lambda: _all_pairs(first))
  split = first_images(faces.labels)
  seconds = rounds.time_rounds(
    {
      'features': functools.partial(scored_faces.read_faces, path),
      'all_pairs': functools.partial(_all_pairs, first),
      'closed_set': lambda: closed_set.closed_set(*faces, *split).cmc,
      'bootstrap': functools.partial(_bootstrap, found),
      'product': _product(first.features),
    },
    num_rounds,
  )
  if path is None:
    seconds['features'] = [0.0] * num_rounds  # there is nothing to read
  together = map(sum, zip(*(seconds[name] for name in TOGETHER), strict=True))
  seconds['together'] = list(together)
  return {
    'chip': described['chip'],
    'cpu_devices': jax.local_device_count(),
    'load_average': described['load_average'],
    'median_seconds': {
      name: round(statistics.median(values), 4)
      for name, values in seconds.items()
    },
    'least_seconds': {
      name: round(min(values), 4) for name, values in seconds.items()
    },
    'first_call_seconds': round(compiling, 2),
    'tar': [point.tar for point in found.points.values()],
    'num_pairs': found.num_impostors + len(found.genuine),
    'num_images': len(faces.labels),
    'dimension': faces.features.shape[1],
  }


def _all_scores(faces: ScoredFaces) -> tuple[np.ndarray, np.ndarray]:
  """Score and kind of every pair, float32 and bool."""
  scores, same = [], []
  for start in range(0, len(faces.labels), _SCORED_ROWS):
    rows = slice(start, start + _SCORED_ROWS)
    block = faces.features[rows] @ faces.features[start:].T
    later = ~np.tri(*block.shape, dtype=bool)
    scores.append(block[later])
    kinds = faces.labels[rows, None] == faces.labels[None, start:]
    same.append(kinds[later])
  return np.concatenate(scores), np.concatenate(same)


def measure_peers(path: str | None) -> dict[str, Any]:
  """Times scikit-learn and NumPy on the scores of all pairs, once each."""
  scores, same = _all_scores(scored_faces.read_faces(path).first_of_each())
  sorting, _ = _seconds(lambda: np.sort(scores))
  result = {'numpy_sort_seconds': round(sorting, 2)}
  try:
    from sklearn import metrics
  except ImportError as error:
    return result | {'skipped': {'roc_curve': reporting.reason(error)}}
  seconds, curve = _seconds(lambda: metrics.roc_curve(same, scores))
  impostors = int((~same).sum())
  accepted = [rates.num_accepted(far, impostors) for far in FARS]
  # The last point that accepts no more impostors than the rate lets in.
  places = np.searchsorted(curve[0] * impostors, np.array(accepted) + 0.5) - 1
  return result | {
    'roc_curve_seconds': round(seconds, 2),
    'roc_curve_tar': [float(tar) for tar in curve[1][places]],
    'scikit_learn': importlib.metadata.version('scikit-learn'),
  }


def _in_child(devices: int, work: Callable[..., Any], *args: Any) -> Any:
  """What a function returns in a process whose CPU is so many devices."""
  with concurrent.futures.ProcessPoolExecutor(
    1,
    mp_context=multiprocessing.get_context('spawn'),
    initializer=split_cpu,
    initargs=(devices, devices),
  ) as pool:
    return pool.submit(work, *args).result()


def measure_all(
  path: str | None, splits: Sequence[int], *, rounds: int, peers: bool
) -> dict[str, Any]:
  """Every number of devices in a new process, then the peers; JSON values."""
  results = [_in_child(split, measure, path, rounds) for split in splits]
  whole = {
    'date': datetime.date.today().isoformat(),
    'command': ' '.join(
      ['python', '-m', 'benchmarks.evaluation', *sys.argv[1:]]
    ),
    'embeddings': 'random' if path is None else os.path.basename(path),
    'jax': jax.__version__,
    'numpy': np.__version__,
    'results': results,
  }
  for result in results:
    files.note(_table(result))
  if peers:
    whole['peers'] = found = _in_child(1, measure_peers, path)
    together = min(row['median_seconds']['together'] for row in results)
    if 'roc_curve_seconds' in found:
      found['over_ours'] = round(found['roc_curve_seconds'] / together, 1)
    files.note(f'{found}')
  return whole


def _table(result: dict[str, Any]) -> str:
  """Seconds of the parts, one a line."""
  head = (
    f'{result["num_pairs"]:,} pairs of {result["dimension"]} values, '
    f'{result["chip"]}, {result["cpu_devices"]} device(s), load '
    f'{result["load_average"]:.1f}\n{"":12s}  median s   least s'
  )
  rows = [
    f'{name:12s} {median:9.3f} {result["least_seconds"][name]:9.3f}'
    for name, median in result['median_seconds'].items()
  ]
  return '\n'.join([head, *rows])
