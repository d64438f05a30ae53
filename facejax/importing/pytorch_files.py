"""Checkpoints of PyTorch: the zip of 1.6 and later, and the format before.

Of the zip: ROOT/data.pkl, a pickle that names storages; ROOT/data/KEY, their
bytes; ROOT/byteorder. Before: pickles of a magic number, a version, the kind
of machine, the object and the keys of its storages, then for each of them a
count (int64) and the numbers.

References:
  PyTorch, torch/serialization.py, `_save` and `_legacy_save`.
"""

import io
import math
import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from facejax.data.remote import check_reachable
from facejax.data.zip_archive import ZipArchive
from facejax.errors import DataError
from facejax.files import PathLike
from facejax.importing.pytorch_tensors import Storage, Tensor, TensorUnpickler
from facejax.importing.state_dict import find_state_dict

LEGACY_MAGIC = b'\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e'
_VERSION = 1001
_COUNT = struct.Struct('<q')
# Weights hardly pack: what claims more than this many times its file is a bomb.
_MOST_PACKED = 32


class _Checkpoint(ZipArchive):
  """A zip whose members may be large, but not out of proportion to it."""

  def __init__(self, path: PathLike):
    super().__init__(path)
    self.num_bytes = self._file.size
    self.MAX_BYTES = _MOST_PACKED * self.num_bytes


def read_state_dict(path: PathLike) -> dict[str, np.ndarray]:
  """Reads a state dict, or the one that a checkpoint holds.

  Args:
    path: written by `torch.save`, of either format.

  Returns:
    Arrays by name, in the file's order, in the dtypes of the file (bfloat16 as
    float32). They share memory and cannot be written.

  Raises:
    DataError: damaged, no checkpoint, holds no state dict or several, or
      anything but tensors and plain data; none of its code has run.
  """
  path = check_reachable(path)
  with path.open('rb') as file:
    start = file.read(4)
  if start.startswith(b'PK'):
    return _read_zip(_Checkpoint(path))
  return _read_legacy(path.read_bytes(), str(path))


def _read_zip(archive: _Checkpoint) -> dict[str, np.ndarray]:
  names = list(archive.names())
  pickles = [n for n in names if n.rpartition('/')[2] == 'data.pkl']
  if len(pickles) != 1:
    raise DataError(
      f'{archive.path}: is a zip, but no checkpoint (it has no data.pkl of '
      'torch.save): if it is a pack of models, unpack it and give one of them'
    )
  root = pickles[0].removesuffix('data.pkl')
  if any(n == root + 'constants.pkl' or n.startswith(root + 'code/')
         for n in names):  # fmt: skip
    raise DataError(
      f'{archive.path}: is a TorchScript program, which is not run: load it '
      'with torch.jit.load and save its state_dict() by torch.save'
    )
  if root + 'byteorder' in names and archive.read(root + 'byteorder') != (
    b'little'
  ):
    raise DataError(
      f'{archive.path}: was written on a big-endian machine, which is not '
      'read: load it with PyTorch and save it on another machine'
    )
  where = f'{archive.path}: {pickles[0]}'
  value = TensorUnpickler(
    io.BytesIO(archive.read(pickles[0])), where=where
  ).load()
  return _resolve(
    find_state_dict(value, where=str(archive.path)),
    lambda storage: archive.read(f'{root}data/{storage.key}'),
    where=str(archive.path),
    num_bytes=archive.num_bytes,
  )


def _read_legacy(data: bytes, where: str) -> dict[str, np.ndarray]:
  if not data.startswith(LEGACY_MAGIC):
    raise DataError(
      f'{where}: is no file of torch.save: neither a zip nor the format before '
      'PyTorch 1.6'
    )
  file = io.BytesIO(data)
  file.seek(len(LEGACY_MAGIC))
  version, _, value, keys = (
    TensorUnpickler(file, where=where).load() for _ in range(4)
  )
  if version != _VERSION or not isinstance(keys, list):
    raise DataError(f'{where}: has an unknown version of the format')
  found = find_state_dict(value, where=where)
  storages = {s.key: s for s in _storages(value)}
  places = _legacy_places(data, file.tell(), map(str, keys), storages, where)
  view = memoryview(data)
  return _resolve(
    found,
    lambda storage: view[places.get(storage.key, slice(0))],
    where=where,
    num_bytes=len(data),
  )


def _storages(value: Any) -> Iterable[Storage]:
  """All storages in an object made of dicts, lists, tuples and tensors."""
  waiting, seen = [value], set()
  while waiting:
    item = waiting.pop()
    if isinstance(item, Tensor):
      yield item.storage
    elif isinstance(item, Storage):
      yield item
    elif isinstance(item, dict | list | tuple) and id(item) not in seen:
      seen.add(id(item))  # a pickle may nest a thing in itself
      waiting.extend(item.values() if isinstance(item, dict) else item)


def _legacy_places(
  data: bytes,
  at: int,
  keys: Iterable[str],
  storages: dict[str, Storage],
  where: str,
) -> dict[str, slice]:
  """Where the numbers of each storage stand, behind their counts."""
  places = {}
  for key in keys:
    if key not in storages:
      raise DataError(f'{where}: is damaged, no tensor uses storage {key[:40]}')
    storage = storages[key]
    end = at + _COUNT.size + storage.num_bytes
    if end > len(data):
      raise DataError(
        f'{where}: is cut short: it has {len(data)} bytes and needs {end} or '
        'more; copy the file again'
      )
    (count,) = _COUNT.unpack_from(data, at)
    if count != storage.whole:
      raise DataError(
        f'{where}: is damaged, storage {key[:40]} has {count} numbers and '
        f'should have {storage.whole}'
      )
    places[key] = slice(at + _COUNT.size, end)
    at = end
  return places


def _resolve(
  state: dict[str, Tensor | np.ndarray],
  read: Callable[[Storage], bytes | memoryview],
  *,
  where: str,
  num_bytes: int,
) -> dict[str, np.ndarray]:
  """Arrays of a state dict; every storage is read once."""
  tensors = {k: t for k, t in state.items() if isinstance(t, Tensor)}
  storages = {t.storage.key: t.storage for t in tensors.values()}
  claimed = max(
    sum(s.num_bytes for s in storages.values()),
    sum(math.prod(t.shape) for t in tensors.values()),
  )
  if claimed > _MOST_PACKED * num_bytes:
    raise DataError(
      f'{where}: refused, it claims {claimed} bytes and is {num_bytes} long'
    )
  contents = {key: read(storage) for key, storage in storages.items()}
  return {
    name: _array(value, contents, where) if name in tensors else value
    for name, value in state.items()
  }


def _array(
  tensor: Tensor, contents: dict[str, bytes | memoryview], where: str
) -> np.ndarray:
  content, storage = contents[tensor.storage.key], tensor.storage
  if len(content) != storage.num_bytes:  # two tensors may claim two sizes
    raise DataError(
      f'{where}: is damaged, storage {storage.key[:40]} has {len(content)} '
      f'bytes and should have {storage.num_bytes}'
    )
  array = tensor.to_numpy(content)
  if array.dtype.kind in 'fiub':
    return array
  return array.astype(np.float32)  # bfloat16 is no type of NumPy itself
