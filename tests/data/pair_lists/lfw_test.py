"""LFW's own lists."""

import os

import chex
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax.data.pair_lists.lfw import read_lfw_pairs
from facejax.data.pair_lists.pair_list import balanced_folds
from facejax.errors import DataError

VIEW_2 = """2\t2
Ann\t1\t2
Bob_Lee\t3\t11
Ann\t1\tCy\t1
Bob_Lee\t1\tDee\t4
Eve\t1\t2
Flo\t1\t2
Eve\t1\tFlo\t1
Gus\t1\tHal\t1
"""


class LfwTest(chex.TestCase):
  def write(self, text):
    return self.create_tempfile('list.txt', content=text).full_path

  def test_view_2_gives_official_folds_and_file_names(self):
    pairs = read_lfw_pairs(self.write(VIEW_2))
    self.assertEqual(pairs.names_a[1], 'Bob_Lee/Bob_Lee_0003.jpg')
    self.assertEqual(pairs.names_b[1], 'Bob_Lee/Bob_Lee_0011.jpg')
    self.assertEqual(pairs.names_b[3], 'Dee/Dee_0004.jpg')
    np.testing.assert_array_equal(pairs.same, [1, 1, 0, 0] * 2)
    np.testing.assert_array_equal(pairs.folds, [0] * 4 + [1] * 4)

  def test_view_1_gets_balanced_folds(self):
    genuine = [f'Ann {i + 1} {i + 2}' for i in range(20)]
    impostor = [f'Ann {i + 1} Bob {i + 2}' for i in range(20)]
    pairs = read_lfw_pairs(self.write('\n'.join(['20', *genuine, *impostor])))
    np.testing.assert_array_equal(
      pairs.folds, np.tile(np.repeat(np.arange(10), 2), 2)
    )

  @parameterized.parameters(
    ('', 'is empty'),
    ('a b c\n', "line 1: expected a header like '10 300'"),
    ('0 300\n', 'line 1: expected a header'),
    ('2 2\nAnn 1 2\n', 'promises 8 pairs, the file has 1'),
    ('1 1\nAnn 1 2\nAnn 1 2\n', "line 3: expected 'NAME1 i NAME2 j' here"),
    ('1 1\n\nAnn 1 Bob 2\nAnn 1 Bob 2\n', "line 3: expected 'NAME i j' here"),
    ('1 1\nAnn 1 x\nAnn 1 Bob 2\n', "line 2: 'x' is no image number"),
    ('1 1\nAnn 0 1\nAnn 1 Bob 2\n', "line 2: '0' is no image number"),
    ('1 1\nAnn 1 2\nAnn 1 Ann 2\n', 'line 3: an impostor pair names Ann twice'),
  )
  def test_malformed_lfw_list_says_the_line(self, text, message):
    with self.assertRaisesRegex(DataError, message):
      read_lfw_pairs(self.write(text))

  def test_missing_and_binary_lists_are_refused(self):
    with self.assertRaisesRegex(DataError, 'cannot be read'):
      read_lfw_pairs('/nowhere/pairs.txt')
    path = self.create_tempfile('x', content=b'\xff\xfe\x00').full_path
    with self.assertRaisesRegex(DataError, 'no UTF-8 text'):
      read_lfw_pairs(path)


@pytest.mark.parametrize(
  ('name', 'count', 'images'),
  [
    ('lfw_pairs.txt', 6000, 7701),
    ('lfw_pairs_dev_test.txt', 1000, None),
    ('lfw_pairs_dev_train.txt', 2200, None),
  ],
)
def test_official_lists_have_their_known_counts(shared, name, count, images):
  pairs = read_lfw_pairs(os.path.join(shared, 'faces', name))
  assert len(pairs.same) == count
  assert pairs.same.sum() == count // 2
  np.testing.assert_array_equal(np.bincount(pairs.folds), [count // 10] * 10)
  assert images is None or len(pairs.images()) == images


def test_balanced_folds_of_view_2_are_the_official_ones(shared):
  pairs = read_lfw_pairs(os.path.join(shared, 'faces', 'lfw_pairs.txt'))
  np.testing.assert_array_equal(balanced_folds(pairs.same), pairs.folds)


if __name__ == '__main__':
  absltest.main()
