"""MATLAB files: whole ones are read, others refused before scipy sees them."""

import os
import struct

import chex
import numpy as np
from absl.testing import absltest, parameterized
from scipy import sparse
from scipy.io import savemat

from facejax.data.mat_file import read_mat
from facejax.errors import DataError
from tests.data.blufr_files import cell

CONTENT = {
  'numbers': np.arange(6.0).reshape(2, 3),
  'flags': np.array([[True, False]]),
  'text': 'a name',
  'none': np.zeros((0, 0)),
  'cells': cell(['a', np.arange(3), cell(['b', ''])]),
  'struct': {'name': 'c', 'age': 30.0},
}


class MatFileTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'x.mat')

  def refuse(self, message):
    with self.assertRaisesRegex(DataError, f'x.mat: expected a set.*{message}'):
      read_mat(self.path, form='a set')

  @parameterized.parameters(False, True)
  def test_arrays_cells_texts_and_structs_are_read(self, compressed):
    savemat(self.path, CONTENT, do_compression=compressed)
    found = read_mat(self.path, form='a set')
    np.testing.assert_array_equal(found['numbers'], CONTENT['numbers'])
    self.assertEqual(found['text'].item(), 'a name')
    self.assertEqual(found['none'].shape, (0, 0))
    self.assertEqual(found['cells'][2, 0][0, 0].item(), 'b')
    self.assertEqual(found['struct']['age'].item().item(), 30)

  def test_what_no_list_holds_is_refused(self):
    for value in (np.array([[1 + 2j]]), sparse.csc_array(np.eye(3))):
      savemat(self.path, {'x': value})
      self.refuse('an array of class')

  def test_older_and_newer_files_are_refused(self):
    savemat(self.path, {'x': 1.0}, format='4')
    self.refuse('no file of MATLAB 5')
    with open(self.path, 'wb') as file:
      header = struct.pack('<124sH2s', b'MATLAB 7.3 MAT-file', 0x0200, b'IM')
      file.write(header + b'\x89HDF\r\n\x1a\n' * 20)
    self.refuse('element of type')

  @parameterized.parameters(
    (0, 77, 'element of type 77'),  # of the matrix
    (4, 255, 'element of type 14 with 255 bytes'),
    (8, 1, 'without class or size'),  # of its flags
    (16, 99, 'array of class 99'),
    (17, 8, 'array of class 6'),  # a complex one
    (24, 6, 'without class or size'),  # of its size
    (32, 9, r'size \(9, 2\)'),
    (35, 255, r'size \(-'),
    (48, 20, 'element of type 20'),  # of its values
  )
  def test_a_wrong_byte_is_refused(self, place, value, message):
    savemat(self.path, {'x': np.array([[1.5, 2.5]])})
    with open(self.path, 'r+b') as file:
      file.seek(128 + place)
      file.write(bytes([value]))
    self.refuse(message)

  def test_a_cell_that_turned_to_numbers_is_refused(self):
    cell = np.empty((1, 1), object)
    cell[0, 0] = np.arange(3.0)
    savemat(self.path, {'x': cell})
    with open(self.path, 'r+b') as file:
      file.seek(128 + 16)
      self.assertEqual(file.read(1), b'\x01')  # the class of cells
      file.seek(128 + 16)
      file.write(bytes([7]))
    self.refuse('array of class 7')


if __name__ == '__main__':
  absltest.main()
