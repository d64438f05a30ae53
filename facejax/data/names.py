"""Millions of names in one block of memory instead of an object each."""

import array
import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from facejax.array_typing import Int


class NameTable(Sequence[str]):
  """An unchanging list of names: their bytes, and 8 more for each.

  Names are kept as file systems keep them, so those that are not UTF-8 come
  back as they went in (`os.fsencode`).
  """

  def __init__(self, blob: bytes, ends: Int[np.ndarray, ' N']):
    """Wraps names that stand one after the other.

    Args:
      blob: all names.
      ends: int64 [N], the place in `blob` behind every name.
    """
    self._blob = blob
    self._ends = np.asarray(ends, np.int64)

  @classmethod
  def of(cls, names: Iterable[str]) -> 'NameTable':
    """A table of the names of an iterable, of which none is kept."""
    blob, ends = bytearray(), array.array('q')
    for name in names:
      blob += os.fsencode(name)
      ends.append(len(blob))
    return cls(bytes(blob), np.frombuffer(ends, np.int64))

  @classmethod
  def from_lines(cls, text: bytes) -> 'NameTable':
    """Inverse of `to_lines`."""
    data = np.frombuffer(text, np.uint8)
    breaks = np.flatnonzero(data == ord('\n'))
    blob = text.replace(b'\n', b'')
    return cls(blob, breaks - np.arange(len(breaks)))

  def to_lines(self) -> bytes:
    """One name a line, each ended by a line feed; none may hold one itself."""
    return b''.join(os.fsencode(name) + b'\n' for name in self)

  def __len__(self) -> int:
    return len(self._ends)

  def __getitem__(self, index):
    """The name at a place; a slice is a list of names."""
    if isinstance(index, slice):
      return [self[i] for i in range(*index.indices(len(self)))]
    place = int(index) + (len(self) if index < 0 else 0)
    if not 0 <= place < len(self):
      raise IndexError(f'name {index} of {len(self)}')
    start = int(self._ends[place - 1]) if place else 0
    return os.fsdecode(self._blob[start : int(self._ends[place])])

  def __iter__(self) -> Iterator[str]:
    start = 0
    for end in map(int, self._ends):
      yield os.fsdecode(self._blob[start:end])
      start = end

  def __eq__(self, other: object) -> bool:
    """Whether another sequence holds the same names in the same order."""
    if not isinstance(other, Sequence) or isinstance(other, str):
      return NotImplemented
    return len(self) == len(other) and all(
      a == b for a, b in zip(self, other, strict=True)
    )

  __hash__ = None

  def __repr__(self) -> str:
    return f'NameTable({len(self)} names)'
