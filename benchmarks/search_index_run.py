"""Builds, changes and searches an index on disk, with a clock."""

import concurrent.futures
import contextlib
import dataclasses
import datetime
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.evaluation.identification.timing import processor
from facejax.search.index import FaceIndex
from facejax.search.results import Probes

_BLOCK = 100_000
_BATCH = 1000  # templates of a batch of edits
_SINGLES = 200  # probes that are searched alone
_MATES = (0.63, 0.13)  # mean and deviation of cosines of true pairs
_COSINES = (0.05, 0.99)


@dataclasses.dataclass(frozen=True)
class Shape:
  """Bits L of a code, and values D of a vector."""

  bits: int
  size: int


def _unit(rows: np.ndarray) -> np.ndarray:
  """Rows of unit norm, float32."""
  norms = np.linalg.norm(rows, axis=1, keepdims=True)
  return (rows / norms).astype(np.float32)


class Faces:
  """Random faces, drawn a block at a time.

  A block is the first one with its values' signs changed: as random as another
  draw where blocks meet, and a twentieth of the time.
  """

  def __init__(self, shape: Shape, block: int = _BLOCK):
    rng = np.random.default_rng(0)
    self._base = _unit(rng.standard_normal((block, shape.size), np.float32))
    draw = rng.standard_normal((shape.size, shape.bits), np.float32)
    self._projection = draw

  def block(self, number: int, count: int) -> Probes:
    """The first faces of a block: unit vectors and hash logits."""
    rng = np.random.default_rng(number)
    signs = rng.integers(0, 2, self._base.shape[1]).astype(np.float32) * 2 - 1
    return self.outputs(self._base[:count] * signs)

  def outputs(self, embeddings: np.ndarray) -> Probes:
    """Unit vectors with their logits, signs of random projections."""
    return Probes(embeddings, embeddings @ self._projection)

  def probes(self, count: int, templates: int) -> tuple[Probes, np.ndarray]:
    """Probes with mates in the gallery, and the rows of those."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, templates, count)
    mates = np.empty((count, self._base.shape[1]), np.float32)
    for number in np.unique(rows // _BLOCK).tolist():
      block = self.block(number, min(_BLOCK, templates - number * _BLOCK))
      mine = rows // _BLOCK == number
      mates[mine] = block.embeddings[rows[mine] % _BLOCK]
    cosines = rng.normal(*_MATES, (count, 1)).clip(*_COSINES)
    noise = rng.standard_normal(mates.shape, np.float32)
    noise = _unit(noise - (noise * mates).sum(1, keepdims=True) * mates)
    found = cosines * mates + np.sqrt(1 - cosines**2) * noise
    return self.outputs(_unit(found)), rows


def _add(index: FaceIndex, faces: Probes, start: int) -> float:
  """Seconds that it takes to add faces, each a person of its own."""
  names = [f'{row:09d}' for row in range(start, start + len(faces))]
  codes = faces.codes
  since = time.perf_counter()
  index.add(names, names, codes, faces.embeddings)
  return time.perf_counter() - since


def build(path: str, templates: int, shape: Shape) -> dict[str, Any]:
  """Builds an index and says how long it took."""
  faces, seconds = Faces(shape), 0.0
  with FaceIndex.create(
    path, bits=shape.bits, embedding_size=shape.size
  ) as index:
    for start in files.progress(
      range(0, templates, _BLOCK), desc='adding', unit='block'
    ):
      block = faces.block(start // _BLOCK, min(_BLOCK, templates - start))
      seconds += _add(index, block, start)
    return {
      'seconds': round(seconds, 2),
      'templates_per_second': round(templates / seconds),
      'bytes': index.num_bytes,
      'bytes_per_template': index.bytes_per_template,
    }


def edit(path: str, templates: int, shape: Shape, edits: int) -> dict[str, Any]:
  """Durable adds and removes a second, alone and in batches of 1,000."""
  faces = Faces(shape).block(1 << 20, _BATCH)
  rates, at = {}, templates
  with FaceIndex.open(path, writable=True) as index:
    since = time.perf_counter()
    index.find(['?'])
    rates['prepare_seconds'] = round(time.perf_counter() - since, 3)
    for name, batch, repeats in (
      ('single', 1, edits),
      ('batch', _BATCH, max(1, edits // 10)),
    ):
      chosen = slice(0, batch)
      some = Probes(faces.embeddings[chosen], faces.logits[chosen])
      first, seconds = at, 0.0
      for _ in range(repeats):
        seconds += _add(index, some, at)
        at += batch
      rates[f'{name}_adds_per_second'] = round(repeats * batch / seconds, 1)
      since = time.perf_counter()
      for start in range(first, at, batch):
        index.remove(
          names=[f'{row:09d}' for row in range(start, start + batch)]
        )
      seconds = time.perf_counter() - since
      rates[f'{name}_removes_per_second'] = round(repeats * batch / seconds, 1)
  return rates


def memory() -> dict[str, float]:
  """Megabytes of this process: resident, its own, and of mapped files."""
  wanted = {'Rss': 'rss_mb', 'Pss_Anon': 'own_mb', 'Pss_File': 'mapped_mb'}
  found = {}
  with open('/proc/self/smaps_rollup') as file:
    for line in file:
      name, _, value = line.partition(':')
      if name in wanted:
        found[wanted[name]] = round(int(value.split()[0]) / 1024, 1)
  return found


def _percentiles(seconds: list[float]) -> dict[str, float]:
  return {
    f'p{rate}_ms': round(1e3 * float(np.percentile(seconds, rate)), 3)
    for rate in (50, 99)
  }


def draw_probes(
  templates: int, shape: Shape, num_probes: int
) -> tuple[Probes, np.ndarray]:
  """See `Faces.probes`."""
  return Faces(shape).probes(num_probes, templates)


def search(path: str, probes: Probes, mates: np.ndarray) -> dict[str, Any]:
  """Searches an index in this process, which has done nothing else."""
  num_probes = len(probes)
  before = memory()
  since = time.perf_counter()
  index = FaceIndex.open(path)
  count = len(index)
  result = {
    'open_ms': round(1e3 * (time.perf_counter() - since), 2),
    'templates': count,
    'memory_before': before,
  }
  for method in ('two_stage', 'hamming'):
    query = {'method': method, 'top_k': 1, 'by_person': False}
    seconds = []
    for _ in range(3):
      since = time.perf_counter()
      found = index.search(probes, **query)
      seconds.append(time.perf_counter() - since)
    singles = []
    for i in range(min(_SINGLES, num_probes)):
      one = Probes(probes.embeddings[i : i + 1], probes.logits[i : i + 1])
      since = time.perf_counter()
      index.search(one, **query)
      singles.append(time.perf_counter() - since)
    result[method] = {
      'first_seconds': round(seconds[0], 3),
      'batch_seconds': round(min(seconds[1:]), 3),
      'probes_per_second': round(num_probes / min(seconds[1:]), 1),
      **_percentiles(singles),
      'mates_found': round(float(np.mean(found.rows[:, 0] == mates)), 4),
      'memory': memory(),
    }
  return result


def _in_child(work: Any, *arguments: Any) -> Any:
  """What a function returns in a new process."""
  with concurrent.futures.ProcessPoolExecutor(
    1, mp_context=multiprocessing.get_context('spawn')
  ) as pool:
    return pool.submit(work, *arguments).result()


@contextlib.contextmanager
def _place(folder: str | None) -> Iterator[str]:
  """A path for an index that is removed afterwards."""
  with tempfile.TemporaryDirectory(dir=folder) as root:
    yield os.path.join(root, 'index')


def measure_all(
  sizes: Sequence[int],
  shape: Shape,
  *,
  num_probes: int,
  edits: int,
  folder: str | None,
) -> dict[str, Any]:
  """Every size in turn; JSON values."""
  results = []
  for templates in sizes:
    with _place(folder) as path:
      result = {'templates': templates}
      result['build'] = _in_child(build, path, templates, shape)
      probes = _in_child(draw_probes, templates, shape, num_probes)
      result['search'] = _in_child(search, path, *probes)
      if edits:
        result['edits'] = _in_child(edit, path, templates, shape, edits)
    files.note(f'{result}')
    results.append(result)
  return {
    'date': datetime.date.today().isoformat(),
    'command': ' '.join(
      ['python', '-m', 'benchmarks.search_index', *sys.argv[1:]]
    ),
    'chip': processor(),
    'cores': len(os.sched_getaffinity(0)),
    'load_average': os.getloadavg()[0],
    'bits': shape.bits,
    'vector_size': shape.size,
    'vectors': 'float16',
    'probes': num_probes,
    'candidates': 100,
    'results': results,
  }
