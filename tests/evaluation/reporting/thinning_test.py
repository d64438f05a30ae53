"""A curve of a million points keeps what is read from it."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.evaluation.reporting import thinning
from facejax.evaluation.reporting.curves import DirCurve, RocCurve
from tests.evaluation.reporting import examples


def long_roc(count):
  rng = np.random.default_rng(0)
  far = np.sort(rng.integers(0, count + 1, count)) / count
  tar = np.sort(rng.random(count)) ** 0.1
  far[[0, -1]], tar[[0, -1]] = (0, 1), (0, 1)
  return RocCurve(far, tar, count, {})


class ThinningTest(chex.TestCase):
  @parameterized.parameters(50_000, 1_000_000)
  def test_decades_and_extremes_are_exact(self, count):
    curve = long_roc(count)
    thin = thinning.thin_roc(curve)
    self.assertLessEqual(len(thin.far), thinning.MAX_POINTS)
    self.assertGreater(len(thin.far), 1000)
    for far in (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1):
      best = curve.tar[curve.far <= far].max()
      self.assertEqual(thin.tar[thin.far <= far].max(), best)
    for end in (0, -1):
      self.assertEqual(thin.far[end], curve.far[end])
      self.assertEqual(thin.tar[end], curve.tar[end])

  def test_the_thin_curve_is_nowhere_far_from_the_whole_one(self):
    curve = long_roc(50_000)
    thin = thinning.thin_roc(curve)
    at = [
      each.tar[np.searchsorted(each.far, curve.far, side='right') - 1]
      for each in (thin, curve)
    ]
    self.assertLess(np.abs(at[0] - at[1]).max(), 0.005)
    points = set(zip(curve.far, curve.tar, strict=True))
    self.assertLessEqual(set(zip(thin.far, thin.tar, strict=True)), points)

  def test_a_short_curve_stays(self):
    thin = thinning.thin_roc(examples.roc('n'))
    np.testing.assert_array_equal(thin.tar, examples.TAR)
    self.assertEqual(thin.note, 'n')
    rates = np.linspace(0, 1, 9000)
    thin = thinning.thin_dir(DirCurve(rates, rates, 8999))
    self.assertLess(len(thin.dir), 4000)
    self.assertEqual(thin.num_impostors, 8999)


if __name__ == '__main__':
  absltest.main()
