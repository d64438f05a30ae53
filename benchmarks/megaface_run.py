"""What the benchmark of MegaFace measures, and the NumPy it must agree with."""

import datetime
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from benchmarks import reporting
from benchmarks.settings import Settings
from facejax import files
from facejax.evaluation.embeddings import SavedSource
from facejax.evaluation.megaface.challenge import MegaFace, score_megaface
from facejax.evaluation.megaface.distractors import (
  Distractors,
  open_distractors,
)
from facejax.parallel.mesh import AXES, make_mesh

_IMAGES = 44  # a person, as of the challenge's probes
_BLOCK = 1 << 14
_COLUMNS, _ROUNDS = 8192, 9
_WARM_UP = 20_000


def _unit(x: np.ndarray) -> np.ndarray:
  return x / np.linalg.norm(x, axis=1, keepdims=True)


def draw_probes(count: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
  """Features around a centre for each person, and whom they show.

  Images are more or less like their centre, so that not all mates are found.
  """
  rng = np.random.default_rng(0)
  labels = np.arange(count) // _IMAGES
  centres = _unit(rng.standard_normal((labels[-1] + 1, dim)))
  noise = _unit(rng.standard_normal((count, dim)))
  noise *= rng.uniform(1, 3.5, (count, 1))
  return _unit(centres[labels] + noise).astype(np.float32), labels


def write_distractors(folder: str, count: int, dim: int) -> None:
  """Random unit vectors as names.txt and plain.npy, block by block."""
  rng = np.random.default_rng(1)
  with open(os.path.join(folder, 'names.txt'), 'w') as file:
    file.writelines(f'{i // 1000:04d}/{i:07d}.jpg\n' for i in range(count))
  with open(os.path.join(folder, 'plain.npy'), 'wb') as file:
    header = {'descr': '<f4', 'fortran_order': False, 'shape': (count, dim)}
    np.lib.format.write_array_header_1_0(file, header)
    for start in range(0, count, _BLOCK):
      rows = min(_BLOCK, count - start)
      _unit(rng.standard_normal((rows, dim), np.float32)).tofile(file)


def _seconds(work: Callable[[], Any]) -> float:
  start = time.perf_counter()
  work()
  return time.perf_counter() - start


def product_rate(probes: np.ndarray) -> float:
  """Scores a second of the matrix product alone, columns split alike."""
  mesh = make_mesh(devices=jax.local_devices())
  whole, split = (
    NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (AXES,))
  )
  columns = np.random.default_rng(2).standard_normal(
    (_COLUMNS, probes.shape[1]), np.float32
  )
  rows = jax.device_put(probes, whole)
  columns = jax.device_put(columns, split)
  product = jax.jit(
    lambda a, b: jnp.dot(a, b.T, precision=jax.lax.Precision.HIGHEST),
    out_shardings=NamedSharding(mesh, PartitionSpec(None, AXES)),
  )

  def work() -> None:
    product(rows, columns).block_until_ready()

  work()
  seconds = statistics.median(_seconds(work) for _ in range(_ROUNDS))
  return len(probes) * _COLUMNS / seconds


def _naive(
  probes: np.ndarray, labels: np.ndarray, others: np.ndarray, fars: list[float]
) -> tuple[np.ndarray, dict[float, tuple[float, float]]]:
  """CMC, and TAR and threshold by rate, from all scores in float64."""
  probes, others = probes.astype(np.float64), others.astype(np.float64)
  scores = probes @ others.T
  ranks, genuine = [], []
  for i in range(len(probes)):
    for j in np.flatnonzero(labels == labels[i]):
      if i != j:
        mate = probes[i] @ probes[j]
        genuine.append(mate)
        ranks.append(1 + (scores[j] > mate).sum())
  falling = -np.sort(-scores.ravel())
  points = {}
  for far in fars:
    at = falling[int(far * len(falling) * (1 + 1e-12))]
    points[far] = float((np.array(genuine) > at).mean()), float(at)
  cmc = [(np.array(ranks) <= rank).mean() for rank in range(1, 21)]
  return np.array(cmc), points


def compare_with_numpy(dim: int) -> dict[str, Any]:
  """The largest differences to plain NumPy, at a small size."""
  probes, labels = draw_probes(6 * _IMAGES, dim)
  others = np.random.default_rng(3).standard_normal((3000, dim))
  others = _unit(others).astype(np.float32)
  names = [str(place) for place in range(len(others))]
  crowd = Distractors(names, lambda start, stop: others[start:stop])
  found = score_megaface(probes, labels, crowd)
  points = found.pairs.points
  cmc, expected = _naive(probes, labels, others, list(points))
  return {
    'num_probes': len(probes),
    'num_distractors': len(others),
    'cmc_error': float(np.abs(found.cmc() - cmc).max()),
    'tar_error': max(abs(at.tar - expected[f][0]) for f, at in points.items()),
    'threshold_error': max(
      abs(at.threshold - expected[f][1]) for f, at in points.items()
    ),
  }


def _peak_memory() -> int:
  """Bytes of memory that this process had at most."""
  unit = 1 if sys.platform == 'darwin' else 1024
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _score(
  folder: str, count: int, probes: np.ndarray, labels: np.ndarray
) -> tuple[MegaFace, float]:
  """The result with `count` distractors, and its seconds."""
  with open_distractors(
    SavedSource(folder), (), mode='plain', count=count
  ) as crowd:
    start = time.perf_counter()
    found = score_megaface(probes, labels, crowd)
    return found, time.perf_counter() - start


def measure(num_probes: int, num_distractors: int, dim: int) -> dict[str, Any]:
  """Everything about one size; the process must be fresh."""
  started = time.perf_counter()
  probes, labels = draw_probes(num_probes, dim)
  with tempfile.TemporaryDirectory() as folder:
    write_distractors(folder, num_distractors, dim)
    files.note('compiling and warming up')
    warm_up = min(_WARM_UP, num_distractors)
    _, cold = _score(folder, warm_up, probes, labels)
    # Before and after, so that other work on the machine hits both alike.
    rates = [product_rate(probes)]
    found, seconds = _score(folder, num_distractors, probes, labels)
    rates.append(product_rate(probes))
    rate = statistics.mean(rates)
  pairs = num_probes * num_distractors
  described = reporting.describe(
    Settings(
      device='cpu' if jax.default_backend() == 'cpu' else 'gpu',
      threads=len(jax.local_devices()),
      precision='float32',
    )
  )
  return {
    'date': datetime.date.today().isoformat(),
    'what': 'MegaFace challenge 1',
    'command': ' '.join(['python -m benchmarks.megaface', *sys.argv[1:]]),
    'chip': described['chip'],
    'num_devices': len(jax.local_devices()),
    'load_average': described['load_average'],
    'jax': jax.__version__,
    'num_probes': num_probes,
    'num_distractors': num_distractors,
    'dim': dim,
    'seconds': round(seconds, 2),
    'warm_up_seconds': round(cold, 2),
    'whole_seconds': round(time.perf_counter() - started, 2),
    'pairs_per_second': round(pairs / seconds),
    'product_pairs_per_second': round(rate),
    'share_of_product': round(pairs / seconds / rate, 3),
    'peak_gigabytes': round(_peak_memory() / 1e9, 3),
    'numpy': compare_with_numpy(dim),
    'rank1_by_distractors': {
      str(size): round(share, 4) for size, share in found.rank1_by_size.items()
    },
    'tar_at_far': {
      f'{far:g}': round(at.tar, 4) for far, at in found.pairs.points.items()
    },
  }
