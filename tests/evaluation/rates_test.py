"""Rates of scored pairs against hand counts and naive loops."""

import fractions
import itertools
import math

import chex
import hypothesis
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.errors import DataError, UsageError
from facejax.evaluation import rates
from tests.evaluation.scored_pairs import scored_pairs

SCORES = np.array([0.9, 0.8, 0.8, 0.3, 0.8, 0.5, 0.3, 0.1])
SAME = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)


def naive_rates(scores, same, threshold):
  genuine = [s > threshold for s, g in zip(scores, same, strict=True) if g]
  impostor = [s > threshold for s, g in zip(scores, same, strict=True) if not g]
  return sum(genuine) / len(genuine), sum(impostor) / len(impostor)


def naive_nearest(scores, same, far):
  """The last of InsightFace's curve points that are nearest to `far`."""
  thresholds = [*sorted(set(scores), reverse=True), -math.inf]
  points = [naive_rates(scores, same, t) for t in thresholds]
  return min(reversed(points), key=lambda point: abs(point[1] - far))


class RatesTest(chex.TestCase):
  def test_roc_by_hand(self):
    curve = rates.roc(SCORES, SAME)
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
    point = rates.tar_at_far(SCORES, SAME, far)
    self.assertEqual(point, (tar, measured, threshold))

  def test_tied_impostors_are_all_rejected(self):
    scores = np.array([0.9, 0.6, 0.5, 0.5, 0.5, 0.1])
    same = np.array([1, 1, 0, 0, 0, 0], bool)
    point = rates.tar_at_far(scores, same, 0.5)
    self.assertEqual(point, (1.0, 0.0, 0.5))

  def test_nearest_rule_may_accept_more_than_asked(self):
    scores = np.array([0.9, 0.6, 0.5, 0.4, 0.3, 0.2])
    same = np.array([1, 0, 1, 0, 0, 1], bool)
    strict = rates.tar_at_far(scores, same, 0.6)
    nearest = rates.tar_at_far(scores, same, 0.6, rule='nearest')
    self.assertAlmostEqual(strict.far, 1 / 3)
    self.assertAlmostEqual(nearest.far, 2 / 3)

  @parameterized.parameters((0.29, 100, 29), (0.001, 3000, 3), (0.7, 10, 7))
  def test_shares_that_floats_miss_are_whole_counts(self, far, count, accepted):
    scores = np.append(np.arange(count), count).astype(float)
    point = rates.tar_at_far(scores, scores == count, far)
    self.assertAlmostEqual(point.far, accepted / count)

  @parameterized.parameters(0.2, 0.0, -1.0, 1.5, float('nan'))
  def test_rates_the_set_cannot_resolve_are_refused(self, far):
    with self.assertRaisesRegex(UsageError, 'from 4 impostor pairs'):
      rates.tar_at_far(SCORES, SAME, far)

  def test_resolvable_fars_end_at_one_pair(self):
    self.assertEqual(rates.resolvable_fars(9), ())
    self.assertEqual(rates.resolvable_fars(3000), (1e-1, 1e-2, 1e-3))
    self.assertEqual(rates.resolvable_fars(10**6), rates.FARS)

  def test_auc_and_eer_by_hand(self):
    # Wins of the genuine 0.9, 0.8, 0.8, 0.3: 4, 3.5, 3.5, 1.5 of 4.
    self.assertAlmostEqual(rates.auc(SCORES, SAME), 12.5 / 16)
    # The ROC meets FAR = 1 - TAR at the point (0.25, 0.75).
    self.assertAlmostEqual(rates.eer(SCORES, SAME), 0.25)
    self.assertEqual(rates.auc(SAME * 1.0, SAME), 1.0)
    self.assertEqual(rates.eer(SAME * 1.0, SAME), 0.0)
    self.assertEqual(rates.auc(-1.0 * SAME, SAME), 0.0)
    self.assertEqual(rates.eer(-1.0 * SAME, SAME), 1.0)

  def test_scores_that_say_nothing_give_one_half(self):
    self.assertEqual(rates.auc(np.zeros(8), SAME), 0.5)
    self.assertEqual(rates.eer(np.zeros(8), SAME), 0.5)

  @parameterized.parameters(
    rates.roc,
    rates.auc,
    rates.eer,
    lambda scores, same: rates.tar_at_far(scores, same, 0.5),
  )
  def test_degenerate_sets_are_refused(self, metric):
    with self.assertRaisesRegex(DataError, 'all 8 pairs are genuine'):
      metric(SCORES, np.ones(8, bool))
    with self.assertRaisesRegex(DataError, 'all 8 pairs are impostor'):
      metric(SCORES, np.zeros(8, bool))
    with self.assertRaisesRegex(DataError, 'pair 2 is nan'):
      metric(np.where(np.arange(8) == 2, np.nan, SCORES), SAME)

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(scored_pairs())
  def test_every_rate_equals_the_naive_loop(self, pairs):
    scores, same = pairs
    curve = rates.roc(scores, same)
    for far, tar, threshold in zip(*curve, strict=True):
      chex.assert_trees_all_close(
        (tar, far), naive_rates(scores, same, threshold)
      )
    wins = [(g > i) + (g == i) / 2 for g in scores[same] for i in scores[~same]]
    self.assertAlmostEqual(rates.auc(scores, same), np.mean(wins))
    self.assertAlmostEqual(
      rates.auc(scores, same), np.trapezoid(curve.tar, curve.far)
    )
    # Along the polyline, FAR - (1 - TAR) rises from -1 to 1.
    along = np.linspace(0, len(curve.far) - 1, 20_001)
    far, tar = (
      np.interp(along, np.arange(len(curve.far)), x) for x in curve[:2]
    )
    crossing = np.argmin(np.abs(far - (1 - tar)))
    self.assertAlmostEqual(rates.eer(scores, same), far[crossing], delta=2e-3)

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(scored_pairs(), st.integers(1, 1000))
  def test_tar_at_far_never_accepts_too_many(self, pairs, thousandths):
    scores, same = pairs
    impostors = sorted(scores[~same], reverse=True)
    share = fractions.Fraction(thousandths, 1000)
    accepted = math.floor(share * len(impostors))
    hypothesis.assume(accepted >= 1)
    point = rates.tar_at_far(scores, same, thousandths / 1000)
    self.assertLessEqual((scores[~same] > point.threshold).sum(), accepted)
    if accepted < len(impostors):
      self.assertEqual(point.threshold, impostors[accepted])
    self.assertEqual(
      (point.tar, point.far), naive_rates(scores, same, point.threshold)
    )

  @parameterized.parameters(
    (1e-1, '1e-1'), (1e-6, '1e-6'), (2.5e-3, '2.5e-3'), (1.0, '1e0')
  )
  def test_rates_have_short_names(self, far, name):
    self.assertEqual(rates.far_name(far), name)
    self.assertEqual(float(name), far)

  def test_unknown_rules_are_refused(self):
    with self.assertRaisesRegex(UsageError, "'at_most' or 'nearest'"):
      rates.tar_at_far(SCORES, SAME, 0.5, rule='interpolated')

  def test_of_equally_near_points_the_nearest_rule_takes_the_last(self):
    # FAR is 0 at 0.9, 0.8 and 0.7: InsightFace reads the largest TAR there.
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    same = np.array([1, 1, 0, 1, 0, 1], bool)
    point = rates.tar_at_far(scores, same, 0.5, rule='nearest')
    self.assertEqual(point, (0.75, 0.5, 0.5))
    # As far from 0 as from 0.5.
    scores, same = np.array([4.0, 3, 2, 1, 0]), np.array([1, 0, 1, 0, 1], bool)
    point = rates.tar_at_far(scores, same, 0.75, rule='nearest')
    self.assertEqual(point.far, 1.0)

  def test_scores_that_are_all_equal_accept_nobody(self):
    point = rates.tar_at_far(np.full(8, 0.5), SAME, 0.5)
    self.assertEqual(point, (0.0, 0.0, 0.5))

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(scored_pairs(), st.integers(1, 1000))
  def test_nearest_rule_equals_the_naive_search(self, pairs, thousandths):
    scores, same = pairs
    far = thousandths / 1000
    hypothesis.assume(far * (~same).sum() >= 1)
    point = rates.tar_at_far(scores, same, far, rule='nearest')
    self.assertEqual(point[:2], naive_nearest(scores, same, far))
    self.assertEqual(point[:2], naive_rates(scores, same, point.threshold))

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(scored_pairs(), st.randoms(use_true_random=False))
  def test_order_and_rising_transforms_change_no_rate(self, pairs, random):
    scores, same = pairs
    order = np.array(random.sample(range(len(same)), len(same)))
    for other, kinds in (
      (scores[order], same[order]),
      (scores**3 + scores / 8, same),
      (np.exp2(scores * 4) - 7, same),
    ):
      self.assertEqual(rates.auc(other, kinds), rates.auc(scores, same))
      self.assertEqual(rates.eer(other, kinds), rates.eer(scores, same))
      curve, expected = rates.roc(other, kinds), rates.roc(scores, same)
      chex.assert_trees_all_equal(curve[:2], expected[:2])
      for far, rule in itertools.product((0.5, 1.0), ('at_most', 'nearest')):
        if far * (~same).sum() >= 1:
          self.assertEqual(
            rates.tar_at_far(other, kinds, far, rule=rule)[:2],
            rates.tar_at_far(scores, same, far, rule=rule)[:2],
          )

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(scored_pairs())
  def test_turning_kinds_and_scores_around_mirrors_the_roc(self, pairs):
    scores, same = pairs
    self.assertEqual(rates.auc(-scores, ~same), rates.auc(scores, same))
    self.assertAlmostEqual(rates.auc(-scores, same), 1 - rates.auc(*pairs))
    self.assertAlmostEqual(rates.eer(-scores, ~same), rates.eer(*pairs))

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(scored_pairs())
  def test_the_equal_error_rate_lies_on_the_roc(self, pairs):
    curve, rate = rates.roc(*pairs), rates.eer(*pairs)
    # Between the last point with FAR below 1 - TAR and the first without.
    after = int(np.argmax(curve.far - (1 - curve.tar) >= -1e-12))
    around = slice(after - 1, after + 1)
    room = np.array([-1e-12, 1e-12])
    self.assertBetween(rate, *(curve.far[around] + room))
    self.assertBetween(rate, *((1 - curve.tar[around])[::-1] + room))


if __name__ == '__main__':
  absltest.main()
