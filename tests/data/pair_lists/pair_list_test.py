"""Folds of lists without any, and the places of their images."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.pair_lists.pair_list import PairList, balanced_folds
from facejax.errors import DataError


class PairListTest(chex.TestCase):
  @parameterized.parameters(1, 2, 3, 9, 10, 11, 25)
  def test_folds_are_balanced_and_none_is_empty(self, count):
    same = np.arange(2 * count + 3) < count
    folds = balanced_folds(same)
    self.assertEqual(folds.max() + 1, min(10, count))
    for kind in (same, ~same):
      sizes = np.bincount(folds[kind], minlength=folds.max() + 1)
      self.assertLessEqual(sizes.max() - sizes.min(), 1)

  def test_one_kind_of_pairs_still_gets_folds(self):
    folds = balanced_folds(np.ones(20, bool))
    np.testing.assert_array_equal(folds, np.repeat(np.arange(10), 2))

  def test_index_finds_every_pair_again(self):
    pairs = PairList(
      ('b', 'a', 'c'), ('a', 'd', 'b'), np.arange(3) > 0, np.arange(3)
    )
    images = pairs.images()
    self.assertEqual(images, ['a', 'b', 'c', 'd'])
    first, second = pairs.index(images)
    self.assertEqual(tuple(images[i] for i in first), pairs.names_a)
    self.assertEqual(tuple(images[i] for i in second), pairs.names_b)
    with self.assertRaisesRegex(DataError, 'no image a for the pair list'):
      pairs.index(images[1:])


if __name__ == '__main__':
  absltest.main()
