"""The protocol folder of CFP."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.pair_lists.cfp import read_cfp_pairs
from facejax.errors import DataError, UsageError
from tests.data.pair_lists.cfp_folders import write_cfp


class CfpTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = write_cfp(self.create_tempdir().full_path)

  def test_numbers_of_fp_count_frontal_then_profile_images(self):
    pairs = read_cfp_pairs(self.root, poses='FP')
    self.assertEqual(pairs.names_a[0], '001/frontal/01.jpg')
    self.assertEqual(pairs.names_b[0], '001/profile/02.jpg')
    self.assertEqual(pairs.names_a[4], '001/frontal/02.jpg')
    self.assertEqual(pairs.names_b[4], '002/profile/02.jpg')
    self.assertEqual(pairs.names_b[-1], '004/profile/03.jpg')
    np.testing.assert_array_equal(pairs.same, [1, 1, 1, 0, 0, 0] * 2)
    np.testing.assert_array_equal(pairs.folds, [0] * 6 + [1] * 6)

  def test_numbers_of_ff_count_frontal_images_twice(self):
    pairs = read_cfp_pairs(self.root, poses='FF')
    self.assertEqual(pairs.names_b[0], '001/frontal/02.jpg')
    self.assertEqual(pairs.names_b[3], '002/frontal/01.jpg')

  def test_the_folder_is_found_from_above_and_from_below(self):
    names = read_cfp_pairs(self.root, poses='FP').names_b
    above = read_cfp_pairs(self.root.parent, poses='FP')
    self.assertEqual(above.names_b, names)
    for poses in (None, 'FP'):
      below = read_cfp_pairs(self.root / 'Split' / 'FP', poses=poses)
      self.assertEqual(below.names_b, names)

  def test_which_poses_are_meant_must_be_said_once(self):
    with self.assertRaisesRegex(UsageError, 'name its folder Split/FF'):
      read_cfp_pairs(self.root)
    with self.assertRaisesRegex(UsageError, 'has the pairs FF, not FP'):
      read_cfp_pairs(self.root / 'Split' / 'FF', poses='FP')

  def test_the_published_set_has_ten_folds_of_700(self):
    root = write_cfp(
      self.create_tempdir().full_path, people=20, folds=10, pairs=3
    )
    for folder in (root / 'Split' / 'FP').iterdir():
      for file in folder.iterdir():
        file.write_text((file.read_text() * 117)[:-1].rsplit('\n', 1)[0])
    pairs = read_cfp_pairs(root, poses='FP')
    np.testing.assert_array_equal(np.bincount(pairs.folds), [700] * 10)
    self.assertEqual(pairs.same.sum(), 3500)

  @parameterized.parameters(
    ('Pair_list_F.txt', '1 a/b/c.jpg\n2\n', "F.txt, line 2: expected 'number"),
    ('Pair_list_F.txt', '1 c.jpg\n', "F.txt, line 1: expected 'number"),
    ('Pair_list_F.txt', '1 a/b/c\n1 a/b/d\n', 'line 2: image 1 comes twice'),
    ('Split/FP/02/same.txt', '1,2\n3 4\n', "line 2: expected two .* 'i,j'"),
    (
      'Split/FP/02/diff.txt',
      '1,99\n',
      'line 1: there is no image 99 among the 16',
    ),
    (
      'Split/FP/02/diff.txt',
      '0,1\n',
      'line 1: there is no image 0 among the 40',
    ),
    ('Split/FP/01/diff.txt', '', 'is empty'),
  )
  def test_a_malformed_file_says_the_line(self, file, text, message):
    (self.root / file).write_text(text)
    with self.assertRaisesRegex(DataError, message):
      read_cfp_pairs(self.root, poses='FP')

  def test_missing_files_are_named(self):
    (self.root / 'Split' / 'FP' / '02' / 'same.txt').unlink()
    with self.assertRaisesRegex(DataError, 'FP/02/same.txt: the list'):
      read_cfp_pairs(self.root, poses='FP')
    with self.assertRaisesRegex(DataError, 'is no Protocol folder of CFP'):
      read_cfp_pairs(self.create_tempdir().full_path, poses='FP')
    empty = self.create_tempdir()
    empty.mkdir('Split/FF')
    for name in ('Pair_list_F.txt', 'Pair_list_P.txt'):
      empty.create_file(name, '1 a/b/c.jpg')
    with self.assertRaisesRegex(DataError, "no folder of a fold, '01' .. '10'"):
      read_cfp_pairs(empty.full_path, poses='FF')


if __name__ == '__main__':
  absltest.main()
