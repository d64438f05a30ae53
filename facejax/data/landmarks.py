"""Lists of published landmarks, five points a photo."""

import array
import itertools
import os
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from facejax.array_typing import Float
from facejax.data.names import NameTable
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike

_NUMBERS = 10
_HEADER_LINES = 2  # CelebA: how many rows follow, and what the columns are


def _is_number(text: str) -> bool:
  try:
    float(text)
  except ValueError:
    return False
  return True


def _parse(line: str, where: str) -> tuple[str, list[float]]:
  """Name and coordinates of a row; names may hold blanks and commas."""
  fields = line.replace(',', ' ').rsplit(None, _NUMBERS)
  try:
    numbers = [float(field) for field in fields[1:]]
  except ValueError:
    numbers = []
  if len(numbers) != _NUMBERS:
    raise DataError(f'{where}: expected a name and 10 numbers: {line[:80]!r}')
  name = line[: len(fields[0])].rstrip(', \t')
  parts = name.replace(',', ' ').split()
  if len(parts) > 1 and _is_number(parts[-1]):
    raise DataError(
      f'{where}: more than 10 numbers: leave boxes and scores out of the list'
    )
  if not np.isfinite(numbers).all():
    raise DataError(f'{where}: a coordinate of {name} is not a finite number')
  return name, numbers


class _Rows:
  """The rows of a list file, read once."""

  def __init__(self, lines: Iterable[bytes], where: str):
    self._lines, self._where = lines, where
    self.coordinates = array.array('f')
    self.hashes = array.array('I')
    self.claimed: int | None = None

  def _header(self, fields: list[str]) -> bool:
    """Whether a line stands above the rows; takes note of their number."""
    if len(fields) == 1 and fields[0].isdecimal():
      self.claimed = int(fields[0])
      return True
    return not any(_is_number(field) for field in fields)

  def names(self) -> Iterator[str]:
    """The name of every row, while its numbers are put away."""
    above = 0
    for number, raw in enumerate(self._lines, 1):
      line = os.fsdecode(raw.removeprefix(b'\xef\xbb\xbf')).strip()
      if not line or line.startswith('#'):
        continue
      if not self.hashes and above < _HEADER_LINES:
        above += 1
        if self._header(line.replace(',', ' ').split()):
          continue
      name, numbers = _parse(line, f'{self._where}, line {number}')
      self.coordinates.extend(numbers)
      self.hashes.append(_hash(name))
      yield name


def _hash(name: str) -> int:
  return zlib.crc32(os.fsencode(name))


def _check_order(points: np.ndarray, where: str) -> None:
  """Refuses a list whose points come in another order than ours.

  Seen along the line from eye to eye the mouth lies to the right hand, however
  the head is turned; single faces in profile may differ.
  """
  eyes = points[:, 1] - points[:, 0]
  mouth = points[:, 3:].mean(axis=1) - points[:, :2].mean(axis=1)
  side = eyes[:, 0] * mouth[:, 1] - eyes[:, 1] * mouth[:, 0]
  if 2 * np.count_nonzero(side < 0) > len(points):
    raise DataError(
      f'{where}: the left and right eye are swapped in most rows: the order is '
      'left eye, right eye, nose, left and right mouth corner, x before y, '
      'left as seen in the image'
    )
  corners = points[:, 4] - points[:, 3]
  if 2 * np.count_nonzero((eyes * corners).sum(axis=1) < 0) > len(points):
    raise DataError(
      f'{where}: the corners of the mouth are swapped in most rows: the left '
      'one in the image comes first'
    )


def _common_folders(names: NameTable) -> list[str]:
  """Beginnings 'a/b/', 'a/' of all names, the longest first."""
  common = names[0].split('/')[:-1]
  for name in names:
    while common and not name.startswith('/'.join(common) + '/'):
      common.pop()
    if not common:
      return []
  return ['/'.join(common[:i]) + '/' for i in range(len(common), 0, -1)]


def _ends(path: str) -> Iterator[str]:
  """A path, then what remains of it folder by folder."""
  yield path
  while '/' in path:
    path = path.partition('/')[2]
    yield path


class LandmarkList:
  """Five landmarks of every listed photo, found by the photo's name.

  Invariants: a row takes 40 bytes for its points, 16 to be found and those of
  its name, and is no Python object.

  Attributes:
    path: the file it was read from.
    scale: what the listed coordinates were multiplied by.
    names: of the photos, as listed.
    points: float32 [N, 5, 2], (x, y) in photo pixels of left eye, right eye,
      nose, left and right mouth corner, left as seen in the image.
  """

  def __init__(self, path: PathLike, *, scale: float | int = 1.0):
    """Reads a list: a name and ten numbers a line.

    They are separated by blanks, tabs or commas. CelebA's two header lines,
    empty lines and those that begin with '#' are passed over.

    Args:
      path: the file.
      scale: photo pixels for one pixel of the list, where it was made on
        another size of the photos.

    Raises:
      DataError: missing, empty, cut short, a line that is no row, or points in
        another order.
      UsageError: a scale that is not positive.
    """
    if not 0 < scale < float('inf'):
      raise UsageError(f'a scale of landmarks of {scale}: use a positive one')
    self.path, self.scale = Path(path), scale
    try:
      with self.path.open('rb') as file:
        rows = _Rows(file, str(path))
        self.names = NameTable.of(rows.names())
    except OSError as error:
      raise DataError(f'{path}: cannot be read ({error.strerror})') from None
    if not len(self.names):
      raise DataError(f'{path}: lists no landmarks')
    if rows.claimed not in (None, len(self.names)):
      raise DataError(
        f'{path}: its first line says {rows.claimed} rows, and it has '
        f'{len(self.names)}: is it cut short?'
      )
    points = np.frombuffer(rows.coordinates, np.float32) * np.float32(scale)
    self.points = points.reshape(-1, 5, 2)
    _check_order(self.points, str(path))
    hashes = np.frombuffer(rows.hashes, np.uint32)
    self._order = np.argsort(hashes, kind='stable').astype(np.uint32)
    self._hashes = hashes[self._order]
    self._folders = _common_folders(self.names)

  def __len__(self) -> int:
    return len(self.names)

  def _rows_of(self, name: str) -> list[int]:
    """The rows of exactly this name."""
    key = np.uint32(_hash(name))
    first = np.searchsorted(self._hashes, key, 'left')
    last = np.searchsorted(self._hashes, key, 'right')
    rows = self._order[first:last].tolist()
    return [row for row in rows if self.names[row] == name]

  def find(self, path: str) -> Float[np.ndarray, '5 2']:
    """The landmarks of a photo.

    A name of the list fits if it is the path or the end of it from a '/' on;
    the longest such name counts. Folders that all listed names share may be
    missing from the path.

    Args:
      path: of the photo, '/'-separated.

    Raises:
      DataError: no row fits, or several.
    """
    above = (folder + path for folder in self._folders)
    for name in itertools.chain(above, _ends(path)):
      rows = self._rows_of(name)
      if len(rows) > 1:
        raise DataError(f'{name} is listed {len(rows)} times in {self.path}')
      if rows:
        return self.points[rows[0]]
    raise DataError(f'has no landmarks in {self.path}')
