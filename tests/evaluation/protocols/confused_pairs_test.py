"""The pairs that a model got most wrong."""

import chex
import hypothesis
import numpy as np
from absl.testing import absltest
from hypothesis import strategies as st

from facejax.evaluation.protocols.confused_pairs import most_confused


class ConfusedPairsTest(chex.TestCase):
  def test_the_furthest_on_the_wrong_side_come_first(self):
    excess = np.array([0.5, -0.25, -0.5, 0.125, 0.75, -0.125])
    same = np.array([1, 1, 1, 0, 0, 0], bool)
    # Wrong: impostor 4 by 0.75, genuine 2 by 0.5, then 1 by 0.25, 3 by 0.125.
    self.assertEqual(
      most_confused(excess, same, count=2).tolist(), [4, 2, 1, 3]
    )

  def test_where_all_is_right_the_nearest_to_the_threshold_come(self):
    excess = np.array([0.5, 0.25, -0.25, -0.125])
    same = np.array([1, 1, 0, 0], bool)
    self.assertEqual(most_confused(excess, same, count=1).tolist(), [3, 1])

  def test_ties_keep_the_order_of_the_list(self):
    same = np.arange(6) % 2 == 0
    places = most_confused(np.zeros(6), same, count=2)
    self.assertEqual(places.tolist(), [1, 3, 0, 2])

  @hypothesis.settings(deadline=None, max_examples=50)
  @hypothesis.given(st.integers(0, 10**6), st.integers(1, 9))
  def test_it_equals_a_naive_search(self, seed, count):
    rng = np.random.default_rng(seed)
    excess, same = rng.permutation(12) - 5.3, rng.integers(0, 2, 12) > 0
    wrong = [-e if g else e for e, g in zip(excess, same, strict=True)]
    expected = []
    for kind in (True, False):
      own = sorted(
        (i for i in range(12) if same[i] == kind), key=wrong.__getitem__
      )
      expected += own[-count:]
    expected.sort(key=lambda i: -wrong[i])
    self.assertEqual(
      most_confused(excess, same, count=count).tolist(), expected
    )


if __name__ == '__main__':
  absltest.main()
