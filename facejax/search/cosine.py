"""Exact search by the cosine on CPU: all vectors, or some candidates."""

import numpy as np

from facejax.array_typing import Bool, Float, Int64, Shaped
from facejax.search import compiled, cosine_kernels, selection
from facejax.search.vectors import NORM_TOLERANCE, StoredVectors

# With more probes a matrix product is faster than pair by pair.
_FEW_PROBES = 4
_TILE_ROWS = 4096
_TILE_PROBES = 1024
_UNIT_ROUNDOFF = 2.0**-24

Probes = Float[np.ndarray, 'Q D']
Found = tuple[Float[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]


def score_error(size: int) -> np.float32:
  """Bound of the distance between two computed scores of one pair.

  Each is off by at most gamma_n = n u / (1 - n u) of the product of the norms,
  in whatever order its D products are added up; n counts the roundings of a
  factor and of the comparison too. A last tenth covers norms that are not 1.

  References:
    N. J. Higham, Accuracy and Stability of Numerical Algorithms, section 3.1.
  """
  roundings = (size + 4) * _UNIT_ROUNDOFF
  gamma = roundings / (1 - roundings)
  return np.float32(2 * gamma * (1.1 + NORM_TOLERANCE))


def _stored(
  vectors: StoredVectors, rows: slice
) -> tuple[Shaped[np.ndarray, 'N D'], Shaped[np.ndarray, ' _']]:
  """(values of some rows, factors of all) as the kernels take them."""
  values = vectors.values[rows]
  if values.dtype == np.float16:
    values = np.asarray(values, order='C').view(np.uint16)
  factors = vectors.factors
  factors = np.zeros(0, np.float32) if factors is None else factors
  return compiled.plain(values), compiled.plain(factors)


def _chunks(vectors: StoredVectors, rows: slice) -> list[slice]:
  """The rows at once where the kernels can read them where they lie."""
  whole = vectors.values.flags.c_contiguous and vectors.values.flags.aligned
  step = max(1, rows.stop - rows.start) if whole else _TILE_ROWS
  return [
    slice(start, min(start + step, rows.stop))
    for start in range(rows.start, rows.stop, step)
  ]


def _pair_by_pair(
  probes: Probes,
  vectors: StoredVectors,
  k: int,
  removed: Bool[np.ndarray, ' _'],
) -> Shaped[np.ndarray, 'Q k']:
  """Keys of the best, by reading every vector once."""

  def work(block, part):
    count = block.stop - block.start
    heaps = selection.make_heaps(count, min(k, part.stop - part.start))
    for rows in _chunks(vectors, part) if heaps.size else []:
      values, factors = _stored(vectors, rows)
      cosine_kernels.scan_rows(
        probes[block], values, factors, removed, rows.start, heaps
      )
    return heaps

  read = vectors.bytes_per_vector
  return selection.search_parts(work, len(probes), len(vectors), read, k)


def _widened(
  vectors: StoredVectors, rows: slice, room: Float[np.ndarray, 'R D']
) -> tuple[Shaped[np.ndarray, 'N D'], Float[np.ndarray, 'N D']]:
  """(values, float32 vectors) of some rows, on all threads."""
  values, factors = _stored(vectors, rows)
  if values.dtype == np.float32:
    return values, values

  def work(part):
    cosine_kernels.widen(
      values[part], factors, rows.start + part.start, room[part]
    )

  share = -(-len(values) // compiled.num_threads())
  starts = range(0, len(values), share)
  compiled.run_tasks(work, [slice(s, s + share) for s in starts])
  return values, room[: len(values)]


def _keep_best(
  scores: Float[np.ndarray, 'B N'],
  probes: Probes,
  tile: tuple[np.ndarray, ...],
  first_row: int,
  heaps: Shaped[np.ndarray, 'B k'],
) -> None:
  """Takes over the best of a tile of scores, on all threads.

  Args:
    scores: of the product.
    probes: as many.
    tile: (values, factors, removed), see `cosine_kernels.keep_best`.
    first_row: of the tile.
    heaps: keys.
  """
  error = score_error(probes.shape[1])

  def work(block):
    cosine_kernels.keep_best(
      scores[block], probes[block], *tile, first_row, error, heaps[block]
    )

  compiled.run_tasks(work, compiled.probe_blocks(len(probes)))


def _by_products(
  probes: Probes,
  vectors: StoredVectors,
  k: int,
  removed: Bool[np.ndarray, ' _'],
) -> Shaped[np.ndarray, 'Q k']:
  """Keys of the best by matrix products of tiles, a tile read once."""
  factors = _stored(vectors, slice(0, 0))[1]
  heaps = selection.make_heaps(len(probes), min(k, len(vectors)))
  room = np.empty((_TILE_ROWS, vectors.size), np.float32)
  products = np.empty(_TILE_PROBES * _TILE_ROWS, np.float32)
  for start in range(0, len(vectors), _TILE_ROWS):
    rows = slice(start, min(start + _TILE_ROWS, len(vectors)))
    values, tile = _widened(vectors, rows, room)
    for first in range(0, len(probes), _TILE_PROBES):
      block = slice(first, first + _TILE_PROBES)
      some, kept = probes[block], heaps[block]
      scores = products[: len(some) * len(tile)].reshape(len(some), -1)
      np.matmul(some, tile.T, out=scores)
      _keep_best(scores, some, (values, factors, removed), start, kept)
  return selection.merge_keys([heaps], k)


def top_cosine(
  probes: Probes,
  vectors: StoredVectors,
  k: int,
  *,
  removed: Bool[np.ndarray, ' T'] | None = None,
) -> Found:
  """See `scan.top_cosine`."""
  gone, probes = compiled.removed_rows(removed), compiled.plain(probes)
  if not len(vectors) or not len(probes):
    keys = selection.make_heaps(len(probes), k)
  elif len(probes) <= _FEW_PROBES:
    keys = _pair_by_pair(probes, vectors, k, gone)
  else:
    keys = _by_products(probes, vectors, k, gone)
  return selection.read_keys(keys)


def rank_candidates(
  probes: Probes,
  vectors: StoredVectors,
  candidates: Int64[np.ndarray, 'Q c'],
  k: int,
) -> Found:
  """See `scan.rank_candidates`."""
  if not vectors.values.flags.c_contiguous:
    # Only the rows that are needed are copied.
    needed = np.unique(candidates[candidates >= 0])
    places = np.searchsorted(needed, candidates)
    places[candidates < 0] = -1
    scores, places = rank_candidates(probes, vectors.take(needed), places, k)
    rows = np.append(needed, -1)[places]
    return scores, rows
  probes = compiled.plain(probes)
  # Ascending rows are read in the order of the disk, and equal ones meet.
  candidates = compiled.plain(np.sort(candidates.astype(np.int64), axis=1))
  heaps = selection.make_heaps(len(probes), min(k, candidates.shape[1]))
  values, factors = _stored(vectors, slice(None))

  def work(block):
    cosine_kernels.rank_rows(
      probes[block], values, factors, candidates[block], heaps[block]
    )

  if heaps.size:
    compiled.run_tasks(work, compiled.probe_blocks(len(probes)))
  return selection.read_keys(selection.merge_keys([heaps], k))
