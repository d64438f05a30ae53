"""Finds the files that a list names, within archives of millions."""

import array
from collections.abc import Iterator, Sequence

import numpy as np

from facejax.array_typing import Int32
from facejax.data.names import NameTable

MISSING, AMBIGUOUS = -1, -2

_CHUNK = 1 << 16


def _ends(path: str) -> Iterator[str]:
  """The whole path, then what stands behind each '/'."""
  yield path
  start = path.find('/') + 1
  while start:
    yield path[start:]
    start = path.find('/', start) + 1


class _Wanted:
  """The paths of a list by their hashes, 20 bytes each."""

  def __init__(self, paths: NameTable):
    self._paths = paths
    hashes = np.fromiter(map(hash, paths), np.int64, len(paths))
    self._order = np.argsort(hashes, kind='stable')
    self._sorted = hashes[self._order]

  def find(self, files: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yields (place in the list, place in `files`): an end of it is wanted."""
    hashes, owners = array.array('q'), array.array('i')
    for owner, file in enumerate(files):
      for end in _ends(file):
        hashes.append(hash(end))
        owners.append(owner)
    asked = np.frombuffer(hashes, np.int64)
    first = np.searchsorted(self._sorted, asked)
    last = np.searchsorted(self._sorted, asked, side='right')
    for hit in np.flatnonzero(first < last).tolist():
      file = files[owners[hit]]
      for place in self._order[first[hit] : last[hit]].tolist():
        path = self._paths[place]
        # Two names may share a hash.
        if file == path or file.endswith('/' + path):
          yield place, owners[hit]


class _Found:
  """How often each path was found, and where first."""

  def __init__(self, count: int):
    self.counts = np.zeros(count, np.uint8)
    self.inputs = np.zeros(count, np.int32)
    self.places = np.zeros(count, np.int32)

  def add(self, path: int, where: tuple[int, int]) -> None:
    if not self.counts[path]:
      self.inputs[path], self.places[path] = where
    self.counts[path] = min(2, self.counts[path] + 1)


def match_list(
  paths: NameTable, archives: Sequence[tuple[str, Sequence[str]]]
) -> tuple[Int32[np.ndarray, ' N'], Int32[np.ndarray, ' N']]:
  """Where each path of a list lies.

  A path is that of a file within its archive or, if there is none, the end of
  exactly one file's path, the folder that holds the archive's files included.

  Args:
    paths: N paths, none twice.
    archives: for each what its names stand under ('/data/faces/', or '' for
      one file) and the names.

  Returns:
    int32 [N] the archive of each path, int32 [N] its place there, MISSING or
    AMBIGUOUS.
  """
  wanted = _Wanted(paths)
  whole, ends = _Found(len(paths)), _Found(len(paths))
  for number, (root, names) in enumerate(archives):
    for start in range(0, len(names), _CHUNK):
      chunk = names[start : start + _CHUNK]
      for path, place in wanted.find([root + name for name in chunk]):
        found = whole if chunk[place] == paths[path] else ends
        found.add(path, (number, start + place))
  is_whole = whole.counts > 0
  counts = np.where(is_whole, whole.counts, ends.counts)
  places = np.where(is_whole, whole.places, ends.places)
  places[counts == 0], places[counts > 1] = MISSING, AMBIGUOUS
  return np.where(is_whole, whole.inputs, ends.inputs), places
