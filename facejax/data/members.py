"""The table of an archive's files: sorted names, and numbers about each."""

import array
import heapq
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from facejax.array_typing import Int
from facejax.data.names import NameTable
from facejax.errors import DataError

_RUN = 1 << 16  # names that are objects at one time while sorting


def sorted_order(names: Sequence[str]) -> Int[np.ndarray, ' N']:
  """The stable order that sorts names, without an object for each of them.

  Runs are sorted in memory and merged lazily, so of millions of names only
  some ten thousand exist as strings at any time.

  Args:
    names: N names; only read, in pieces.

  Returns:
    int64 [N]: `names[order[0]]` is the first.
  """
  runs = []
  for start in range(0, len(names), _RUN):
    part = names[start : start + _RUN]
    order = sorted(range(len(part)), key=part.__getitem__)
    runs.append(np.array(order, np.int64) + start)
  merged = heapq.merge(*runs, key=names.__getitem__)
  return np.fromiter(merged, np.int64, len(names))


def find_name(names: Sequence[str], name: str) -> int | None:
  """The place of a name in a sorted sequence, None where it is not there."""
  low, high = 0, len(names)
  while low < high:
    middle = (low + high) // 2
    if names[middle] < name:
      low = middle + 1
    else:
      high = middle
  return low if low < len(names) and names[low] == name else None


def safe_name(name: str, where: str) -> str:
  """A member's name as a path below the archive, './' taken off its front.

  Raises:
    DataError: it is absolute or climbs out of the archive.
  """
  parts = name.split('/')
  if name.startswith('/') or '..' in parts or '\\' in name:
    raise DataError(f'{where}: unsafe member name {name!r}')
  if '.' in parts:
    return '/'.join(part for part in parts if part != '.')
  return name


def _sort(
  names: NameTable, numbers: Sequence[np.ndarray]
) -> tuple[NameTable, list[np.ndarray]]:
  """Both in the order of the names, of equal names the last alone."""
  order = sorted_order(names)
  kept = array.array('q')

  def last_of_each() -> Iterator[str]:
    before = None
    for place in map(int, order):
      name = names[place]
      if name == before:
        kept[-1] = place
        continue
      if before is not None:
        yield before
      kept.append(place)
      before = name
    if before is not None:
      yield before

  table = NameTable.of(last_of_each())
  places = np.frombuffer(kept, np.int64)
  return table, [column[places] for column in numbers]


class Members:
  """What an archive holds: the names of its files and numbers about each.

  Invariants: `names` is sorted and has no name twice (of files of one name the
  last one in the archive counts, as for those who unpack it); element i of
  every column is about `names[i]`.

  Attributes:
    names: the files, without folders.
    columns: int [N] each.
  """

  def __init__(self, rows: Iterable[tuple[str, Sequence[int]]], types: str):
    """Reads (name, numbers) of every file, in the archive's order.

    Args:
      rows: names that are safe, with a whole number for each of `types`.
      types: of the columns, letters of `array`; numbers that are too large
        for theirs become its largest.
    """
    columns = [array.array(letter) for letter in types]
    most = [int(np.iinfo(letter).max) for letter in types]

    def names() -> Iterator[str]:
      for name, numbers in rows:
        for column, number, limit in zip(columns, numbers, most, strict=True):
          column.append(min(number, limit))
        yield name

    table = NameTable.of(names())
    self.names, self.columns = _sort(
      table, [np.frombuffer(c, c.typecode) for c in columns]
    )

  def find(self, name: str, where: str) -> list[int]:
    """The numbers of a file.

    Raises:
      DataError: the archive has no such file.
    """
    place = find_name(self.names, name)
    if place is None:
      raise DataError(f'{where}: has no file {name}')
    return [int(column[place]) for column in self.columns]
