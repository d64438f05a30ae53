"""Pairs drawn from labelled faces."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.evaluation.sampling import sample_pairs

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(7, 37), 5))


class SamplingTest(chex.TestCase):
  @parameterized.parameters((200, 10), (209, 10), (120, 3))
  def test_folds_are_balanced_and_share_nobody(self, num_pairs, num_folds):
    first, second, same, folds = sample_pairs(
      LABELS, num_pairs=num_pairs, seed=3, num_folds=num_folds
    )
    per_kind = num_pairs // (2 * num_folds)
    np.testing.assert_array_equal(np.bincount(folds[same]), per_kind)
    np.testing.assert_array_equal(np.bincount(folds[~same]), per_kind)
    np.testing.assert_array_equal(LABELS[first] == LABELS[second], same)
    people = [
      set(LABELS[first[folds == f]]) | set(LABELS[second[folds == f]])
      for f in range(num_folds)
    ]
    self.assertLen(set.union(*people), sum(map(len, people)))

  def test_no_pair_is_drawn_twice_and_none_is_one_image(self):
    first, second, _, _ = sample_pairs(LABELS, num_pairs=400, seed=0)
    pairs = {frozenset(p) for p in zip(first, second, strict=True)}
    self.assertLen(pairs, 400)
    self.assertEqual({len(p) for p in pairs}, {2})

  def test_the_seed_decides(self):
    draws = [
      sample_pairs(LABELS, num_pairs=100, seed=seed) for seed in (1, 1, 2)
    ]
    chex.assert_trees_all_equal(draws[0], draws[1])
    self.assertFalse(np.array_equal(draws[0][0], draws[2][0]))

  def test_few_people_give_fewer_folds(self):
    labels = np.repeat(np.arange(4), 6)
    folds = sample_pairs(labels, num_pairs=20, seed=0)[3]
    np.testing.assert_array_equal(np.bincount(folds), [10, 10])

  def test_what_cannot_be_drawn_is_refused(self):
    with self.assertRaisesRegex(DataError, 'give 0 genuine pairs, not 5'):
      sample_pairs(np.arange(40), num_pairs=100, seed=0)
    with self.assertRaisesRegex(DataError, 'give 0 impostor pairs, not 1'):
      sample_pairs(np.zeros(40, int), num_pairs=4, seed=0, num_folds=1)
    with self.assertRaisesRegex(UsageError, 'ask for at least 20'):
      sample_pairs(LABELS, num_pairs=19, seed=0)


if __name__ == '__main__':
  absltest.main()
