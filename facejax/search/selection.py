"""The best k of scores on CPU: heaps of keys that hold score and row.

A key is an integer that orders like (score descending, row ascending), so no
two keys of a probe are equal and ties need no rule of their own.
"""

from collections.abc import Callable

import numpy as np

from facejax.array_typing import Float, Int64, Shaped
from facejax.search.compiled import (
  compiled,
  gallery_parts,
  probe_blocks,
  run_tasks,
)

NO_ROW = np.uint64(2**64 - 1)
MAX_ROWS = 2**32 - 1
_ROW_BITS = np.uint64(32)
_ROW_MASK = np.uint64(2**32 - 1)
_SIGN = np.uint32(2**31)


@compiled
def score_key(score, row):
  """The key of a finite float32 score and a row."""
  # Adding zero makes one zero of both.
  bits = np.float32(score + np.float32(0)).view(np.uint32)
  # Non-negative floats order as their bits, negative ones the other way round.
  order = np.uint32(bits if bits & _SIGN else ~(bits | _SIGN))
  return np.uint64(order) << _ROW_BITS | np.uint64(row)


@compiled
def key_score(key):
  """The score of a key; -inf of `NO_ROW`."""
  if key == NO_ROW:
    return np.float32(-np.inf)
  order = np.uint32(key >> _ROW_BITS)
  bits = np.uint32(order if order & _SIGN else ~(order | _SIGN))
  return bits.view(np.float32)


@compiled
def replace_worst(heap, key):
  """Puts a key into a heap in the place of its greatest, which is the first."""
  place, size = 0, len(heap)
  while True:
    child = 2 * place + 1
    if child + 1 < size and heap[child + 1] > heap[child]:
      child += 1
    if child >= size or heap[child] <= key:
      break
    heap[place] = heap[child]
    place = child
  heap[place] = key


def make_heaps(num_probes: int, k: int) -> Shaped[np.ndarray, 'Q k']:
  """Heaps uint64 of keys that every row beats."""
  return np.full((num_probes, k), NO_ROW)


def merge_keys(
  parts: list[Shaped[np.ndarray, '...']], k: int
) -> Shaped[np.ndarray, 'B k']:
  """The k least keys of each probe among those of the parts, in order.

  Args:
    parts: uint64 [B, any number], sorted or not.
    k: keys wanted; where there are fewer, `NO_ROW` pads.
  """
  keys = np.sort(np.concatenate(parts, axis=1), axis=1)[:, :k]
  padding = ((0, 0), (0, k - keys.shape[1]))
  return np.pad(keys, padding, constant_values=NO_ROW)


def key_rows(keys: Shaped[np.ndarray, '...']) -> Int64[np.ndarray, '...']:
  """Rows of keys; -1 where there is none."""
  rows = (keys & _ROW_MASK).astype(np.int64)
  rows[keys == NO_ROW] = -1
  return rows


def key_distances(keys: Shaped[np.ndarray, '...']) -> Shaped[np.ndarray, '...']:
  """Upper halves of keys distance << 32 | row, int32; junk for `NO_ROW`."""
  return (keys >> _ROW_BITS).astype(np.int32)


def key_scores(keys: Shaped[np.ndarray, '...']) -> Float[np.ndarray, '...']:
  """Scores of keys, float32; -inf where there is none."""
  order = (keys >> _ROW_BITS).astype(np.uint32)
  bits = np.where(order & _SIGN, order, ~(order | _SIGN))
  scores = bits.view(np.float32)
  scores[keys == NO_ROW] = -np.inf
  return scores


def read_keys(
  keys: Shaped[np.ndarray, 'Q k'],
) -> tuple[Float[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]:
  """(scores, rows) of keys."""
  return key_scores(keys), key_rows(keys)


def search_parts(
  work: Callable[[slice, slice], Shaped[np.ndarray, '...']],
  num_probes: int,
  num_rows: int,
  row_bytes: int,
  k: int,
) -> Shaped[np.ndarray, 'Q k']:
  """Best keys of every probe, by tasks of (block of probes, part of rows).

  Args:
    work: (slice of probes, slice of rows) -> keys uint64 [B, at most k].
    num_probes: Q.
    num_rows: T.
    row_bytes: read for each row and probe.
    k: keys of a probe.

  Returns:
    keys uint64 [Q, k].
  """
  blocks = probe_blocks(num_probes)
  parts = gallery_parts(num_rows, row_bytes, blocks)
  tasks = [(block, part) for block in blocks for part in parts]
  found = run_tasks(lambda task: work(*task), tasks)
  merged = [
    merge_keys(found[start : start + len(parts)], k)
    for start in range(0, len(found), len(parts))
  ]
  return np.concatenate([np.empty((0, k), np.uint64), *merged])
