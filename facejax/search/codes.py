"""Codes as the kernels take them: 64-bit words, and groups of rows of them.

A code of any number of bytes is padded with zeros to whole words, which
changes no distance. A group is words [W, GROUP] of as many rows: all first
words, then all second ones, so that one instruction works on several rows.
"""

from collections.abc import Iterator

import numpy as np

from facejax.array_typing import Shaped, UInt8
from facejax.search.compiled import compiled, plain

GROUP = 64
WORD_BYTES = 8
_CHUNK = 1 << 16
# Words of the rows that stay in the first-level cache while all probes of a
# block are compared with them.
_CACHED_WORDS = 2048


def num_words(num_bytes: int) -> int:
  """W, words of a code."""
  return -(-num_bytes // WORD_BYTES)


def width(num_bytes: int) -> tuple[int, ...]:
  """A tuple of W zeros: its length is part of its type.

  Loops over it have a number of turns that is known when a kernel is
  compiled, and are unrolled; every W has a kernel of its own.
  """
  return (0,) * num_words(num_bytes)


def as_words(codes: UInt8[np.ndarray, 'N bytes']) -> Shaped[np.ndarray, 'N W']:
  """Words of codes; a view where the codes lie in memory like words."""
  size = WORD_BYTES * num_words(codes.shape[1])
  if codes.flags.c_contiguous and codes.shape[1] == size:
    return plain(codes.view(np.uint64))
  padded = np.zeros((len(codes), size), np.uint8)
  padded[:, : codes.shape[1]] = codes
  return plain(padded.view(np.uint64))


def word_chunks(
  codes: UInt8[np.ndarray, 'T bytes'], rows: slice
) -> Iterator[tuple[int, Shaped[np.ndarray, 'N W']]]:
  """(first row, words) of a range of rows; at once where nothing is copied."""
  whole = codes.flags.c_contiguous and codes.shape[1] % WORD_BYTES == 0
  whole = whole and codes.ctypes.data % WORD_BYTES == 0
  step = max(1, rows.stop - rows.start) if whole else _CHUNK
  for start in range(rows.start, rows.stop, step):
    yield start, as_words(codes[start : min(start + step, rows.stop)])


def make_tile(num_bytes: int) -> Shaped[np.ndarray, 'G W _']:
  """Room for the groups that stay in the cache."""
  words = num_words(num_bytes)
  groups = max(1, _CACHED_WORDS // (words * GROUP))
  return np.zeros((groups, words, GROUP), np.uint64)


@compiled
def fill_tile(tile, words, start):
  """Copies rows from `start` on into a tile; returns how many fitted."""
  num_rows = min(len(tile) * GROUP, len(words) - start)
  for group in range((num_rows + GROUP - 1) // GROUP):
    block = tile[group]
    rows = words[start + group * GROUP : start + (group + 1) * GROUP]
    for row in range(len(rows)):
      for word in range(len(block)):
        block[word, row] = rows[row, word]
  return num_rows
