"""Sums by blocks against running sums over all pairs."""

import chex
import hypothesis
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.evaluation.all_pairs.running_weights import RunningWeights


def case(num_pairs, *, kinds=2, most=4, seed=0):
  """Weights, the naive running sums [B, n], and the generator."""
  rng = np.random.default_rng(seed)
  people = rng.integers(0, 9, (kinds, num_pairs))
  times = rng.integers(0, most, (5, 9))
  running = np.cumsum(times[:, people].prod(axis=1), axis=1)
  return RunningWeights(people, times), running, rng


class RunningWeightsTest(chex.TestCase):
  # Blocks have 256 pairs, and 64 blocks are summed at a time.
  @parameterized.parameters(1, 255, 256, 257, 1000, 64 * 256, 64 * 256 + 1)
  def test_weights_before_every_place_are_running_sums(self, num_pairs):
    weights, running, rng = case(num_pairs)
    np.testing.assert_array_equal(weights.total, running[:, -1])
    index = rng.integers(0, num_pairs + 1, (5, 40))
    index[:, :2] = 0, num_pairs
    running = np.concatenate([np.zeros((5, 1), int), running], axis=1)
    np.testing.assert_array_equal(
      weights.before(index), np.take_along_axis(running, index, axis=1)
    )

  @hypothesis.settings(deadline=None)
  @hypothesis.given(
    st.integers(1, 700), st.sampled_from([1, 2]), st.sampled_from([1, 2, 99])
  )
  def test_places_are_found_as_in_sorted_running_sums(
    self, num_pairs, kinds, most
  ):
    weights, running, rng = case(num_pairs, kinds=kinds, most=most)
    wanted = rng.integers(0, running.max() + 2, (5, 30))
    wanted[:, 0] = 0
    wanted[:, 1] = running[:, -1]
    found = weights.find(wanted)
    for row, sums, at in zip(found, running, wanted, strict=True):
      np.testing.assert_array_equal(row, np.searchsorted(sums, at, 'right'))

  def test_no_question_has_no_answer(self):
    weights, *_ = case(300)
    none = np.zeros((5, 0), np.int64)
    self.assertEqual(weights.find(none).shape, (5, 0))
    self.assertEqual(weights.before(none).shape, (5, 0))


if __name__ == '__main__':
  absltest.main()
