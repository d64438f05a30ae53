"""Compressed files unpacked once, so that they can be read at random."""

import bz2
import gzip
import io
import lzma
import os
import tempfile
import weakref
import zlib
from typing import Any

from facejax.data.random_file import RandomFile
from facejax.data.remote import is_remote
from facejax.errors import DataError
from facejax.files import Path, note

_OPENERS = {
  b'\x1f\x8b': lambda file: gzip.GzipFile(fileobj=file),
  b'BZh': bz2.BZ2File,
  b'\xfd7zXZ\0': lzma.LZMAFile,
}
_BLOCK = 1 << 20
_MB = 1e6


def decompressor(start: bytes) -> Any:
  """What opens a file that starts like this, None if it is not compressed."""
  return next(
    (o for magic, o in _OPENERS.items() if start[:6].startswith(magic)), None
  )


class UnpackedFile:
  """A temporary file without a name; it goes when its last user does.

  Attributes:
    path: of the compressed file, for errors.
    size: bytes unpacked.
  """

  # Images are packed already: a tar of JPEG files shrinks by less than twice
  # and one of bitmaps by less than a hundred times.
  MAX_RATIO = 100
  SPARE_BYTES = 1 << 28  # left free on the disk

  def __init__(self, file: RandomFile, opener: Any):
    """Unpacks a file, onto its own disk if that can be written.

    Args:
      file: the compressed file.
      opener: what `decompressor` gave for it.

    Raises:
      DataError: corrupt, cut short, far too large or more than the disk holds.
    """
    self.path = path = file.path
    with _temporary(path) as target:
      self._descriptor = os.dup(target.fileno())
    self._finalizer = weakref.finalize(self, os.close, self._descriptor)
    note(
      f'note: {path} ({file.size / _MB:.0f} MB) is compressed as a whole: '
      'unpacking it once into a temporary file'
    )
    try:
      with path.open('rb') as raw, opener(raw) as source:
        self.size = self._copy(source, file.size)
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
      raise DataError(
        f'{path}: cannot be unpacked ({error}): copy the file again, or free '
        'some space'
      ) from None

  def _copy(self, source: io.BufferedIOBase, packed: int) -> int:
    """Unpacks block by block; the bytes written."""
    size = 0
    while block := source.read(_BLOCK):
      if size + len(block) > max(_BLOCK, packed) * self.MAX_RATIO:
        raise DataError(
          f'{self.path}: unpacks to more than {self.MAX_RATIO} times its size: '
          'no archive of images does; it is refused'
        )
      disk = os.fstatvfs(self._descriptor)
      if disk.f_bavail * disk.f_frsize < self.SPARE_BYTES + len(block):
        raise DataError(
          f'{self.path}: no space left to unpack it: set TMPDIR to a larger '
          'disk, or unpack it yourself and give the folder'
        )
      view = memoryview(block)
      while view:
        written = os.pwrite(self._descriptor, view, size)
        size, view = size + written, view[written:]
    return size

  def read(self, offset: int, length: int) -> bytes:
    """`length` bytes from the byte `offset` on.

    Raises:
      DataError: the file ends before.
    """
    parts = []
    while length > 0 and (part := os.pread(self._descriptor, length, offset)):
      parts.append(part)
      offset, length = offset + len(part), length - len(part)
    if length:
      raise DataError(f'{self.path}: ends at byte {self.size} (unpacked)')
    return b''.join(parts)

  def close(self) -> None:
    """Gives the space back; without a call, the last reference does."""
    self._finalizer()


def _temporary(path: Path) -> Any:
  """A nameless file beside `path`, or where temporary files go."""
  if not is_remote(path):
    try:
      return tempfile.TemporaryFile(dir=path.parent, buffering=0)
    except OSError:  # read-only, as shared data often is
      pass
  return tempfile.TemporaryFile(buffering=0)
