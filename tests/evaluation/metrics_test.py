"""Metrics against hand counts and naive loops, ties included."""

import fractions
import math

import chex
import hypothesis
import hypothesis.extra.numpy as hnp
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.errors import DataError, UsageError
from facejax.evaluation import intervals, metrics

SCORES = np.array([0.9, 0.8, 0.8, 0.3, 0.8, 0.5, 0.3, 0.1])
SAME = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)


@st.composite
def scored_pairs(draw):
  """Few distinct scores, so that ties are everywhere."""
  count = draw(st.integers(2, 40))
  scores = draw(
    hnp.arrays(np.int64, count, elements=st.integers(-4, 4))
  ).astype(np.float64)
  same = draw(hnp.arrays(bool, count))
  same[0], same[-1] = True, False
  return scores / 4, same


def naive_rates(scores, same, threshold):
  genuine = [s > threshold for s, g in zip(scores, same, strict=True) if g]
  impostor = [s > threshold for s, g in zip(scores, same, strict=True) if not g]
  return sum(genuine) / len(genuine), sum(impostor) / len(impostor)


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


class MetricsTest(chex.TestCase):
  def test_roc_by_hand(self):
    curve = metrics.roc(SCORES, SAME)
    np.testing.assert_array_equal(
      curve.thresholds, [0.9, 0.8, 0.5, 0.3, 0.1, -np.inf]
    )
    np.testing.assert_array_equal(curve.tar, [0, 0.25, 0.75, 0.75, 1, 1])
    np.testing.assert_array_equal(curve.far, [0, 0, 0.25, 0.5, 0.75, 1])

  @parameterized.parameters(
    # 4 impostors 0.8 0.5 0.3 0.1: the second largest, then the third ...
    (0.25, 0.5, 0.75, 0.25),
    (0.49, 0.5, 0.75, 0.25),
    (0.5, 0.3, 0.75, 0.5),
    (0.75, 0.1, 1.0, 0.75),
    (1.0, -math.inf, 1.0, 1.0),
  )
  def test_tar_at_far_by_hand(self, far, threshold, tar, measured):
    point = metrics.tar_at_far(SCORES, SAME, far)
    self.assertEqual(point, (tar, measured, threshold))

  def test_tied_impostors_are_all_rejected(self):
    scores = np.array([0.9, 0.6, 0.5, 0.5, 0.5, 0.1])
    same = np.array([1, 1, 0, 0, 0, 0], bool)
    point = metrics.tar_at_far(scores, same, 0.5)
    self.assertEqual(point, (1.0, 0.0, 0.5))

  def test_nearest_rule_may_accept_more_than_asked(self):
    scores = np.array([0.9, 0.6, 0.5, 0.4, 0.3, 0.2])
    same = np.array([1, 0, 1, 0, 0, 1], bool)
    strict = metrics.tar_at_far(scores, same, 0.6)
    nearest = metrics.tar_at_far(scores, same, 0.6, rule='nearest')
    self.assertAlmostEqual(strict.far, 1 / 3)
    self.assertAlmostEqual(nearest.far, 2 / 3)

  @parameterized.parameters((0.29, 100, 29), (0.001, 3000, 3), (0.7, 10, 7))
  def test_shares_that_floats_miss_are_whole_counts(self, far, count, accepted):
    scores = np.append(np.arange(count), count).astype(float)
    point = metrics.tar_at_far(scores, scores == count, far)
    self.assertAlmostEqual(point.far, accepted / count)

  @parameterized.parameters(0.2, 0.0, -1.0, 1.5, float('nan'))
  def test_rates_the_set_cannot_resolve_are_refused(self, far):
    with self.assertRaisesRegex(UsageError, 'from 4 impostor pairs'):
      metrics.tar_at_far(SCORES, SAME, far)

  def test_unknown_rules_are_refused(self):
    with self.assertRaisesRegex(UsageError, "'at_most' or 'nearest'"):
      metrics.tar_at_far(SCORES, SAME, 0.5, rule='interpolated')
    with self.assertRaisesRegex(UsageError, "'first' or 'mean'"):
      metrics.kfold_accuracy(
        SCORES, SAME, np.arange(8) % 2, SCORES, choice='last'
      )

  def test_resolvable_fars_end_at_one_pair(self):
    self.assertEqual(metrics.resolvable_fars(9), ())
    self.assertEqual(metrics.resolvable_fars(3000), (1e-1, 1e-2, 1e-3))
    self.assertEqual(metrics.resolvable_fars(10**6), metrics.FARS)

  def test_auc_and_eer_by_hand(self):
    # Wins of the genuine 0.9, 0.8, 0.8, 0.3: 4, 3.5, 3.5, 1.5 of 4.
    self.assertAlmostEqual(metrics.auc(SCORES, SAME), 12.5 / 16)
    # The ROC meets FAR = 1 - TAR at the point (0.25, 0.75).
    self.assertAlmostEqual(metrics.eer(SCORES, SAME), 0.25)
    self.assertEqual(metrics.auc(SAME * 1.0, SAME), 1.0)
    self.assertEqual(metrics.eer(SAME * 1.0, SAME), 0.0)
    self.assertEqual(metrics.auc(-1.0 * SAME, SAME), 0.0)
    self.assertEqual(metrics.eer(-1.0 * SAME, SAME), 1.0)

  def test_scores_that_say_nothing_give_one_half(self):
    self.assertEqual(metrics.auc(np.zeros(8), SAME), 0.5)
    self.assertEqual(metrics.eer(np.zeros(8), SAME), 0.5)

  @parameterized.parameters(
    metrics.roc,
    metrics.auc,
    metrics.eer,
    lambda scores, same: metrics.tar_at_far(scores, same, 0.5),
  )
  def test_degenerate_sets_are_refused(self, metric):
    with self.assertRaisesRegex(DataError, 'all 8 pairs are genuine'):
      metric(SCORES, np.ones(8, bool))
    with self.assertRaisesRegex(DataError, 'all 8 pairs are impostor'):
      metric(SCORES, np.zeros(8, bool))
    with self.assertRaisesRegex(DataError, 'pair 2 is nan'):
      metric(np.where(np.arange(8) == 2, np.nan, SCORES), SAME)

  def test_folds_must_be_two_and_not_empty(self):
    for folds in (np.zeros(8, int), np.arange(8) % 2 * 2):
      with self.assertRaisesRegex(DataError, 'k-fold accuracy needs two'):
        metrics.kfold_accuracy(SCORES, SAME, folds, SCORES)

  def test_first_and_mean_choose_as_they_say(self):
    scores = np.array([0.9, 0.1, 0.9, 0.1])
    same, folds = np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 1])
    grid = np.array([0.7, 0.3, 0.0])
    for choice, threshold in (('first', 0.7), ('mean', 0.5)):
      result = metrics.kfold_accuracy(scores, same, folds, grid, choice=choice)
      np.testing.assert_allclose(result.thresholds, [threshold] * 2)
      np.testing.assert_array_equal(result.accuracies, [1, 1])

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(scored_pairs())
  def test_every_rate_equals_the_naive_loop(self, pairs):
    scores, same = pairs
    curve = metrics.roc(scores, same)
    for far, tar, threshold in zip(*curve, strict=True):
      chex.assert_trees_all_close(
        (tar, far), naive_rates(scores, same, threshold)
      )
    wins = [(g > i) + (g == i) / 2 for g in scores[same] for i in scores[~same]]
    self.assertAlmostEqual(metrics.auc(scores, same), np.mean(wins))
    self.assertAlmostEqual(
      metrics.auc(scores, same), np.trapezoid(curve.tar, curve.far)
    )
    # Along the polyline, FAR - (1 - TAR) rises from -1 to 1.
    along = np.linspace(0, len(curve.far) - 1, 20_001)
    far, tar = (
      np.interp(along, np.arange(len(curve.far)), x) for x in curve[:2]
    )
    crossing = np.argmin(np.abs(far - (1 - tar)))
    self.assertAlmostEqual(metrics.eer(scores, same), far[crossing], delta=2e-3)

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(scored_pairs(), st.integers(1, 1000))
  def test_tar_at_far_never_accepts_too_many(self, pairs, thousandths):
    scores, same = pairs
    impostors = sorted(scores[~same], reverse=True)
    share = fractions.Fraction(thousandths, 1000)
    accepted = math.floor(share * len(impostors))
    hypothesis.assume(accepted >= 1)
    point = metrics.tar_at_far(scores, same, thousandths / 1000)
    self.assertLessEqual((scores[~same] > point.threshold).sum(), accepted)
    if accepted < len(impostors):
      self.assertEqual(point.threshold, impostors[accepted])
    self.assertEqual(
      (point.tar, point.far), naive_rates(scores, same, point.threshold)
    )

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
    result = metrics.kfold_accuracy(scores, same, folds, grid, choice=choice)
    np.testing.assert_allclose(
      result.accuracies, naive_kfold(scores, same, folds, grid, choice)
    )

  @parameterized.parameters(
    (1e-1, '1e-1'), (1e-6, '1e-6'), (2.5e-3, '2.5e-3'), (1.0, '1e0')
  )
  def test_rates_have_short_names(self, far, name):
    self.assertEqual(metrics.far_name(far), name)
    self.assertEqual(float(name), far)

  def test_wilson_interval_by_hand(self):
    # E. B. Wilson's formula at 8 of 10, z = 1.96.
    low, high = intervals.wilson_interval(0.8, 10)
    self.assertAlmostEqual(low, 0.4902, places=4)
    self.assertAlmostEqual(high, 0.9433, places=4)
    self.assertAlmostEqual(intervals.wilson_interval(1.0, 10)[1], 1.0)
    self.assertAlmostEqual(intervals.wilson_interval(0.0, 10)[0], 0.0)


if __name__ == '__main__':
  absltest.main()
