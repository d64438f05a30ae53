"""Codes in the file of faiss's `IndexBinaryFlat`, without faiss.

Little endian, without padding:

  bytes   what
  4       'IBxF'
  4       d, bits of a code, int32: a multiple of 8
  4       bytes of a code, int32: d / 8
  8       T, codes, int64
  1       1: trained
  4       1: the metric, which a binary index does not read
  8       bytes that follow, uint64: T d / 8
  T d / 8 the codes, in order

Bit l of a code is bit l % 8 of its byte l // 8, the least significant first, in
faiss as here (formats b12).
"""

import os
import struct

import numpy as np

from facejax import files
from facejax.array_typing import UInt8
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike
from facejax.search.index import FaceIndex

TAG = b'IBxF'
_HEADER = struct.Struct('<4siiq?iQ')
_METRIC_L2 = 1
_BLOCK = 1 << 18  # codes that are read at a time


def write_codes(path: PathLike, codes: UInt8[np.ndarray, 'T _']) -> None:
  """Writes an `IndexBinaryFlat`, whole or not at all; faiss numbers the rows.

  Args:
    path: of the file.
    codes: uint8 [T, L // 8].
  """
  num_codes, size = codes.shape
  header = _HEADER.pack(
    TAG, 8 * size, size, num_codes, True, _METRIC_L2, codes.size
  )
  content = np.ascontiguousarray(codes).tobytes()
  files.write_bytes(path, header + content)


def read_codes(path: PathLike) -> UInt8[np.ndarray, 'T _']:
  """Reads the codes of an `IndexBinaryFlat`.

  Nothing that the file says of sizes is believed before it fits its length.

  Returns:
    uint8 [T, L // 8], mapped.

  Raises:
    DataError: another file, a damaged one, or another kind of binary index.
  """
  path = Path(path)
  try:
    length = os.stat(path).st_size
    with open(path, 'rb') as file:
      header = file.read(_HEADER.size)
  except OSError as error:
    raise DataError(
      f'{path}: cannot be read ({error.strerror or error})'
    ) from None
  if header[:4] != TAG:
    raise DataError(
      f'{path}: begins with {header[:4]!r}: only {TAG!r}, IndexBinaryFlat of '
      'faiss, holds codes that can be taken over'
    )
  if len(header) < _HEADER.size:
    raise DataError(f'{path}: is cut short within its header')
  _, bits, size, num_codes, is_trained, _, content = _HEADER.unpack(header)
  if bits < 8 or bits % 8 or size != bits // 8 or num_codes < 0:
    raise DataError(
      f'{path}: {num_codes} codes of {bits} bits in {size} bytes cannot be'
    )
  if not is_trained or content != num_codes * size:
    raise DataError(
      f'{path}: its header says {content} bytes for {num_codes} codes of {size}'
    )
  if length != _HEADER.size + content:
    raise DataError(
      f'{path}: has {length} bytes, its header says {_HEADER.size + content}: '
      'it was cut short or altered'
    )
  if not num_codes:
    return np.empty((0, size), np.uint8)
  shape = (num_codes, size)
  return np.asarray(np.memmap(path, np.uint8, 'r', _HEADER.size, shape))


def export_index(index: FaceIndex, path: PathLike) -> int:
  """Writes the codes of an index for faiss, and who they are beside it.

  `PATH.names` has a line for each of faiss's numbers: name, tab, person.
  Removed templates are left out.

  Returns:
    How many codes were written.

  Raises:
    UsageError: the index has no codes.
    DataError: a name holds a line feed or a tab.
  """
  snapshot = index.snapshot
  if snapshot.codes is None:
    raise UsageError(
      f'{index.path} has no codes for faiss: launch.add_hash gives a model a '
      'hash layer'
    )
  rows = snapshot.living_rows()
  lines = []
  for row in rows.tolist():
    pair = snapshot.names[row], snapshot.people[snapshot.person[row]]
    if any(mark in text for text in pair for mark in '\t\n'):
      raise DataError(f'{pair[0]!r} of {pair[1]!r}: no line can hold the name')
    lines.append(b'\t'.join(map(os.fsencode, pair)) + b'\n')
  write_codes(path, snapshot.codes[rows])
  files.write_bytes(f'{os.fspath(path)}.names', b''.join(lines))
  return len(rows)


def _read_names(path: Path, count: int) -> list[tuple[str, str]] | None:
  """(name, person) of every code, None where no such file is."""
  if not path.exists():
    return None
  lines = os.fsdecode(path.read_bytes()).removesuffix('\n').split('\n')
  pairs = [tuple(line.split('\t')) for line in lines] if lines != [''] else []
  if len(pairs) != count or any(len(pair) != 2 for pair in pairs):
    raise DataError(
      f'{path}: expected {count} lines of name, tab, person, one a code'
    )
  return pairs


def import_index(path: PathLike, output: PathLike) -> FaceIndex:
  """Builds an index of codes alone from a file of faiss.

  Args:
    path: of an `IndexBinaryFlat`; `PATH.names` names its rows if it is there,
      otherwise their numbers do, each a person of its own.
    output: the new index.

  Returns:
    The index, open for writing.

  Raises:
    DataError: the file cannot be read, or the names do not fit.
    UsageError: something stands at `output`.
  """
  codes = read_codes(path)
  pairs = _read_names(Path(f'{os.fspath(path)}.names'), len(codes))
  index = FaceIndex.create(
    output, bits=8 * codes.shape[1], embedding_size=0, vectors='none'
  )
  starts = range(0, len(codes), _BLOCK)
  for start in files.progress(starts, desc='reading', unit='block', delay=2):
    block = codes[start : start + _BLOCK]
    numbers = range(start, start + len(block))
    some = [pairs[i] if pairs else (str(i), str(i)) for i in numbers]
    index.add([n for n, _ in some], [p for _, p in some], block)
  return index
