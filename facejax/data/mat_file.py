"""Variables of MATLAB files; nothing that such a file says is ever run."""

import io
import math
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from facejax.errors import DataError
from facejax.files import Path, PathLike

_HEADER = 128
# Types of elements and classes of arrays (cell, struct, text, numbers) by
# MATLAB's documentation; scipy trusts them and sizes, and crashes on others.
_TYPES = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 14, 15, 16, 17, 18})
_INT32, _UINT32, _ARRAY, _COMPRESSED = 5, 6, 14, 15
_OF_ARRAYS = frozenset({1, 2})  # cells and structs
_NO_VALUES = frozenset({_ARRAY, _COMPRESSED})
_COMPLEX = 0x0800
_CLASSES = frozenset({*_OF_ARRAYS, 4, *range(6, 16)})
# SciPy says by NotImplementedError that a file has the form of MATLAB 7.3.
_NO_MAT = (
  OSError,
  ValueError,
  TypeError,
  LookupError,
  ArithmeticError,
  MemoryError,
  NotImplementedError,
  RecursionError,
  MatReadError,
  struct.error,
  zlib.error,
)


def _byte_order(data: bytes) -> str:
  """Of the numbers, by the last two bytes of the header.

  Raises:
    ValueError: there is no header of MATLAB 5.
  """
  orders = {b'IM': '<', b'MI': '>'}
  mark = data[_HEADER - 2 : _HEADER]
  if mark not in orders or len(data) == _HEADER:
    raise ValueError('no file of MATLAB 5 to 7.2')
  return orders[mark]


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
  """Type and content of the elements that stand one after the other.

  Raises:
    ValueError: one is of no known type, or longer than the data.
  """
  place = 0
  while place < len(data):
    kind, size = struct.unpack_from(f'{order}II', data, place)
    start = place + 8
    if kind >> 16:  # a small one keeps type, size and content in 8 bytes
      kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
    end = start + size
    if kind not in _TYPES or end > len(data):
      raise ValueError(f'an element of type {kind} with {size} bytes')
    yield kind, data[start:end]
    # Compressed elements are not padded to whole words.
    place = end if kind == _COMPRESSED else -(-end // 8) * 8


def _check_array(data: memoryview, order: str) -> None:
  """Refuses an array of no known class, or with less in it than it says.

  Raises:
    ValueError, struct.error, zlib.error: says what is wrong.
  """
  elements = list(_elements(data, order))
  if not elements:  # an empty cell
    return
  (flags_type, flags), (sizes_type, sizes) = elements[:2]
  if (flags_type, len(flags)) != (_UINT32, 8) or sizes_type != _INT32:
    raise ValueError('an array without class or size')
  word = struct.unpack_from(f'{order}I', flags)[0]
  number = word & 0xFF
  shape = struct.unpack(f'{order}{len(sizes) // 4}i', sizes)
  parts = elements[3:]  # after the name: cells, or all values in one
  if number in _OF_ARRAYS:
    room = len(parts)
  elif len(parts) == 1 and parts[0][0] not in _NO_VALUES:
    room = len(parts[0][1])
  else:
    room = -1
  is_whole = min(shape) >= 0 and math.prod(shape) <= room
  if number not in _CLASSES or word & _COMPLEX or not is_whole:
    raise ValueError(f'an array of class {number} and size {shape}')
  _check_elements(parts, order)


def _check_elements(
  elements: Iterable[tuple[int, memoryview]], order: str
) -> None:
  """Refuses elements that are not whole, as `_check_array` does."""
  for kind, content in elements:
    if kind == _COMPRESSED:
      inside = memoryview(zlib.decompress(content))
      _check_elements(_elements(inside, order), order)
    elif kind == _ARRAY:
      _check_array(content, order)


def read_mat(path: PathLike, *, form: str) -> dict[str, Any]:
  """Reads all variables of a .mat of MATLAB 5 to 7.2.

  Cells, structs, texts and full arrays of numbers are read; a file that holds
  anything else, such as objects, sparse or complex arrays, is refused.

  Args:
    path: the file.
    form: what is expected in it, for errors.

  Returns:
    Arrays by name; cells are arrays of objects, structs arrays of records.

  Raises:
    DataError: the file cannot be read, or is no such file.
  """
  path = Path(path)
  try:
    data = path.read_bytes()
  except OSError as error:
    raise DataError(
      f'{path}: cannot be read ({error.strerror or error})'
    ) from None
  try:
    order = _byte_order(data)
    _check_elements(_elements(memoryview(data)[_HEADER:], order), order)
    return loadmat(io.BytesIO(data))
  except _NO_MAT as error:
    raise DataError(f'{path}: expected {form} ({error})') from None
