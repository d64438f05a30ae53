"""Writes what torch.save writes, honest or not, without PyTorch."""

import collections
import io
import os
import pickle
import struct
import zipfile

import chex
import numpy as np

from facejax.errors import DataError
from facejax.importing.pytorch_files import read_state_dict

MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {
  'f4': 'Float',
  'f8': 'Double',
  'f2': 'Half',
  'i8': 'Long',
  'u1': 'Byte',
}


class Global:
  """Pickles as a name of any module, there or not."""

  def __init__(self, module, name):
    self.module, self.name = module, name

  def __call__(self):
    raise AssertionError('never called')


class Storage:
  """Numbers, and what the pickle claims of them."""

  def __init__(self, key, array, **claims):
    self.key, self.array = key, array
    kind = TYPES[array.dtype.str[1:]]
    self.type = claims.get('type', Global('torch', f'{kind}Storage'))
    self.count = claims.get('count', array.size)
    self.view = claims.get('view', ())


class Reduced:
  """Pickles as a call of any function."""

  def __init__(self, function, *args):
    self.reduced = function, args

  def __reduce__(self):
    return self.reduced


def tensor(storage, shape=None, strides=None, offset=0, rest=()):
  """A tensor of a storage, by default all of it."""
  shape = (storage.array.size,) if shape is None else shape
  if strides is None:
    strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
  return Reduced(
    Global('torch._utils', '_rebuild_tensor_v2'),
    storage, offset, shape, strides, False, collections.OrderedDict(), *rest,
  )  # fmt: skip


def whole(key, array):
  """A tensor with a storage of its own."""
  return tensor(Storage(key, array), array.shape)


class _Pickler(pickle._Pickler):
  def __init__(self, file, protocol=2):
    super().__init__(file, protocol)
    self.storages = {}

  def persistent_id(self, obj):
    if not isinstance(obj, Storage):
      return None
    self.storages[obj.key] = obj
    return ('storage', obj.type, obj.key, 'cpu', obj.count, *obj.view)

  def _save_global_name(self, obj):
    self.write(f'c{obj.module}\n{obj.name}\n'.encode())

  dispatch = pickle._Pickler.dispatch | {Global: _save_global_name}


def pickled(value):
  """The pickle of a value, and its storages by key."""
  file = io.BytesIO()
  pickler = _Pickler(file)
  pickler.dump(value)
  return file.getvalue(), pickler.storages


def zip_bytes(
  value,
  *,
  more=None,
  byteorder='little',
  compression=zipfile.ZIP_STORED,
):
  """A checkpoint as PyTorch writes it since 1.6."""
  data, storages = pickled(value)
  file = io.BytesIO()
  with zipfile.ZipFile(file, 'w', compression) as archive:
    archive.writestr('archive/data.pkl', data)
    archive.writestr('archive/byteorder', byteorder)
    for key, storage in storages.items():
      archive.writestr(f'archive/data/{key}', storage.array.tobytes())
    for name, content in (more or {}).items():
      archive.writestr(name, content)
  return file.getvalue()


def legacy_bytes(value):
  """A checkpoint as PyTorch wrote it before."""
  data, storages = pickled(value)
  parts = [pickle.dumps(x, 2) for x in (MAGIC, 1001, {'little_endian': True})]
  parts += [data, pickle.dumps(sorted(storages), 2)]
  for key in sorted(storages):
    array = storages[key].array
    parts += [struct.pack('<q', array.size), array.tobytes()]
  return b''.join(parts)


WEIGHT = np.arange(24, dtype='<f4').reshape(2, 3, 2, 2)
BIAS = np.array([0.5, -1], '<f2')
WRITERS = (zip_bytes, legacy_bytes)


def small():
  return collections.OrderedDict(
    [('conv.weight', whole('0', WEIGHT)), ('conv.bias', whole('1', BIAS))]
  )


class CheckpointCase(chex.TestCase):
  """Writes checkpoints and reads them."""

  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.trace = os.path.join(self.folder, 'trace')

  def read(self, data):
    path = os.path.join(self.folder, 'x.pth')
    with open(path, 'wb') as file:
      file.write(data)
    return read_state_dict(path)

  def refused(self, data, message):
    with self.assertRaisesRegex(DataError, message) as caught:
      self.read(data)
    self.assertNotIn('\n', str(caught.exception))
    self.assertFalse(os.path.exists(self.trace), 'code of the pickle has run')
