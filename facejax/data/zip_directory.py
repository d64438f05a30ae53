"""The table of contents at the end of a zip file, read in one pass.

`zipfile` keeps an object of some 600 bytes for every member; face sets have
millions. Layout: PKWARE's APPNOTE 4.3.12 (entries), 4.3.14 to 4.3.16 (end).
"""

import stat
import struct
from collections.abc import Iterator

from facejax.data.members import safe_name
from facejax.data.random_file import RandomFile
from facejax.errors import DataError

# Kinds of a member beside the numbers of compression methods.
LINK, ENCRYPTED = -1, -2

_BLOCK = 1 << 20
_ENTRY = struct.Struct('<4sHHHHHHLLLHHHHHLL')
_END = struct.Struct('<4sHHHHLLH')
_LOCATOR = struct.Struct('<4sLQL')
_END64 = struct.Struct('<4sQHHLLQQQQ')
_LONGEST_COMMENT = 0xFFFF
_LONGEST_ENTRY = _ENTRY.size + 3 * 0xFFFF
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF  # the number stands elsewhere
_ENCRYPTED_FLAG, _UTF8_FLAG = 0x1, 0x800
_UNIX = 3

Row = tuple[str, tuple[int, int, int, int, int]]


def _find_end(file: RandomFile) -> tuple[int, int, int, int]:
  """(start, size, entries, shift) of the table.

  `shift` is what stands in front of the zip, such as a program that unpacks
  it; all offsets inside count from behind that.
  """
  length = min(file.size, _LONGEST_COMMENT + _END.size)
  tail = file.read(file.size - length, length)
  at = tail.rfind(b'PK\5\6', 0, max(0, length - _END.size) + 4)
  if at < 0 or length < _END.size:
    raise DataError(
      f'{file.path}: is no readable zip: it has no table of contents at its '
      'end, or is cut short'
    )
  _, disk, _, _, entries, size, offset, _ = _END.unpack_from(tail, at)
  end = file.size - length + at
  if disk not in (0, _FULL16):
    raise DataError(f'{file.path}: is one part of a split zip: join the parts')
  if end >= _LOCATOR.size + _END64.size:
    record = file.read(
      end - _LOCATOR.size - _END64.size, _END64.size + _LOCATOR.size
    )
    if record.startswith(b'PK\6\6') and record[_END64.size :][:4] == b'PK\6\7':
      *_, entries, size, offset = _END64.unpack_from(record)
      end -= _LOCATOR.size + _END64.size
  start = end - size
  if start < 0 or start < offset:
    raise DataError(f'{file.path}: is no readable zip: its table is cut short')
  return start, size, entries, start - offset


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, ...]:
  """Sizes and offset with those that need 64 bits taken from the extra field.

  Raises:
    struct.error: they are not there.
  """
  values, at = [size, packed, offset], 0
  while at + 4 <= len(extra) and _FULL32 in values:
    kind, length = struct.unpack_from('<HH', extra, at)
    if kind == 1:
      place = at + 4
      for index in range(3):
        if values[index] == _FULL32:
          (values[index],) = struct.unpack_from('<Q', extra, place)
          place += 8
      break
    at += 4 + length
  return tuple(values)


def _kind(made_by: int, flags: int, method: int, attributes: int) -> int:
  if flags & _ENCRYPTED_FLAG:
    return ENCRYPTED
  if made_by >> 8 == _UNIX and stat.S_ISLNK(attributes >> 16):
    return LINK
  return method


def _entry(block: bytes, at: int, shift: int, where: str) -> tuple[Row, int]:
  """The entry at a place of a block, and its length."""
  (
    magic, made_by, _, flags, method, _, _, crc, packed, size, *lengths, _, _,
    attributes, offset,
  ) = _ENTRY.unpack_from(block, at)  # fmt: skip
  if magic != b'PK\1\2':
    raise struct.error('no entry')
  name_end = at + _ENTRY.size + lengths[0]
  raw = block[at + _ENTRY.size : name_end].split(b'\0')[0]
  if flags & _UTF8_FLAG:
    name = raw.decode(errors='surrogateescape')
  else:
    name = raw.decode('cp437')
  size, packed, offset = _wide(
    block[name_end : name_end + lengths[1]], size, packed, offset
  )
  kind = _kind(made_by, flags, method, attributes)
  row = safe_name(name, where), (offset + shift, packed, size, crc, kind)
  return row, _ENTRY.size + sum(lengths)


def read_directory(file: RandomFile) -> Iterator[Row]:
  """Yields the files of a zip, folders left out.

  Args:
    file: the zip.

  Yields:
    (name, (offset of its header, packed bytes, bytes, CRC-32, kind)), where
    the kind is a compression method, LINK or ENCRYPTED.

  Raises:
    DataError: it is no zip, is cut short, or a name leads out of it.
  """
  position, size, entries, shift = _find_end(file)
  end, block, at, count = position + size, b'', 0, 0
  try:
    while position < end or at < len(block):
      if len(block) - at < _LONGEST_ENTRY and position < end:
        length = min(_BLOCK, end - position)
        block = block[at:] + file.read(position, length)
        position, at = position + length, 0
      row, length = _entry(block, at, shift, str(file.path))
      at, count = at + length, count + 1
      if not row[0].endswith('/'):
        yield row
  except struct.error:
    raise DataError(
      f'{file.path}: entry {count} of its table is corrupt: copy the zip again'
    ) from None
  if at > len(block) or count & _FULL16 != entries & _FULL16:
    raise DataError(
      f'{file.path}: its table has {count} entries, its end says {entries}: '
      'copy the zip again'
    )
