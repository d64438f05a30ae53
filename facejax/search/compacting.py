"""The files of an index without its removed templates."""

from collections.abc import Iterator

import numpy as np

from facejax import files
from facejax.array_typing import Int
from facejax.search.appending import Content
from facejax.search.names import StoredNames
from facejax.search.snapshot import Snapshot

_BLOCK = 1 << 16  # rows that are copied at a time


def compacted_files(
  snapshot: Snapshot,
  rows: Int[np.ndarray, ' n'],
  kept: Int[np.ndarray, ' P'],
) -> Iterator[tuple[str, Content]]:
  """Content of the files of a new generation, block by block.

  Args:
    snapshot: what is there.
    rows: that stay, rising.
    kept: people who stay, rising.

  Yields:
    (file, content); the contents of a file add up.
  """
  numbers = np.zeros(len(snapshot.people), np.int32)
  numbers[kept] = np.arange(len(kept))
  size = 0
  for block in _blocks(rows):
    if snapshot.codes is not None:
      yield 'codes', snapshot.codes[block]
    if snapshot.vectors is not None:
      yield 'vectors', snapshot.vectors.values[block]
      if snapshot.vectors.factors is not None:
        yield 'factors', snapshot.vectors.factors[block]
    yield 'person', numbers[snapshot.person[block]]
    yield 'name_keys', snapshot.name_keys[block]
    content, ends = _names_at(snapshot.names, block, size)
    yield 'names', content
    yield 'name_ends', ends
    size += len(content)
  content, ends = _names_at(snapshot.people, kept, 0)
  yield 'people', content
  yield 'people_ends', ends
  yield 'people_keys', snapshot.people_keys[kept]


def _names_at(
  names: StoredNames, places: Int[np.ndarray, ' n'], start: int
) -> tuple[bytes, Int[np.ndarray, ' n']]:
  """Bytes of some names, and the place behind each if they begin at `start`."""
  content, lengths = names.encoded(places)
  return content, np.cumsum(lengths, dtype=np.int64) + start


def _blocks(
  rows: Int[np.ndarray, ' n'],
) -> Iterator[Int[np.ndarray, ' m']]:
  """Rows in parts, with a progress bar."""
  for at in files.progress(
    range(0, len(rows), _BLOCK), desc='compacting', unit='block', delay=2
  ):
    yield rows[at : at + _BLOCK]
