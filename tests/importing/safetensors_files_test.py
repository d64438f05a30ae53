import json
import struct

import chex
import numpy as np
import pytest
from absl.testing import absltest
from safetensors import numpy as safe_numpy

from facejax.errors import DataError
from facejax.importing.safetensors_files import read_safetensors


def file_of(header, data=b''):
  text = json.dumps(header).encode()
  return struct.pack('<Q', len(text)) + text + data


class SafetensorsFilesTest(chex.TestCase):
  def read(self, data):
    return read_safetensors(self.create_tempfile(content=data).full_path)

  def test_arrays_of_every_type_come_back(self):
    types = ['f4', 'f8', 'f2', 'i8', 'i4', 'i2', 'i1', 'u1', '?']
    arrays = {t: np.array([[0, 1], [2, 3]]).astype(t) for t in types}
    result = self.read(safe_numpy.save(arrays))
    chex.assert_trees_all_equal(result, arrays)
    for name, array in arrays.items():
      self.assertEqual(result[name].dtype, array.dtype)

  def test_bfloat16_becomes_float32(self):
    entry = {'dtype': 'BF16', 'shape': [2], 'data_offsets': [0, 4]}
    # 1.0 and -3.0 are the upper halves of 0x3f800000 and 0xc0400000.
    state = self.read(file_of({'a': entry}, b'\x80\x3f\x40\xc0'))
    np.testing.assert_array_equal(state['a'], np.array([1, -3], np.float32))

  def test_numbers_in_names_are_counted(self):
    names = ['layers.10.weight', 'layers.2.weight', 'conv1.weight']
    arrays = {name: np.zeros(1, np.float32) for name in names}
    self.assertEqual(
      list(self.read(safe_numpy.save(arrays))),
      ['conv1.weight', 'layers.2.weight', 'layers.10.weight'],
    )

  def test_damage_is_refused(self):
    data = safe_numpy.save({'a': np.zeros(5, np.float32)})
    for length in range(len(data)):
      with self.assertRaisesRegex(DataError, 'no readable safetensors'):
        self.read(data[:length])
    for claim in ([0, 1 << 50], [-1, 4], [8, 4]):
      entry = {'dtype': 'F32', 'shape': [1], 'data_offsets': claim}
      with self.assertRaises(DataError):
        self.read(file_of({'a': entry}, b'1234'))
    with self.assertRaises(DataError):
      self.read(struct.pack('<Q', 1 << 60) + b'{}')

  def test_types_without_numbers_here_are_refused_by_name(self):
    entry = {'dtype': 'F8_E4M3', 'shape': [1], 'data_offsets': [0, 1]}
    with self.assertRaisesRegex(DataError, 'a is of type F8_E4M3.*float32'):
      self.read(file_of({'a': entry}, b'1'))


def test_what_pytorch_writes_is_read(tmp_path):
  torch = pytest.importorskip('torch')
  from safetensors.torch import save_file

  tensors = {'b': torch.arange(3.0).bfloat16() / 3, 'h': torch.ones(2).half()}
  save_file(tensors, tmp_path / 'x.safetensors')
  state = read_safetensors(tmp_path / 'x.safetensors')
  np.testing.assert_array_equal(state['b'], tensors['b'].float().numpy())
  np.testing.assert_array_equal(state['h'], np.ones(2, np.float16))


if __name__ == '__main__':
  absltest.main()
