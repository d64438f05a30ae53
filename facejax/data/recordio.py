"""RecordIO as MXNet and InsightFace write it: one record at a time.

A record is, little-endian, a u32 magic, a u32 with a continuation flag in its
upper 3 bits and a length in the others, that many bytes, and zeros up to a
multiple of 4. Flag 0 is a whole record; 1, 2 and 3 are the first, the middle
and the last part of one that held the magic at a multiple of 4, which goes
back between its parts. The payload is a header (flag, label, id, id2), `flag`
more labels, and an encoded image.

References:
  dmlc-core, include/dmlc/recordio.h; mxnet, python/mxnet/recordio.py.
"""

import io
import struct

from facejax.errors import DataError, UsageError

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack('<I', MAGIC)
MAX_LENGTH = (1 << 29) - 1
PART = struct.Struct('<II')  # magic, flag and length
HEADER = struct.Struct('<IfQQ')  # flag, label, id, id2
WHOLE, FIRST, MIDDLE, LAST = range(4)


def padded(length: int) -> int:
  """Bytes that a part of this length takes in the file."""
  return (length + 3) & ~3


def unpack(
  payload: bytes, *, where: str
) -> tuple[tuple[float, ...], int, bytes]:
  """Takes a payload apart.

  Returns:
    Labels (at least one), id, and the encoded image.

  Raises:
    DataError: too short for what it says.
  """
  if len(payload) >= HEADER.size:
    flag, label, number, _ = HEADER.unpack_from(payload)
    end = HEADER.size + 4 * flag
    if end <= len(payload):
      extra = struct.unpack_from(f'<{flag}f', payload, HEADER.size)
      return extra or (label,), number, payload[end:]
  raise DataError(f'{where}: the record is too short for its labels')


def pack(
  labels: int | float | tuple[int | float, ...], key: int, image: bytes
) -> bytes:
  """Inverse of `unpack`: a single number has flag 0, a tuple its length."""
  if not isinstance(labels, tuple):
    return HEADER.pack(0, labels, key, 0) + image
  extra = struct.pack(f'<{len(labels)}f', *labels)
  return HEADER.pack(len(labels), 0, key, 0) + extra + image


def write_record(file: io.IOBase, payload: bytes) -> None:
  """Writes one record as dmlc does, split where it holds the magic.

  Raises:
    UsageError: it has 2^29 bytes or more.
  """
  if len(payload) > MAX_LENGTH:
    raise UsageError(f'a record of {len(payload)} bytes: at most {MAX_LENGTH}')
  begin, at = 0, payload.find(MAGIC_BYTES)
  while at >= 0 and at + 4 <= len(payload) & ~3:
    if at % 4:
      at = payload.find(MAGIC_BYTES, at + 1)
      continue
    flag = MIDDLE if begin else FIRST
    file.write(PART.pack(MAGIC, flag << 29 | at - begin) + payload[begin:at])
    begin = at + 4
    at = payload.find(MAGIC_BYTES, begin)
  flag = LAST if begin else WHOLE
  length = len(payload) - begin
  file.write(PART.pack(MAGIC, flag << 29 | length) + payload[begin:])
  file.write(bytes(-length % 4))
