"""1:1 rates by both rules, against loops and against the plain metrics."""

import chex
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.errors import DataError
from facejax.evaluation import metrics
from facejax.evaluation.templates.verification import (
  nearest_points,
  roc_corners,
  verify_templates,
)


def naive_nearest(scores, same, far):
  """InsightFace's script with sklearn's roc_curve, step by step."""
  points = []
  for score in sorted(set(scores.tolist()), reverse=True):
    accepted = scores >= score
    points.append((int(accepted[~same].sum()), int(accepted[same].sum())))
  kept = [
    point
    for i, point in enumerate(points)
    if i in (0, len(points) - 1)
    or any(
      points[i + 1][k] - point[k] != point[k] - points[i - 1][k] for k in (0, 1)
    )
  ]
  flipped = [(0, 0), *kept][::-1]
  rates = [(f / (~same).sum(), t / same.sum()) for f, t in flipped]
  _, place = min((abs(f - far), i) for i, (f, _) in enumerate(rates))
  return rates[place][1], rates[place][0]


def draw(seed, genuine=40, impostor=400, digits=None):
  rng = np.random.default_rng(seed)
  scores = np.concatenate(
    [rng.normal(0.4, 0.2, genuine), rng.normal(0, 0.15, impostor)]
  )
  if digits is not None:
    scores = scores.round(digits)
  order = rng.permutation(len(scores))
  same = np.arange(len(scores)) < genuine
  return scores[order].astype(np.float32), same[order]


class NearestTest(chex.TestCase):
  @parameterized.product(seed=(0, 1, 2), digits=(None, 2, 1))
  def test_agrees_with_the_script_step_by_step(self, seed, digits):
    scores, same = draw(seed, digits=digits)
    parts = np.sort(scores[same]), np.sort(scores[~same])
    fars = (0.1, 0.01, 0.003)
    found = nearest_points(*parts, fars)
    for far in fars:
      tar, rate = naive_nearest(scores, same, far)
      self.assertAlmostEqual(found[far].tar, tar, places=12)
      self.assertAlmostEqual(found[far].far, rate, places=12)

  def test_dropped_points_move_the_rate_that_is_read(self):
    # Ten impostors between two genuine pairs: inner points are dropped, and
    # 40 % is read where the run ends or begins.
    genuine = np.array([0.0, 2.0])
    impostor = np.linspace(0.5, 1.5, 10)
    point = nearest_points(genuine, impostor, (0.4,))[0.4]
    self.assertEqual(point, (0.5, 0.0))
    late = nearest_points(genuine, impostor, (0.6,))[0.6]
    # Behind the run stands the point that accepts the last genuine pair, too.
    self.assertEqual(late, (1.0, 1.0))
    scores = np.concatenate([genuine, impostor])
    exact = metrics.tar_at_far(scores, np.arange(12) < 2, 0.6, rule='nearest')
    self.assertEqual((exact.tar, exact.far), (0.5, 0.6))

  def test_with_dense_genuine_scores_both_rules_nearly_agree(self):
    scores, same = draw(5, genuine=400, impostor=1000)
    found = verify_templates(scores, same)
    for far, point in found.points.items():
      self.assertAlmostEqual(found.nearest[far].tar, point.tar, delta=0.01)


class VerifyTemplatesTest(chex.TestCase):
  @parameterized.product(seed=(0, 1), digits=(None, 2, 0))
  def test_agrees_with_the_plain_metrics(self, seed, digits):
    scores, same = draw(seed, digits=digits)
    found = verify_templates(scores, same)
    self.assertEqual(list(found.points), [0.1, 0.01])
    for far, point in found.points.items():
      self.assertEqual(point, metrics.tar_at_far(scores, same, far))
    self.assertAlmostEqual(found.auc, metrics.auc(scores, same), places=12)
    self.assertAlmostEqual(found.eer, metrics.eer(scores, same), places=12)

  @settings(max_examples=40, deadline=None)
  @given(
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
  )
  def test_corners_lie_on_the_whole_curve(self, genuine, impostor):
    genuine, impostor = (
      np.sort(np.array(part, np.float64)) for part in (genuine, impostor)
    )
    far, tar = roc_corners(genuine, impostor)
    scores = np.concatenate([genuine, impostor])
    same = np.arange(len(scores)) < len(genuine)
    self.assertAlmostEqual(
      float(np.trapezoid(tar, far)), metrics.auc(scores, same), places=12
    )
    self.assertTrue((np.diff(far) >= 0).all() and (np.diff(tar) >= 0).all())
    curve = metrics.roc(scores, same)
    whole = set(zip(curve.far, curve.tar, strict=True))
    self.assertLessEqual(set(zip(far, tar, strict=True)), whole | {(0, 0)})

  def test_the_drawn_curve_keeps_its_ends_and_never_falls(self):
    curve = verify_templates(*draw(0, 3000, 5000)).roc_curve()
    self.assertLess(len(curve.far), 2100)
    self.assertEqual((curve.far[0], curve.tar[0]), (0, 0))
    self.assertEqual((curve.far[-1], curve.tar[-1]), (1, 1))
    self.assertTrue((np.diff(curve.far) >= 0).all())

  def test_the_histogram_counts_every_pair_and_shows_a_threshold(self):
    found = verify_templates(*draw(0))
    histogram = found.histogram()
    self.assertEqual(histogram.genuine.sum(), 40)
    self.assertEqual(histogram.impostor.sum(), 400)
    self.assertEqual(histogram.threshold, found.points[0.01].threshold)
    few = verify_templates(*draw(0, 3, 5))
    self.assertIsNone(few.histogram().threshold)

  def test_constant_scores_decide_nothing(self):
    found = verify_templates(np.zeros(30, np.float32), np.arange(30) < 10)
    self.assertEqual(found.auc, 0.5)
    self.assertEqual(found.eer, 0.5)
    self.assertEqual(found.points[0.1].tar, 0)

  def test_one_kind_of_pairs_and_nan_are_refused(self):
    with self.assertRaisesRegex(DataError, 'add impostor pairs'):
      verify_templates(np.zeros(3, np.float32), np.ones(3, bool))
    with self.assertRaisesRegex(DataError, 'score of pair 1 is nan'):
      verify_templates(
        np.array([0, np.nan], np.float32), np.array([True, False])
      )


if __name__ == '__main__':
  absltest.main()
