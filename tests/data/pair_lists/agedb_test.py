"""The official folds of AgeDB."""

import os

import chex
import numpy as np
from absl.testing import absltest, parameterized
from scipy.io import loadmat, savemat

from facejax.data.pair_lists.agedb import read_agedb_pairs
from facejax.errors import DataError
from tests.data.pair_lists.agedb_folds import cell, write_folds


class AgedbTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'folds.mat')

  def test_folds_names_and_labels_are_read_as_facex_zoo_reads_them(self):
    write_folds(self.path, 3)
    pairs = read_agedb_pairs(self.path)
    expected = []
    splits = loadmat(self.path)['splits']
    for fold in range(3):
      record = splits[fold][0][0][0]
      for k in range(4):
        first, second = (record[0][i][k][0][0][0][0] for i in (0, 1))
        expected.append((first + '.jpg', second + '.jpg', record[1][0][k] == 1))
    self.assertEqual(
      [*zip(pairs.names_a, pairs.names_b, pairs.same, strict=True)], expected
    )
    self.assertEqual(pairs.names_b[4], '1_0_b.jpg')
    np.testing.assert_array_equal(pairs.same, [1, 1, 0, 0] * 3)
    np.testing.assert_array_equal(pairs.folds, np.arange(12) // 4)

  def test_the_published_counts(self):
    pairs = read_agedb_pairs(write_folds(self.path, 10, pairs=600))
    np.testing.assert_array_equal(np.bincount(pairs.folds), [600] * 10)
    self.assertEqual(pairs.same.sum(), 3000)

  @parameterized.parameters(
    ({'other': 1.0}, "expected a MATLAB file whose 'splits'"),
    ({'splits': np.ones((2, 2))}, 'fold 1: expected a MATLAB file'),
    ({'splits': np.zeros((0, 0))}, 'is empty'),
    (
      {'splits': cell([[{'p': cell([['a'], ['b']]), 'l': np.ones((1, 3))}]])},
      r'fold 1: .*\(2, 1\) names for 3 labels',
    ),
    (
      {'splits': cell([[{'p': cell([['a'], ['b']]), 'l': np.ones((1, 1))}]])},
      'fold 1: expected a MATLAB file',
    ),
  )
  def test_other_contents_are_refused(self, content, message):
    savemat(self.path, content)
    with self.assertRaisesRegex(DataError, message):
      read_agedb_pairs(self.path)

  def test_other_files_are_refused(self):
    for content in (b'', b'no MATLAB', os.urandom(300), b'\x89HDF\r\n' * 60):
      with open(self.path, 'wb') as file:
        file.write(content)
      with self.assertRaisesRegex(DataError, 'expected a MATLAB file'):
        read_agedb_pairs(self.path)
    with self.assertRaisesRegex(DataError, 'cannot be read'):
      read_agedb_pairs('/nowhere/folds.mat')

  def test_a_file_cut_short_is_refused(self):
    write_folds(self.path, 3)
    with open(self.path, 'rb') as file:
      data = file.read()
    for size in (100, 200, len(data) // 2, len(data) - 9):
      with open(self.path, 'wb') as file:
        file.write(data[:size])
      with self.assertRaisesRegex(DataError, 'expected a MATLAB file'):
        read_agedb_pairs(self.path)

  def test_damaged_files_are_read_or_refused(self):
    with open(write_folds(self.path, 2), 'rb') as file:
      whole = file.read()
    rng = np.random.default_rng(0)
    for place, value in rng.integers([128, 0], [len(whole), 256], (300, 2)):
      with open(self.path, 'wb') as file:
        file.write(whole[:place] + bytes([value]) + whole[place + 1 :])
      try:
        read_agedb_pairs(self.path)
      except DataError as error:
        self.assertIn('folds.mat', str(error))


if __name__ == '__main__':
  absltest.main()
