"""Arrays of MXNet's `.params`, a list of NDArrays with names.

Layout, little-endian: uint64 magic 0x112, uint64 reserved, uint64 count, the
arrays, uint64 count, the names (uint64 length, text). An array is a uint32
version; from the second on its storage type (int32, 0 is dense); its shape;
where it was (two int32); its type (int32); its numbers. The first format has
no version: its first uint32 is the number of axes, and they are uint32.

References:
  Apache MXNet, src/ndarray/ndarray.cc, `NDArray::Save` and `LegacyLoad`.
"""

import math
import struct

import numpy as np

from facejax.data.remote import check_reachable
from facejax.errors import DataError
from facejax.files import PathLike

MAGIC = struct.pack('<QQ', 0x112, 0)
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE = 0
_STORAGE = {1: 'row_sparse', 2: 'csr'}
_TYPES = {
  0: '<f4',
  1: '<f8',
  2: '<f2',
  3: 'u1',
  4: '<i4',
  5: 'i1',
  6: '<i8',
  7: '?',
}
_BFLOAT16 = 12
_MOST_AXES = 32


def read_params(path: PathLike) -> dict[str, np.ndarray]:
  """Reads the arrays of a file.

  Args:
    path: of the .params file.

  Returns:
    Arrays by name, without 'arg:' and 'aux:', in the dtypes of the file;
    bfloat16 as float32. They cannot be written.

  Raises:
    DataError: no such file, damaged, cut short, or holds sparse arrays.
  """
  path = check_reachable(path)
  stream = _Stream(path.read_bytes(), str(path))
  if stream.take(len(MAGIC)) != MAGIC:
    raise DataError(f'{path}: is no .params file of MXNet')
  arrays = [_array(stream) for _ in range(stream.count())]
  names = [stream.take(stream.count()) for _ in range(stream.count())]
  if len(names) != len(arrays):
    raise DataError(
      f'{path}: has {len(arrays)} arrays and {len(names)} names: save it with '
      'its names'
    )
  texts = [name.decode(errors='replace') for name in names]
  return {
    text.removeprefix('arg:').removeprefix('aux:'): array
    for text, array in zip(texts, arrays, strict=True)
    if array is not None
  }


class _Stream:
  """Bytes from front to back, and never more than there are."""

  def __init__(self, data: bytes, where: str):
    self.where = where
    self._data = data
    self._at = 0

  def take(self, length: int) -> bytes:
    """The next bytes."""
    end = self._at + length
    if end > len(self._data):
      raise DataError(
        f'{self.where}: is cut short or damaged: it has {len(self._data)} '
        f'bytes and claims {end} or more; copy the file again'
      )
    taken = self._data[self._at : end]
    self._at = end
    return taken

  def numbers(self, form: str) -> tuple[int, ...]:
    """The next numbers, by a format of `struct`."""
    return struct.unpack('<' + form, self.take(struct.calcsize('<' + form)))

  def count(self) -> int:
    """The next uint64; everything counted takes a byte at least."""
    (count,) = self.numbers('Q')
    if count > len(self._data):
      self.take(count)
    return count


def _array(stream: _Stream) -> np.ndarray | None:
  """The next array; None for one that was never given a value."""
  (version,) = stream.numbers('I')
  if version in (_V2, _V3):
    (storage,) = stream.numbers('i')
    if storage != _DENSE:
      kind = _STORAGE.get(storage, f'unknown ({storage})')
      raise DataError(
        f'{stream.where}: holds an array of storage type {kind}: save it '
        "dense, array.tostype('default')"
      )
  shape = _shape(stream, version)
  if shape is None:
    return None
  *_, kind = stream.numbers('iii')  # a device, its number, the type
  if kind == _BFLOAT16:
    raw = np.frombuffer(stream.take(2 * math.prod(shape)), '<u2')
    return (raw.astype('<u4') << 16).view('<f4').reshape(shape)
  if kind not in _TYPES:
    raise DataError(f'{stream.where}: holds an array of unknown type {kind}')
  dtype = np.dtype(_TYPES[kind])
  data = stream.take(math.prod(shape) * dtype.itemsize)
  return np.frombuffer(data, dtype).reshape(shape)


def _shape(stream: _Stream, version: int) -> tuple[int, ...] | None:
  """A shape; None of an array without a value."""
  form = 'q'
  if version in (_V1, _V2, _V3):
    (ndim,) = stream.numbers('i')
  else:
    ndim, form = version, 'I'
  if ndim == -1 or (ndim == 0 and version != _V3):
    return None
  if not 0 <= ndim <= _MOST_AXES:
    raise DataError(f'{stream.where}: is damaged: an array of {ndim} axes')
  shape = stream.numbers(f'{ndim}{form}')
  if min(shape, default=0) < 0:
    raise DataError(f'{stream.where}: is damaged: an array of shape {shape}')
  return shape
