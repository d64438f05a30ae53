"""Results of a fold at the threshold of the others."""

import chex
import hypothesis
import numpy as np
from absl.testing import absltest
from hypothesis import strategies as st

from facejax.errors import DataError, UsageError
from facejax.evaluation.folds import fold_tar_at_far, kfold_accuracy
from tests.evaluation.scored_pairs import scored_pairs

SCORES = np.array([0.9, 0.8, 0.8, 0.3, 0.8, 0.5, 0.3, 0.1])
SAME = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)


def naive_kfold(scores, same, folds, thresholds, choice):
  accuracies = []
  for fold in range(max(folds) + 1):
    row = scores[fold] if scores.ndim == 2 else scores
    right = []
    for threshold in thresholds:
      right.append(
        sum(
          (row[i] > threshold) == same[i]
          for i in range(len(same))
          if folds[i] != fold
        )
      )
    best = [
      t for t, r in zip(thresholds, right, strict=True) if r == max(right)
    ]
    chosen = best[0] if choice == 'first' else sum(best) / len(best)
    test = [i for i in range(len(same)) if folds[i] == fold]
    accuracies.append(
      sum((row[i] > chosen) == same[i] for i in test) / len(test)
    )
  return accuracies


class FoldsTest(chex.TestCase):
  def test_the_threshold_is_interpolated_by_hand(self):
    # Impostors of the other fold at 0.75 and 0.25: FAR is 0 down to 0.8, then
    # 0.5 from 0.6 down to 0.4, then 1 from 0.2.
    scores = np.array([0.9, 0.5, 0.75, 0.25] * 2)
    same = np.array([1, 1, 0, 0] * 2, bool)
    folds = np.repeat([0, 1], 4)
    grid = np.array([1.0, 0.8, 0.6, 0.4, 0.2, 0.0])
    rates = fold_tar_at_far(scores, same, folds, grid, 0.75)
    np.testing.assert_allclose(rates.thresholds, [0.3, 0.3])
    np.testing.assert_allclose(rates.tar, [1, 1])
    np.testing.assert_allclose(rates.far, [0.5, 0.5])
    rates = fold_tar_at_far(scores, same, folds, grid, 0.5)
    np.testing.assert_allclose(rates.thresholds, [0.4, 0.4])

  def test_a_rate_that_no_candidate_reaches_accepts_nothing(self):
    scores = np.array([0.9, 0.1] * 2)
    same, folds = np.array([1, 0] * 2, bool), np.array([0, 0, 1, 1])
    rates = fold_tar_at_far(scores, same, folds, np.array([1.0, 0.5]), 1.0)
    np.testing.assert_array_equal(rates.thresholds, [1, 1])
    np.testing.assert_array_equal(rates.tar, [0, 0])

  def test_rates_without_meaning_are_none(self):
    scores = np.linspace(0, 1, 8)
    same, folds = np.arange(8) % 2 == 0, np.arange(8) // 4
    grid = np.array([1.0, 0.5, 0.0])
    self.assertIsNone(fold_tar_at_far(scores, same, folds, grid, 0.1))
    self.assertIsNone(
      fold_tar_at_far(scores, same, same.astype(int), grid, 1.0)
    )

  @hypothesis.settings(deadline=None, max_examples=50)
  @hypothesis.given(st.integers(0, 10**6), st.sampled_from([0.25, 0.5, 0.8]))
  def test_it_equals_a_naive_search(self, seed, far):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 10, 48) / 10
    same, folds = np.arange(48) % 2 == 0, np.arange(48) // 16
    grid = np.arange(12, -2, -1) / 10 + 0.05
    rates = fold_tar_at_far(scores, same, folds, grid, far)
    for fold in range(3):
      others = scores[(folds != fold) & ~same]
      shares = [float(np.mean(others > t)) for t in grid]
      last = max(i for i, share in enumerate(shares) if share <= far)
      expected = grid[last]
      if last + 1 < len(grid):
        step = (far - shares[last]) / (shares[last + 1] - shares[last])
        expected += step * (grid[last + 1] - grid[last])
      self.assertAlmostEqual(rates.thresholds[fold], expected)
      test = (folds == fold) & same
      self.assertEqual(
        rates.tar[fold], np.mean(scores[test] > rates.thresholds[fold])
      )

  def test_folds_must_be_two_and_not_empty(self):
    for folds in (np.zeros(8, int), np.arange(8) % 2 * 2):
      with self.assertRaisesRegex(DataError, 'k-fold accuracy needs two'):
        kfold_accuracy(SCORES, SAME, folds, SCORES)

  def test_first_and_mean_choose_as_they_say(self):
    scores = np.array([0.9, 0.1, 0.9, 0.1])
    same, folds = np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 1])
    grid = np.array([0.7, 0.3, 0.0])
    for choice, threshold in (('first', 0.7), ('mean', 0.5)):
      result = kfold_accuracy(scores, same, folds, grid, choice=choice)
      np.testing.assert_allclose(result.thresholds, [threshold] * 2)
      np.testing.assert_array_equal(result.accuracies, [1, 1])

  @hypothesis.settings(deadline=None, max_examples=50)
  @hypothesis.given(
    scored_pairs(), st.sampled_from(['first', 'mean']), st.booleans()
  )
  def test_kfold_accuracy_equals_the_naive_loop(self, pairs, choice, per_fold):
    scores, same = pairs
    folds = np.arange(len(same)) % min(4, len(same))
    if per_fold:
      scores = np.stack([np.roll(scores, f) for f in range(folds.max() + 1)])
    grid = np.arange(-5, 6) / 4
    result = kfold_accuracy(scores, same, folds, grid, choice=choice)
    np.testing.assert_allclose(
      result.accuracies, naive_kfold(scores, same, folds, grid, choice)
    )

  def test_unknown_choices_are_refused(self):
    with self.assertRaisesRegex(UsageError, "'first' or 'mean'"):
      kfold_accuracy(SCORES, SAME, np.arange(8) % 2, SCORES, choice='last')

  @hypothesis.settings(deadline=None, max_examples=50)
  @hypothesis.given(scored_pairs(), st.randoms(use_true_random=False))
  def test_order_and_rising_transforms_change_no_accuracy(self, pairs, random):
    scores, same = pairs
    folds = np.arange(len(same)) % 2
    grid = np.arange(-9, 10) / 8
    expected = kfold_accuracy(scores, same, folds, grid, choice='first')
    order = np.array(random.sample(range(len(same)), len(same)))
    mixed = kfold_accuracy(
      scores[order], same[order], folds[order], grid, choice='first'
    )
    chex.assert_trees_all_equal(mixed, expected)
    risen = kfold_accuracy(
      scores**3 + scores, same, folds, grid**3 + grid, choice='first'
    )
    chex.assert_trees_all_equal(risen.accuracies, expected.accuracies)


if __name__ == '__main__':
  absltest.main()
