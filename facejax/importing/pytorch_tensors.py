"""Pickles of PyTorch, read without PyTorch and without running their code.

A tensor in such a pickle is a call that names a storage, a place in it, a size
and strides; the numbers stand outside of the pickle. What comes out holds
`Tensor` in their place: a checked description that costs nothing to make.
"""

import dataclasses
import math
import pickle
from types import MappingProxyType
from typing import Any

import numpy as np
from jax import numpy as jnp

from facejax.data.unpickle import RestrictedUnpickler
from facejax.errors import DataError

_DTYPES = {
  'Float': ('float32', np.float32),
  'Double': ('float64', np.float64),
  'Half': ('float16', np.float16),
  'BFloat16': ('bfloat16', jnp.bfloat16),
  'Long': ('int64', np.int64),
  'Int': ('int32', np.int32),
  'Short': ('int16', np.int16),
  'Char': ('int8', np.int8),
  'Byte': ('uint8', np.uint8),
  'Bool': ('bool', np.bool_),
}
_MOST_AXES = 8
_LARGEST = 1 << 48


@dataclasses.dataclass(frozen=True)
class _Kind:
  """Stands for a storage class or a dtype; inert, an argument only."""

  dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class Storage:
  """Numbers that stand outside of the pickle.

  Attributes:
    key: their name in the file.
    dtype: of each.
    count: how many the pickle claims.
    start: elements between the storage that has this key and this view of it.
    whole: how many the storage that has this key claims.
  """

  key: str
  dtype: np.dtype
  count: int
  start: int
  whole: int

  @property
  def num_bytes(self) -> int:
    """Bytes of the storage that has this key."""
    return self.whole * self.dtype.itemsize


