import struct

import chex
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.errors import DataError
from facejax.importing.mxnet_params import read_params
from tests.importing.params_writer import (
  LEGACY,
  V1,
  V2,
  V3,
  array_bytes,
  params_bytes,
)

ARRAYS = {
  'arg:conv_weight': np.arange(24, dtype='<f4').reshape(2, 3, 2, 2),
  'aux:bn_moving_var': np.array([1, 2], '<f4'),
  'plain': np.array([[7]], '<i8'),
}


class MxnetParamsTest(chex.TestCase):
  def read(self, data):
    return read_params(self.create_tempfile(content=data).full_path)

  @parameterized.parameters(V1, V2, V3, LEGACY)
  def test_every_version_is_read(self, version):
    arrays = self.read(params_bytes(ARRAYS, version))
    self.assertEqual(list(arrays), ['conv_weight', 'bn_moving_var', 'plain'])
    for array, expected in zip(arrays.values(), ARRAYS.values(), strict=True):
      np.testing.assert_array_equal(array, expected)
      self.assertEqual(array.dtype, expected.dtype)

  @parameterized.parameters('f8', 'f2', 'u1', 'i4', 'i1', '?')
  def test_every_type_is_read(self, kind):
    array = np.array([0, 1]).astype(kind)
    np.testing.assert_array_equal(
      self.read(params_bytes({'a': array}))['a'], array
    )

  def test_bfloat16_becomes_float32(self):
    raw = np.array([0x3F80, 0xC040], '<u2').view('<f2')
    entry = array_bytes(raw, flag=12)
    array = self.read(params_bytes({'a': raw}, entries=[entry]))['a']
    np.testing.assert_array_equal(array, np.array([1, -3], np.float32))

  def test_an_array_without_a_value_is_left_out(self):
    none = [
      struct.pack('<Iii', V2, 0, 0),
      struct.pack('<Iii', V3, 0, -1),
      array_bytes(np.array(3.0), V3),  # a number has a value
    ]
    arrays = self.read(params_bytes(dict.fromkeys('abc'), entries=none))
    self.assertEqual(arrays, {'c': np.array(3.0)})

  @parameterized.parameters((1, 'row_sparse'), (2, 'csr'), (9, 'unknown'))
  def test_sparse_arrays_are_refused_by_name(self, storage, name):
    array = np.zeros(2, '<f4')
    data = params_bytes({'a': array}, entries=[array_bytes(array, V2, storage)])
    with self.assertRaisesRegex(DataError, rf'{name}.*tostype'):
      self.read(data)

  def test_claims_beyond_the_file_allocate_nothing(self):
    head = struct.pack('<QQ', 0x112, 0)
    many = struct.pack('<Q', 1 << 60)
    shape = struct.pack('<Iii3q', V2, 0, 3, 1 << 40, 1 << 40, 1)
    for data in (
      head + many,
      head + struct.pack('<Q', 0) + many,
      head + struct.pack('<QQ', 0, 1) + many,
      head + struct.pack('<Q', 1) + shape + struct.pack('<iii', 1, 0, 0),
    ):
      with self.assertRaisesRegex(DataError, 'is cut short or damaged'):
        self.read(data)

  @parameterized.parameters(
    (struct.pack('<Iii', V2, 0, 99), 'of 99 axes'),
    (struct.pack('<Iiiq', V2, 0, 1, -4), r'of shape \(-4,\)'),
    (array_bytes(np.zeros(1, '<f4'), flag=77), 'unknown type 77'),
  )
  def test_damaged_arrays_are_refused(self, entry, message):
    with self.assertRaisesRegex(DataError, message):
      self.read(params_bytes({'a': None}, entries=[entry]))

  def test_names_and_arrays_must_be_as_many(self):
    entries = [array_bytes(np.zeros(1, '<f4'))] * 2
    with self.assertRaisesRegex(DataError, '2 arrays and 1 names'):
      self.read(params_bytes({'a': None}, entries=entries))

  def test_other_files_are_refused(self):
    with self.assertRaisesRegex(DataError, 'is no .params file'):
      self.read(b'x' * 100)

  def test_a_cut_file_is_refused_wherever_it_is_cut(self):
    data = params_bytes(ARRAYS)
    for length in range(len(data)):
      with self.assertRaisesRegex(DataError, 'is cut short'):
        self.read(data[:length])

  @settings(deadline=None, max_examples=150)
  @given(st.data())
  def test_damage_raises_nothing_but_a_data_error(self, data):
    version = data.draw(st.sampled_from((V1, V2, V3, LEGACY)))
    content = bytearray(params_bytes(ARRAYS, version))
    for _ in range(data.draw(st.integers(1, 4))):
      place = data.draw(st.integers(16, len(content) - 1))
      content[place] = data.draw(st.integers(0, 255))
    try:
      self.read(bytes(content))
    except DataError as error:
      self.assertNotIn('\n', str(error))


if __name__ == '__main__':
  absltest.main()
