"""Pickles by others, read without running any of their code.

A pickle is a program: it names functions and calls them. Here it gets none of
those that it names. The few that plain data need stand for functions of ours,
which check every argument; an instruction that could make or change any other
object is refused. What comes out is made of NumPy arrays of numbers, bytes,
str, lists, tuples, dicts, bools and numbers.
"""

import io
import pickle
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from facejax.data.pickled_arrays import PLAIN_DATA, set_array
from facejax.errors import DataError

_SCALAR_KEYS = (str, bytes, int, float, bool, type(None))
# What the interpreter of a damaged or hostile program may raise.
_DEFECTS = (
  pickle.UnpicklingError,
  struct.error,
  ArithmeticError,
  AssertionError,
  AttributeError,
  EOFError,
  LookupError,
  MemoryError,
  RecursionError,
  TypeError,
  ValueError,
)


# Instructions that make objects of classes, fetch what lies outside of the
# stream, or hash what may be nested without end.
_REFUSED = (
  pickle.INST
  + pickle.OBJ
  + pickle.NEWOBJ_EX
  + pickle.EXT1
  + pickle.EXT2
  + pickle.EXT4
  + pickle.PERSID
  + pickle.BINPERSID
  + pickle.EMPTY_SET
  + pickle.ADDITEMS
  + pickle.FROZENSET
  + pickle.NEXT_BUFFER
  + pickle.READONLY_BUFFER
)


class RestrictedUnpickler(pickle._Unpickler):
  """Reads one pickle that may only hold plain data.

  The interpreter is the one in Python: its tables grow with the stream and not
  with the numbers in it, and an instruction can be taken out. A subclass may
  put more of them into its own copy of `dispatch`.
  """

  def __init__(
    self,
    file: io.IOBase,
    *,
    where: str,
    admitted: Mapping[tuple[str, str], Any] = MappingProxyType({}),
    encoding: str = 'bytes',
  ):
    """Prepares to read.

    Args:
      file: open for reading bytes; `load` stops behind the pickle.
      where: what to call it in an error.
      admitted: what further (module, name) pairs stand for. A function is
        called with what the pickle says and must check it; a class may also
        be made by `__new__` and filled by its `__setstate__`.
      encoding: of strings of Python 2, 'bytes' to keep them as bytes.
    """
    super().__init__(file, encoding=encoding)
    self._where = where
    self._admitted = PLAIN_DATA | dict(admitted)
    self._classes = {v for v in self._admitted.values() if isinstance(v, type)}

  def load(self) -> Any:
    """The object.

    Raises:
      DataError: damaged, or holds anything but what is admitted.
    """
    try:
      return super().load()
    except DataError:
      raise
    except _DEFECTS as error:
      reason = str(error) or type(error).__name__
      raise DataError(
        f'{self._where}: is no readable pickle of plain data ({reason[:200]})'
      ) from None

  def find_class(self, module: str, name: str) -> Any:
    """What a name of the pickle stands for; never what it says.

    Raises:
      DataError: the name is not admitted.
    """
    try:
      return self._admitted[module, name]
    except KeyError:
      raise DataError(
        f'{self._where}: refused, its pickle asks for {module}.{name}'[:300]
        + ', which may run code; only arrays, bytes, lists, tuples, dicts and '
        'numbers are read'
      ) from None

  def _refuse(self) -> None:
    raise DataError(
      f'{self._where}: refused, its pickle makes objects other than arrays, '
      'bytes, lists, tuples, dicts and numbers'
    )

  def _new_object(self) -> None:
    args = self.stack.pop()
    cls = self.stack.pop()
    if not isinstance(cls, type) or cls not in self._classes or args:
      self._refuse()
    self.append(cls.__new__(cls))

  def _build(self) -> None:
    state = self.stack.pop()
    target = self.stack[-1]
    if type(target) is np.ndarray:
      set_array(target, state)
    elif type(target) in self._classes and hasattr(target, '__setstate__'):
      target.__setstate__(state)
    else:
      self._refuse()

  def _byte_array(self) -> None:
    (length,) = struct.unpack('<Q', self.read(8))
    self.append(bytearray(self.read(length)))  # not zeros of a claimed length

  def _set_item(self) -> None:
    value, key = self.stack.pop(), self.stack.pop()
    self._set_items_of(self.stack[-1], [key, value])

  def _set_items(self) -> None:
    items = self.pop_mark()
    self._set_items_of(self.stack[-1], items)

  def _dict(self) -> None:
    items, result = self.pop_mark(), {}
    self._set_items_of(result, items)
    self.append(result)

  def _set_items_of(self, target: Any, items: list[Any]) -> None:
    """Adds keys that are cheap to hash: nested tuples can exhaust the stack."""
    if not isinstance(target, dict):
      self._refuse()
    for key, value in zip(items[::2], items[1::2], strict=True):
      if not isinstance(key, _SCALAR_KEYS):
        raise pickle.UnpicklingError('a key is neither text nor a number')
      target[key] = value

  dispatch = pickle._Unpickler.dispatch | {
    pickle.NEWOBJ[0]: _new_object,
    pickle.BUILD[0]: _build,
    pickle.BYTEARRAY8[0]: _byte_array,
    pickle.SETITEM[0]: _set_item,
    pickle.SETITEMS[0]: _set_items,
    pickle.DICT[0]: _dict,
    **dict.fromkeys(_REFUSED, _refuse),
  }


def load_arrays(data: bytes, *, where: str, encoding: str = 'bytes') -> Any:
  """Reads a pickle of arrays and plain values, of Python 2 or 3.

  Args:
    data: the pickle.
    where: what to call it in an error.
    encoding: of strings of Python 2, 'bytes' to keep them as bytes.

  Returns:
    NumPy arrays and scalars, bytes, str, lists, tuples, dicts, bools, numbers.

  Raises:
    DataError: damaged, or holds anything else; none of its code has run.
  """
  return RestrictedUnpickler(
    io.BytesIO(data), where=where, encoding=encoding
  ).load()
