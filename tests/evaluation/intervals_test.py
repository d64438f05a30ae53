"""The interval of a share."""

import math

import chex
import hypothesis
from absl.testing import absltest
from hypothesis import strategies as st

from facejax.evaluation.intervals import wilson_interval


class IntervalsTest(chex.TestCase):
  def test_wilson_interval_by_hand(self):
    # E. B. Wilson's formula at 8 of 10, z = 1.96.
    low, high = wilson_interval(0.8, 10)
    self.assertAlmostEqual(low, 0.4902, places=4)
    self.assertAlmostEqual(high, 0.9433, places=4)
    self.assertAlmostEqual(wilson_interval(1.0, 10)[1], 1.0)
    self.assertAlmostEqual(wilson_interval(0.0, 10)[0], 0.0)

  @hypothesis.settings(deadline=None, max_examples=100)
  @hypothesis.given(st.integers(1, 10**6), st.floats(0, 1))
  def test_its_ends_are_the_shares_that_the_test_just_accepts(self, count, of):
    share = round(of * count) / count
    for end in wilson_interval(share, count):
      deviation = math.sqrt(max(0.0, end * (1 - end)) / count)
      self.assertAlmostEqual(abs(share - end), 1.959964 * deviation, places=5)


if __name__ == '__main__':
  absltest.main()
