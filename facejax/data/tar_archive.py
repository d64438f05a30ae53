"""Tar files of images, read in place; compressed ones are unpacked once."""

import tarfile
from collections.abc import Iterator

from facejax.data.members import Members, safe_name
from facejax.data.names import NameTable
from facejax.data.random_file import RandomFile
from facejax.data.unpacking import UnpackedFile, decompressor
from facejax.errors import DataError
from facejax.files import PathLike, progress

_REGULAR, _LINK, _OTHER, _SPARSE = range(4)
_REFUSED = {
  _LINK: 'is a link, which is not followed: make the tar anew with '
  '--dereference --hard-dereference',
  _OTHER: 'is not a regular file',
  _SPARSE: 'is a sparse file: make the tar anew without --sparse',
}
# What `tarfile` raises for headers that are not what they should be.
_FAULTS = (
  tarfile.TarError,
  ValueError,
  ArithmeticError,
  LookupError,
  RecursionError,
  OSError,
)

File = RandomFile | UnpackedFile
Row = tuple[str, tuple[int, int, int]]


class _Headers:
  """What `tarfile` reads headers from: short reads at the end, none too long.

  A header may claim any length, a negative one included, for a name.
  """

  MAX_BYTES = 1 << 20

  def __init__(self, file: File):
    self._file = file
    self._position = 0

  def tell(self) -> int:
    """The place of the next read."""
    return self._position

  def seek(self, position: int) -> None:
    """Moves it."""
    self._position = position

  def read(self, length: int) -> bytes:
    """Up to `length` bytes; raises ValueError for what no header is."""
    if not 0 <= length <= self.MAX_BYTES or self._position < 0:
      raise ValueError(f'a header of {length} bytes')
    length = max(0, min(length, self._file.size - self._position))
    data = self._file.read(self._position, length)
    self._position += length
    return data


def _kind(info: tarfile.TarInfo) -> int:
  if info.issym() or info.islnk():
    return _LINK
  if info.issparse():
    return _SPARSE
  return _REGULAR if info.isreg() else _OTHER


def _rows(file: File) -> Iterator[Row]:
  """Yields (name, (offset, size, kind)) of all but folders, in order.

  Raises:
    DataError: no tar, corrupt, cut short, or a name leads out of it.
  """
  before = 0
  try:
    with tarfile.open(
      fileobj=_Headers(file), mode='r:', errors='surrogateescape'
    ) as tar:
      while (info := tar.next()) is not None:
        tar.members.clear()  # it keeps all
        if info.size < 0 or tar.offset <= before:
          raise ValueError('a negative size')
        before = tar.offset
        if not info.isdir():
          name = safe_name(info.name, str(file.path))
          yield name, (info.offset_data, info.size, _kind(info))
      _check_end(file, tar.offset)
  except _FAULTS as error:
    raise DataError(
      f'{file.path}: is no readable tar, or is cut short at byte {before} '
      f'({error}): copy the file again'
    ) from None


def _check_end(file: File, offset: int) -> None:
  """`tarfile` ends in silence where a header is broken or missing.

  Raises:
    DataError: there is no end mark, or something stands behind it.
  """
  block = file.read(offset, max(0, min(512, file.size - offset)))
  if len(block) < 512 or any(block):
    raise DataError(
      f'{file.path}: is cut short or corrupt at byte {offset}: no header and '
      'no end mark stands there; copy the file again'
    )
  while offset < file.size:
    block = file.read(offset, min(_Headers.MAX_BYTES, file.size - offset))
    if any(block):
      raise DataError(
        f'{file.path}: goes on behind its end mark: give tars that were joined '
        'one by one'
      )
    offset += len(block)


class TarArchive:
  """The files of a tar; picklable and thread-safe.

  A plain tar is read where it lies. One compressed as a whole (gzip, bzip2,
  xz) has no places to read from, so it is unpacked into a temporary file that
  has no name and goes with the archive.
  """

  MAX_BYTES = 1 << 28  # of one member

  def __init__(self, path: PathLike):
    """Reads all headers once.

    Raises:
      DataError: it is no tar, is cut short, unpacks to too much, or a name
        leads out of it.
    """
    file = RandomFile(path)
    self.path = file.path
    opener = decompressor(file.read(0, min(6, file.size)))
    self._file = UnpackedFile(file, opener) if opener else file
    rows = progress(
      _rows(self._file), desc=f'listing {self.path.name}', unit='file', delay=1
    )
    self._members = Members(iter(rows), 'qIb')

  def __getstate__(self):
    return {'path': self.path}

  def __setstate__(self, state):
    self.__init__(state['path'])

  def names(self) -> NameTable:
    """Names of all files, links and devices, sorted."""
    return self._members.names

  def read(self, name: str) -> bytes:
    """The content of one member.

    Raises:
      DataError: missing, no regular file or far too large.
    """
    offset, size, kind = self._members.find(name, str(self.path))
    if kind in _REFUSED:
      raise DataError(f'{self.path}: {name} {_REFUSED[kind]}')
    if size > self.MAX_BYTES:
      raise DataError(f'{self.path}: {name} has too many bytes')
    return self._file.read(offset, size)
