"""The index (`.idx`) of a RecordIO file: a line 'key TAB byte' a record."""

import array

import numpy as np

from facejax.array_typing import Int
from facejax.data.recordio import PART
from facejax.errors import DataError
from facejax.files import Path


def read_index(
  path: Path, *, records: Path, size: int
) -> tuple[Int[np.ndarray, ' N'], Int[np.ndarray, ' N']]:
  """Reads an index and refuses rows that cannot be the file's.

  Args:
    path: the index.
    records: the `.rec` file that it belongs to.
    size: bytes of that file.

  Returns:
    Keys and byte offsets, int64 [N], in the order of the rows; both without
    repeats, every offset a multiple of 4 within the file.

  Raises:
    DataError: unreadable, or of another file; names the row.
  """
  keys, offsets = _rows(path)
  hint = 'or delete it to read the file without'
  for values, what in ((keys, 'key'), (offsets, 'byte')):
    ordered = np.sort(values)
    repeated = ordered[1:] == ordered[:-1]
    if repeated.any():
      raise DataError(
        f'{path}: {what} {ordered[repeated.argmax()]} stands there twice; '
        f'make the index anew, {hint}'
      )
  if (past := offsets > size - PART.size).any():
    row = past.argmax()
    raise DataError(
      f'{path}: {past.sum()} of {len(past)} rows point past the end of '
      f'{records}, which has {size} bytes (key {keys[row]}: byte '
      f'{offsets[row]}): it is cut short, or the index is of another file; '
      'copy both again'
    )
  if (odd := (offsets % 4 != 0) | (offsets < 0)).any():
    row = odd.argmax()
    raise DataError(
      f'{path}: key {keys[row]} points to byte {offsets[row]}, where no '
      f'record can begin; take the index of {records}, {hint}'
    )
  return keys, offsets


def _rows(path: Path) -> tuple[Int[np.ndarray, ' N'], Int[np.ndarray, ' N']]:
  """Keys and offsets as the file gives them."""
  keys, offsets = array.array('q'), array.array('q')
  try:
    with path.open('rb') as file:
      for number, line in enumerate(file, 1):
        try:
          key, offset = line.split()
          keys.append(int(key))
          offsets.append(int(offset))
        except (ValueError, OverflowError):
          raise DataError(
            f"{path}, line {number}: expected 'KEY<tab>BYTE', found "
            f'{line[:60]!r}; copy the index again, or delete it to read the '
            'file without'
          ) from None
  except OSError as error:
    raise DataError(f'{path}: cannot be read ({error.strerror})') from None
  if not keys:
    raise DataError(f'{path}: is empty; delete it to read the file without')
  return np.frombuffer(keys, np.int64), np.frombuffer(offsets, np.int64)
