"""What stands for NumPy's functions while a pickle by others is read.

Every one checks its arguments: an array of objects would make more objects,
and one that claims more data than it has would read past them.
"""

import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np

_KINDS = re.compile(r'[biufcSU][0-9]{1,5}')
_ORDERS = ('<', '>', '=', '|')


def _text(value: Any) -> str:
  """A short string of a Python 2 or 3 pickle."""
  return value.decode('ascii') if isinstance(value, bytes) else str(value)


class _DType:
  """Stands for a NumPy dtype while its pickled state is being read."""

  def __init__(self, name: Any, align: Any = False, copy: Any = True):
    del align, copy  # say nothing about plain numbers
    if not _KINDS.fullmatch(_text(name)):
      raise pickle.UnpicklingError(
        f'arrays of type {_text(name)[:20]!r} are not read, only of numbers '
        'and strings'
      )
    self.dtype = np.dtype(_text(name))

  def __setstate__(self, state: Any) -> None:
    _, order, subtype, names, fields, *_ = state
    if subtype is not None or names is not None or fields is not None:
      raise pickle.UnpicklingError('structured arrays are not read')
    if _text(order) not in _ORDERS:
      raise pickle.UnpicklingError('unknown byte order')
    self.dtype = self.dtype.newbyteorder(_text(order))


class _Admitted:
  """A function that a pickle may call; it has no state to overwrite."""

  def __init__(self, function: Callable[..., Any]):
    self._function = function

  def __call__(self, *args: Any) -> Any:
    return self._function(*args)


def _checked(shape: Any, dtype: Any, data: Any) -> tuple[tuple, np.dtype]:
  """Shape and dtype, if the data have exactly the bytes that they claim."""
  if not isinstance(dtype, _DType) or not isinstance(data, bytes | bytearray):
    raise pickle.UnpicklingError('the state of an array is not plain data')
  shape = tuple(shape)
  if len(shape) > 32 or not all(
    isinstance(n, int) and 0 <= n < 1 << 48 for n in shape
  ):
    raise pickle.UnpicklingError('an array has an impossible shape')
  claimed = math.prod(shape) * dtype.dtype.itemsize
  if claimed != len(data):
    raise pickle.UnpicklingError(
      f'an array claims {claimed} bytes and has {len(data)}'
    )
  return shape, dtype.dtype


def set_array(array: np.ndarray, state: Any) -> None:
  """Fills an empty array in place: the pickle may hold it elsewhere too."""
  shape, dtype, fortran, data = state[-4:]
  if isinstance(data, str):  # of Python 2, where the encoding is latin1
    data = data.encode('latin-1')
  shape, dtype = _checked(shape, dtype, data)
  array.__setstate__((1, shape, dtype, bool(fortran), bytes(data)))


def _empty_array(subtype: Any, shape: Any, kind: Any) -> np.ndarray:
  """The array that the next instruction fills."""
  del shape, kind
  if subtype is not _NDARRAY:
    raise pickle.UnpicklingError('only plain arrays are read')
  return np.empty(0, np.uint8)


def _from_buffer(
  data: Any, dtype: Any, shape: Any, order: Any, *axes: Any
) -> np.ndarray:
  """An array of protocol 5."""
  shape, dtype = _checked(shape, dtype, data)
  if axes and axes[0] is not None:
    raise pickle.UnpicklingError('arrays of permuted axes are not read')
  if order not in ('C', 'F'):
    raise pickle.UnpicklingError('unknown order of an array')
  return np.frombuffer(data, dtype).reshape(shape, order=order)


def _scalar(dtype: Any, data: Any) -> np.generic:
  """A NumPy number."""
  if isinstance(data, str):
    data = data.encode('latin-1')
  _, dtype = _checked((), dtype, data)
  return np.frombuffer(data, dtype)[0]


def _encoded(text: Any, encoding: Any = 'latin1') -> bytes:
  """How Python 3 writes bytes for Python 2."""
  if not isinstance(text, str) or _text(encoding) not in ('latin1', 'latin-1'):
    raise pickle.UnpicklingError('only bytes written as latin1 are read')
  return text.encode('latin-1')


def _bytes(data: Any = b'') -> bytes:
  """Never of a number, which would ask for that many zeros."""
  if not isinstance(data, bytes | bytearray):
    raise pickle.UnpicklingError('bytes may be made of bytes only')
  return bytes(data)


_NDARRAY = object()  # an argument only: not callable, nothing to set on it
PLAIN_DATA = {
  ('numpy', 'ndarray'): _NDARRAY,
  ('numpy', 'dtype'): _DType,
  ('_codecs', 'encode'): _Admitted(_encoded),
  ('builtins', 'bytes'): _Admitted(_bytes),
  ('builtins', 'bytearray'): _Admitted(_bytes),
  ('__builtin__', 'bytes'): _Admitted(_bytes),
  ('__builtin__', 'bytearray'): _Admitted(_bytes),
}
for _core in ('numpy.core', 'numpy._core'):  # before and since NumPy 2
  PLAIN_DATA |= {
    (f'{_core}.multiarray', '_reconstruct'): _Admitted(_empty_array),
    (f'{_core}.multiarray', 'scalar'): _Admitted(_scalar),
    (f'{_core}.numeric', '_frombuffer'): _Admitted(_from_buffer),
  }
