"""Zip files of images, read without unpacking them to the disk."""

import struct
import zlib

from facejax.data.members import Members
from facejax.data.names import NameTable
from facejax.data.random_file import RandomFile
from facejax.data.zip_directory import ENCRYPTED, LINK, read_directory
from facejax.errors import DataError
from facejax.files import PathLike, progress

_STORED, _DEFLATED = 0, 8
_HEADER_BYTES = 30
_LENGTHS = struct.Struct('<HH')  # of the name and of the extra field
_COLUMNS = 'qIIIh'  # of `read_directory`; above 4 GiB is too large anyway
_REFUSED = {
  LINK: 'is a link, which is not followed',
  ENCRYPTED: 'is encrypted: unpack the zip with its password',
}


class ZipArchive:
  """The files of a zip; picklable and thread-safe.

  Threads share no lock: each reads the packed bytes from their place and
  inflates them itself.
  """

  MAX_BYTES = 1 << 28  # of one unpacked member

  def __init__(self, path: PathLike):
    """Reads the table of contents.

    Raises:
      DataError: it is no zip, is cut short, or a name leads out of it.
    """
    self._file = RandomFile(path)
    self.path = self._file.path
    rows = progress(
      read_directory(self._file),
      desc=f'listing {self.path.name}',
      unit='file',
      delay=1,
    )
    self._members = Members(iter(rows), _COLUMNS)

  def names(self) -> NameTable:
    """Names of all files, sorted."""
    return self._members.names

  def read(self, name: str) -> bytes:
    """The content of one member.

    Raises:
      DataError: missing, corrupt, encrypted, a link or far too large.
    """
    where = f'{self.path}: {name}'
    offset, packed, size, crc, kind = self._members.find(name, str(self.path))
    if kind not in (_STORED, _DEFLATED):
      raise DataError(
        f'{where} '
        + _REFUSED.get(
          kind, f'is packed by method {kind}: make the zip anew with deflate'
        )
      )
    if max(size, packed) > self.MAX_BYTES:
      raise DataError(f'{where} unpacks to too many bytes')
    header = self._file.read(offset, _HEADER_BYTES)
    if not header.startswith(b'PK\3\4'):
      raise DataError(f'{where} is corrupt (no header where it should stand)')
    start = offset + _HEADER_BYTES + sum(_LENGTHS.unpack_from(header, 26))
    data = self._file.read(start, packed)
    if kind == _DEFLATED:
      data = _inflate(data, size, where)
    if len(data) != size or zlib.crc32(data) != crc:
      raise DataError(f'{where} is corrupt (size or checksum do not fit)')
    return data


def _inflate(data: bytes, size: int, where: str) -> bytes:
  """Unpacks a member, and never more of it than its entry declares.

  Raises:
    DataError: corrupt, or a bomb.
  """
  inflater = zlib.decompressobj(-zlib.MAX_WBITS)
  try:
    unpacked = inflater.decompress(data, size + 1)
  except zlib.error as error:
    raise DataError(f'{where} is corrupt ({error})') from None
  if len(unpacked) > size:
    raise DataError(
      f'{where} is corrupt (unpacks to more than the {size} bytes it declares)'
    )
  return unpacked
