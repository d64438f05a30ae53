"""Exact Hamming search on CPU: blocks of probes over parts of the gallery."""

import numpy as np

from facejax.array_typing import Bool, Int32, Int64, Shaped, UInt8
from facejax.ops.hamming import BITS_PER_BYTE
from facejax.search import codes as codes_lib
from facejax.search import compiled, hamming_kernels, selection

_SPARE_KEYS = 64

Codes = UInt8[np.ndarray, 'T bytes']
Probes = UInt8[np.ndarray, 'Q bytes']
Removed = Bool[np.ndarray, ' T'] | None


def _nearest_keys(
  probes: Shaped[np.ndarray, 'B W'],
  codes: Codes,
  rows: slice,
  k: int,
  removed: Bool[np.ndarray, ' _'],
) -> Shaped[np.ndarray, 'B k']:
  """Keys of the nearest of a range of rows, best first."""
  size, num_probes = codes.shape[1], len(probes)
  num_rows = rows.stop - rows.start
  capacity = min(num_rows, max(2 * k, k + _SPARE_KEYS))
  keys = np.empty((num_probes, capacity), np.uint64)
  counts = np.zeros((num_probes, BITS_PER_BYTE * size + 2), np.int64)
  states = np.zeros((num_probes, 3), np.int64)
  states[:, 0] = BITS_PER_BYTE * size + 1
  tile, width = codes_lib.make_tile(size), codes_lib.width(size)
  for first, words in codes_lib.word_chunks(codes, rows):
    hamming_kernels.scan_nearest(
      words, first, removed, probes, width, tile, keys, counts, states, k
    )
  ordered = np.full((num_probes, min(k, num_rows)), selection.NO_ROW)
  hamming_kernels.order_by_counting(keys, counts, states, ordered)
  return ordered


def top_hamming(
  probes: Probes, codes: Codes, k: int, *, removed: Removed = None
) -> tuple[Int32[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]:
  """See `scan.top_hamming`."""
  words, gone = codes_lib.as_words(probes), compiled.removed_rows(removed)

  def work(block, part):
    return _nearest_keys(words[block], codes, part, k, gone)

  keys = selection.search_parts(work, len(probes), *codes.shape, k)
  rows, distances = selection.key_rows(keys), selection.key_distances(keys)
  distances[rows < 0] = BITS_PER_BYTE * codes.shape[1] + 1
  return distances, rows


def within_hamming(
  probes: Probes, codes: Codes, radius: int, *, removed: Removed = None
) -> tuple[
  Int64[np.ndarray, ' starts'],
  Int64[np.ndarray, ' M'],
  Int32[np.ndarray, ' M'],
]:
  """See `scan.within_hamming`: counts first, then every row has its place."""
  size = codes.shape[1]
  radius = min(radius, BITS_PER_BYTE * size)
  words, gone = codes_lib.as_words(probes), compiled.removed_rows(removed)
  blocks = compiled.probe_blocks(len(probes))
  parts = compiled.gallery_parts(len(codes), size, blocks)
  tasks = [(block, part) for block in blocks for part in range(len(parts))]
  places = np.zeros((len(parts), len(probes), radius + 1), np.int64)

  def scan(task, found):
    block, part = task
    tile, width = codes_lib.make_tile(size), codes_lib.width(size)
    for first, chunk in codes_lib.word_chunks(codes, parts[part]):
      hamming_kernels.scan_within(
        chunk, first, gone, words[block], width, tile, radius,
        places[part, block], found,
      )  # fmt: skip

  compiled.run_tasks(lambda task: scan(task, np.empty(0, np.uint64)), tasks)
  # By probe, then distance, then part; parts and their rows ascend.
  ends = np.cumsum(places.transpose(1, 2, 0).reshape(-1))
  ends = ends.reshape(len(probes), radius + 1, len(parts)).transpose(2, 0, 1)
  per_probe = places.sum((0, 2))
  starts = np.concatenate([[0], np.cumsum(per_probe)]).astype(np.int64)
  places = np.ascontiguousarray(ends) - places
  found = np.empty(starts[-1], np.uint64)
  if len(found):
    compiled.run_tasks(lambda task: scan(task, found), tasks)
  return starts, selection.key_rows(found), selection.key_distances(found)