@dataclasses.dataclass(frozen=True)
class Tensor:
  """A view of a storage that lies inside of it and is no larger.

  Attributes:
    storage: where its numbers are.
    dtype: of its numbers.
    offset: its first number in the storage, in elements of `dtype`.
    shape: of the tensor.
    strides: steps along its axes, in elements.
  """

  storage: Storage
  dtype: np.dtype
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]

  def to_numpy(self, data: bytes | memoryview) -> np.ndarray:
    """The array, which cannot be written.

    Args:
      data: `storage.num_bytes` bytes, little-endian.
    """
    itemsize = self.dtype.itemsize
    start = self.storage.start * self.storage.dtype.itemsize
    flat = np.frombuffer(data, np.uint8)[start + self.offset * itemsize :]
    flat = flat[: len(flat) // itemsize * itemsize].view(self.dtype)
    return np.lib.stride_tricks.as_strided(
      flat, self.shape, [s * itemsize for s in self.strides], writeable=False
    )


def _whole(value: Any) -> int:
  """A number that a size, an offset or a stride may have."""
  if not isinstance(value, int) or not 0 <= value < _LARGEST:
    raise pickle.UnpicklingError(f'a tensor has an impossible size {value!r}')
  return value


def _rebuild(
  storage: Any, offset: Any, size: Any, stride: Any, *rest: Any
) -> Tensor:
  """torch._utils._rebuild_tensor and _rebuild_tensor_v2."""
  if not isinstance(storage, Storage):
    raise pickle.UnpicklingError('a tensor has no storage')
  if len(rest) > 2 and rest[2]:  # lazily negated or conjugated numbers
    raise pickle.UnpicklingError('a tensor is a lazy view: save its .clone()')
  return _view(storage, storage.dtype, storage.count, (offset, size, stride))


def _rebuild_v3(
  storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any,
  kind: Any, *rest: Any,
) -> Tensor:  # fmt: skip
  """torch._utils._rebuild_tensor_v3: the storage is bytes."""
  del grad, hooks, rest
  if not isinstance(storage, Storage) or not isinstance(kind, _Kind):
    raise pickle.UnpicklingError('a tensor has no storage')
  count = storage.count * storage.dtype.itemsize // kind.dtype.itemsize
  return _view(storage, kind.dtype, count, (offset, size, stride))


def _view(
  storage: Storage, dtype: np.dtype, count: int, place: tuple[Any, Any, Any]
) -> Tensor:
  """The tensor, if all of it lies within the `count` numbers."""
  offset, shape, strides = place[0], tuple(place[1]), tuple(place[2])
  if len(shape) != len(strides) or len(shape) > _MOST_AXES:
    raise pickle.UnpicklingError('a tensor has an impossible shape')
  offset, *numbers = map(_whole, (offset, *shape, *strides))
  shape, strides = numbers[: len(shape)], numbers[len(shape) :]
  size = math.prod(shape)
  reach = sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
  if size > count or (size and offset + reach >= count) or offset > count:
    raise pickle.UnpicklingError(
      f'a tensor of shape {tuple(shape)} reaches out of its storage of '
      f'{count} numbers'
    )
  return Tensor(storage, dtype, offset, tuple(shape), tuple(strides))


def _parameter(data: Any, *rest: Any) -> Tensor:
  """torch._utils._rebuild_parameter, with and without state."""
  del rest  # gradients, hooks and attributes of Python
  if not isinstance(data, Tensor):
    raise pickle.UnpicklingError('a parameter is no tensor')
  return data


class _Dict(dict):
  """Stands for collections.OrderedDict; attributes of it are dropped."""

  def __init__(self, items: Any = ()):
    super().__init__()
    for key, value in items:  # how Python 2 writes it
      if not isinstance(key, str | int):
        raise pickle.UnpicklingError('a key is neither text nor a number')
      self[key] = value

  def __setstate__(self, state: Any) -> None:
    del state  # of state dicts: versions of their modules


def _counter(counts: Any) -> dict[Any, Any]:
  """collections.Counter, as schedules of learning rates hold it."""
  return _Dict(counts.items())


def _size(numbers: Any = ()) -> tuple[int, ...]:
  """torch.Size."""
  return tuple(map(_whole, numbers))


def _device(*args: Any) -> str:
  """torch.device: where the numbers were does not matter."""
  return 'cpu' if not args else str(args[0])


_ADMITTED = {
  ('collections', 'Counter'): _counter,
  ('collections', 'OrderedDict'): _Dict,
  ('torch', 'Size'): _size,
  ('torch', 'device'): _device,
  ('torch._utils', '_rebuild_tensor'): _rebuild,
  ('torch._utils', '_rebuild_tensor_v2'): _rebuild,
  ('torch._utils', '_rebuild_tensor_v3'): _rebuild_v3,
  ('torch._utils', '_rebuild_parameter'): _parameter,
  ('torch._utils', '_rebuild_parameter_with_state'): _parameter,
}
for _name, (_dtype_name, _dtype) in _DTYPES.items():
  _kind = _Kind(np.dtype(_dtype))
  _ADMITTED['torch', f'{_name}Storage'] = _kind
  _ADMITTED['torch.cuda', f'{_name}Storage'] = _kind
  _ADMITTED['torch', _dtype_name] = _kind
for _module in ('torch', 'torch.storage'):
  _ADMITTED[_module, 'UntypedStorage'] = _Kind(np.dtype(np.uint8))
ADMITTED = MappingProxyType(_ADMITTED)


class TensorUnpickler(RestrictedUnpickler):
  """Reads one pickle of plain data and tensors; strings come back as str."""

  def __init__(self, file: Any, *, where: str):
    super().__init__(file, where=where, admitted=ADMITTED, encoding='latin1')

  def find_class(self, module: str, name: str) -> Any:
    """What a name of the pickle stands for; never what it says.

    Raises:
      DataError: the name is not admitted.
    """
    try:
      return super().find_class(module, name)
    except DataError:
      raise DataError(
        f'{self._where}: refused, it holds an object of {module}.{name}'[:300]
        + ', and making it may run code: where you trust the file, load it '
        'with PyTorch and save the weights alone, torch.save('
        "model.state_dict(), 'weights.pth')"
      ) from None

  def persistent_load(self, pid: Any) -> Storage:
    """The storage that a tensor names."""
    if isinstance(pid, tuple) and pid and pid[0] == 'module':
      raise DataError(
        f'{self._where}: holds a whole module, not its weights: where you '
        'trust the file, load it with PyTorch and save model.state_dict()'
      )
    _, kind, key, _, count, *view = pid
    if pid[0] != 'storage' or not isinstance(kind, _Kind):
      raise pickle.UnpicklingError('a storage has no known type')
    whole, start, length = _whole(count), 0, count
    if view and view[0] is not None:  # of old files: a part of a storage
      _, start, length = view[0]
      if _whole(start) + _whole(length) > whole:
        raise pickle.UnpicklingError('a view reaches out of its storage')
    return Storage(str(key), kind.dtype, length, start, whole)

  dispatch = RestrictedUnpickler.dispatch | {
    pickle.BINPERSID[0]: pickle._Unpickler.load_binpersid
  }
