"""Two models on the same draws of people."""

import chex
import numpy as np
from absl.testing import absltest

from facejax.errors import UsageError
from facejax.evaluation import rates
from facejax.evaluation.all_pairs import comparison as all_pairs_comparison
from tests.evaluation.all_pairs.people_bootstrap_test import pair_set

FARS = np.array([1e-1, 1e-2])


def report(noise, *, images='a', fars=FARS, seed=0):
  """Measurements of a model; the more noise, the worse it is."""
  rng = np.random.default_rng(seed)
  labels = np.repeat(np.arange(20), 4)
  same = labels[:, None] == labels[None, :]
  scores = 3.0 * same + noise * rng.normal(size=same.shape)
  pairs = pair_set(labels, scores)
  both = np.concatenate([pairs.genuine_scores, pairs.tail_scores])
  is_genuine = np.arange(len(both)) < len(pairs.genuine_scores)
  points = [rates.tar_at_far(both, is_genuine, far) for far in fars]
  thresholds = np.array([point.threshold for point in points])
  return all_pairs_comparison.measurements(
    pairs, fars, thresholds, images=images
  )


class AllPairsComparisonTest(chex.TestCase):
  def test_a_model_does_not_differ_from_itself(self):
    one = report(1.0)
    found = all_pairs_comparison.compare(one, one, draws=50)
    expected = {'difference': 0, 'interval_95': [0, 0], 'share_above_0': 0}
    self.assertEqual(found, {'1e-1': expected, '1e-2': expected})

  def test_a_better_model_is_better_in_every_draw(self):
    good, bad = report(1.0), report(3.0)
    found = all_pairs_comparison.compare(good, bad, draws=100)
    turned = all_pairs_comparison.compare(bad, good, draws=100)
    for name, column in (('1e-1', 0), ('1e-2', 1)):
      tars = [
        (each['genuine_scores'] > each['thresholds'][column]).mean()
        for each in (good, bad)
      ]
      row = found[name]
      self.assertEqual(row['difference'], tars[0] - tars[1])
      self.assertEqual(row['share_above_0'], 1.0)
      self.assertBetween(row['difference'], *row['interval_95'])
      self.assertGreater(row['interval_95'][0], 0)
      self.assertEqual(turned[name]['share_above_0'], 0.0)
      self.assertAlmostEqual(
        turned[name]['interval_95'][0], -row['interval_95'][1]
      )

  def test_equal_models_differ_by_what_the_people_explain(self):
    found = all_pairs_comparison.compare(
      report(1.5, seed=1), report(1.5, seed=2), draws=200
    )
    low, high = found['1e-2']['interval_95']
    self.assertLess(low, 0)
    self.assertGreater(high, 0)

  def test_only_rates_of_both_reports_are_compared(self):
    few = report(1.0, fars=np.array([1e-2, 1e-3]))
    found = all_pairs_comparison.compare(report(2.0), few, draws=10)
    self.assertEqual(list(found), ['1e-2'])
    other = report(1.0, fars=np.array([5e-2]))
    with self.assertRaisesRegex(UsageError, 'no false-accept rate in common'):
      all_pairs_comparison.compare(report(2.0), other)

  def test_a_rate_that_draws_cannot_tell_has_no_interval(self):
    one = report(1.0, fars=np.array([1.0, 1e-2]))
    found = all_pairs_comparison.compare(one, one, draws=10)
    self.assertEqual(
      found['1e0'],
      {'difference': 0, 'interval_95': None, 'share_above_0': None},
    )

  def test_reports_of_other_images_are_refused(self):
    with self.assertRaisesRegex(UsageError, 'different images'):
      all_pairs_comparison.compare(report(1.0), report(1.0, images='b'))


if __name__ == '__main__':
  absltest.main()
