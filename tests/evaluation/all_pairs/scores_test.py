"""Rates of all pairs against the rates of a whole matrix of scores."""

import json
import math
from unittest import mock

import chex
import hypothesis
import jax
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.errors import DataError, UsageError
from facejax.evaluation import rates
from facejax.evaluation.all_pairs import scores as all_pairs
from facejax.parallel.mesh import make_mesh
from tests.evaluation.scoring import feature_sets
from tests.evaluation.scoring.feature_sets import FEATURES

LABELS = np.unique(feature_sets.people(), return_inverse=True)[1]
KINDS = ('fine', 'coarse', 'equal')


def score(features, labels=LABELS, **options):
  """All pairs on one device."""
  mesh = make_mesh(devices=jax.devices()[:1])
  return all_pairs.score_all_pairs(features, labels, mesh=mesh, **options)


def whole_matrix(features, labels=LABELS):
  """Scores and kinds of all pairs."""
  pairs = np.triu_indices(len(labels), 1)
  same = (labels[:, None] == labels[None, :])[pairs]
  return (features @ features.T)[pairs], same


class AllPairsTest(chex.TestCase):
  @parameterized.parameters(*KINDS)
  def test_points_equal_those_of_the_whole_matrix(self, kind):
    scores, same = whole_matrix(FEATURES[kind])
    found = score(FEATURES[kind])
    self.assertEqual(list(found.points), list(rates.FARS[:5]))
    for far, point in found.points.items():
      self.assertEqual(point, rates.tar_at_far(scores, same, far))
    self.assertEqual(found.num_impostors, (~same).sum())

  def test_rates_beyond_the_tail_are_as_exact(self):
    scores, same = whole_matrix(FEATURES['fine'])
    fars = (1.0, 0.5, 1e-2, 1e-4)
    with mock.patch.object(all_pairs, '_LONGEST_TAIL', 50):
      found = score(FEATURES['fine'], fars=fars)
    self.assertLen(found.tail.scores, 50)
    for far in fars:
      self.assertEqual(found.points[far], rates.tar_at_far(scores, same, far))

  @parameterized.parameters(*KINDS)
  def test_area_is_within_its_error_and_eer_near(self, kind):
    scores, same = whole_matrix(FEATURES[kind])
    found = score(FEATURES[kind])
    area, error = found.area()
    self.assertLess(abs(area - rates.auc(scores, same)), error + 1e-12)
    self.assertAlmostEqual(found.eer(), rates.eer(scores, same), delta=2e-3)

  @parameterized.parameters(*KINDS)
  def test_every_point_of_the_curve_is_attained(self, kind):
    scores, same = whole_matrix(FEATURES[kind])
    whole = rates.roc(scores, same)
    (curve,) = score(FEATURES[kind]).curves('it').roc.values()
    attained = set(zip(whole.far, whole.tar, strict=True))
    points = list(zip(curve.far, curve.tar, strict=True))
    self.assertContainsSubset(points, attained)
    self.assertEqual((points[0][0], points[-1]), (0, (1, 1)))
    self.assertTrue((np.diff(curve.far) >= 0).all())
    self.assertTrue((np.diff(curve.tar) >= 0).all())

  @parameterized.parameters(*KINDS)
  def test_histograms_hold_every_pair(self, kind):
    found = score(FEATURES[kind])
    (histogram,) = found.curves('it').histogram.values()
    self.assertEqual(histogram.genuine.sum(), len(found.genuine))
    self.assertEqual(histogram.impostor.sum(), found.num_impostors)
    self.assertEqual(histogram.threshold, found.points[1e-3].threshold)
    self.assertEqual(histogram.threshold_note, 'FAR 1e-3')

  def test_scores_that_are_all_equal_tell_nothing(self):
    result = score(FEATURES['equal']).to_json(draws=10, seed=0)
    self.assertEqual((result['auc'], result['eer']), (0.5, 0.5))
    self.assertEqual(set(result['tar_at_far'].values()), {0.0})
    self.assertEqual(result['tar_intervals_95']['1e-2'], [0.0, 0.0])

  def test_the_result_is_json_and_names_its_rates(self):
    found = score(FEATURES['fine'], fars=(1.0, 1e-3))
    result = found.to_json(draws=20, seed=3)
    self.assertEqual(json.loads(json.dumps(result, allow_nan=False)), result)
    self.assertEqual(
      result['tar_at_far'], {'1e0': 1.0, '1e-3': found.points[1e-3].tar}
    )
    self.assertIsNone(result['thresholds']['1e0'])
    self.assertIsNone(result['tar_intervals_95']['1e0'])
    low, high = result['far_intervals_95']['1e-3']
    self.assertBetween(result['far_at_threshold']['1e-3'], low, high)
    self.assertEqual(result['num_people'], LABELS.max() + 1)
    self.assertEqual(result['num_pairs'], 700 * 699 // 2)

  def test_eight_devices_find_what_one_finds(self):
    one = score(FEATURES['fine'])
    eight = all_pairs.score_all_pairs(FEATURES['fine'], LABELS)
    self.assertEqual(one.points, eight.points)
    chex.assert_trees_all_equal(one.tail, eight.tail)
    chex.assert_trees_all_equal(one.counts, eight.counts)

  def test_sets_without_pairs_of_both_kinds_are_refused(self):
    features = feature_sets.grid(4)
    with self.assertRaisesRegex(DataError, 'nobody has two images'):
      score(features, np.arange(4))
    for fars in (None, (0.1,)):
      with self.assertRaisesRegex(DataError, 'one person'):
        score(features, np.zeros(4, int), fars=fars)

  @parameterized.parameters(1e-6, 0.0, 1.5)
  def test_rates_the_pairs_cannot_resolve_are_refused(self, far):
    with self.assertRaisesRegex(UsageError, 'impostor pairs'):
      score(FEATURES['fine'], fars=(1e-3, far))

  def test_sets_too_small_for_any_rate_have_an_area(self):
    labels = np.array([0, 0, 1])
    found = score(feature_sets.grid(3), labels)
    self.assertEqual(found.points, {})
    result = found.to_json(draws=5, seed=0)
    self.assertEqual(result['tar_at_far'], {})
    self.assertBetween(result['auc'], 0, 1)
    (histogram,) = found.curves('it').histogram.values()
    self.assertIsNone(histogram.threshold)

  @hypothesis.given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
  def test_genuine_pairs_are_those_of_a_loop(self, people):
    labels = np.unique(people, return_inverse=True)[1]
    expected = [
      (i, j)
      for person in range(labels.max() + 1)
      for at, i in enumerate(np.flatnonzero(labels == person))
      for j in np.flatnonzero(labels == person)[at + 1 :]
    ]
    found = all_pairs.genuine_pairs(labels)
    self.assertEqual([tuple(pair) for pair in found.T], expected)

  @hypothesis.settings(deadline=None, max_examples=20)
  @hypothesis.given(st.integers(3, 40), st.integers(0, 999))
  def test_small_sets_equal_the_whole_matrix(self, count, seed):
    features = feature_sets.grid(count, steps=2, seed=seed)
    labels = np.arange(count) // 2
    scores, same = whole_matrix(features, labels)
    found = score(features, labels, fars=(1.0, 0.5))
    for far in (1.0, 0.5):
      self.assertEqual(found.points[far], rates.tar_at_far(scores, same, far))
    # Scores in so few steps have a class each.
    self.assertAlmostEqual(found.area()[0], rates.auc(scores, same))
    self.assertAlmostEqual(found.eer(), rates.eer(scores, same))


class ThresholdTest(chex.TestCase):
  def test_a_rate_of_one_accepts_everything(self):
    found = score(FEATURES['coarse'], fars=(1.0,))
    self.assertEqual(found.points[1.0], (1.0, 1.0, -math.inf))


if __name__ == '__main__':
  absltest.main()
