"""Keys sort as float32 numbers do, and counts by them miss nothing."""

import chex
import hypothesis
import hypothesis.extra.numpy as hnp
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest
from hypothesis import strategies as st

from facejax.evaluation.scoring import keys

FLOATS = st.floats(width=32, allow_nan=False)
TINY = np.finfo(np.float32).smallest_subnormal
RISING = np.array(
  [-np.inf, -3e38, -1, -2 * TINY, -TINY, 0, TINY, 1e-38, 0.5, 1, 3e38, np.inf],
  np.float32,
)


def order_keys(scores):
  return np.asarray(keys.order_keys(jnp.asarray(scores, jnp.float32)))


class KeysTest(chex.TestCase):
  def test_keys_by_hand(self):
    # 1.0 is 0x3f800000; the sign bit lies above it, and negatives are turned.
    np.testing.assert_array_equal(
      order_keys([0.0, 1.0, -1.0]), [0x80000000, 0xBF800000, 0x407FFFFF]
    )

  def test_keys_rise_with_the_scores_denormals_and_infinities_included(self):
    found = order_keys(RISING).astype(np.int64)
    self.assertTrue((np.diff(found) > 0).all())

  def test_both_zeros_are_one(self):
    self.assertEqual(*order_keys([0.0, -0.0]))

  @hypothesis.settings(deadline=None)
  @hypothesis.given(hnp.arrays(np.float32, 2, elements=FLOATS))
  def test_keys_compare_as_scores_do(self, pair):
    first, second = order_keys(pair).astype(np.int64)
    # NumPy compares denormals as they are.
    self.assertEqual(first < second, pair[0] < pair[1])
    self.assertEqual(first > second, pair[0] > pair[1])

  @hypothesis.settings(deadline=None)
  @hypothesis.given(hnp.arrays(np.float32, 8, elements=FLOATS))
  def test_scores_come_back_from_their_keys(self, scores):
    np.testing.assert_array_equal(
      keys.scores_of_keys(order_keys(scores)), scores
    )

  def test_floors_are_the_smallest_scores_of_their_classes(self):
    floors = keys.class_floors()
    numbers = np.flatnonzero(np.isfinite(floors))
    self.assertTrue((np.diff(floors[numbers]) > 0).all())
    found = keys.classes(jnp.asarray(floors[numbers]))
    np.testing.assert_array_equal(found, numbers)
    below = np.nextafter(floors[numbers[1:]], np.float32(-np.inf))
    found = keys.classes(jnp.asarray(below))
    np.testing.assert_array_equal(found, numbers[1:] - 1)

  def test_classes_are_a_512th_of_their_scores_wide(self):
    floors = keys.class_floors()
    usual = floors[(floors > 1e-6) & (floors <= 1)].astype(np.float64)
    self.assertLessEqual((np.diff(usual) / usual[:-1]).max(), 1 / 512)

  def test_counts_by_class_and_value_are_those_of_a_loop(self):
    rng = np.random.default_rng(0)
    scores = np.round(rng.normal(size=(30, 40)) * 8).astype(np.float32) / 8
    scores[:3] = rng.normal(size=(3, 40))
    counted = rng.random(scores.shape) < 0.7
    found = keys.count_classes(jnp.asarray(scores), jnp.asarray(counted))
    chosen = order_keys(scores[counted])
    expected = np.bincount(chosen >> keys.VALUE_BITS, minlength=1 << 18)
    np.testing.assert_array_equal(found, expected)
    wanted = np.array([*np.argsort(-expected)[:3], 5], np.int32)
    found = keys.count_values(
      jnp.asarray(scores), jnp.asarray(counted), jnp.asarray(wanted)
    )
    for row, number in zip(found, wanted, strict=True):
      inside = chosen[chosen >> keys.VALUE_BITS == number]
      expected = np.bincount(inside & 0x3FFF, minlength=1 << 14)
      np.testing.assert_array_equal(row, expected)

  @hypothesis.given(hnp.arrays(np.int64, 6, elements=st.integers(0, 3)))
  def test_ranks_are_found_where_they_are_counted(self, counts):
    falling = np.repeat(np.arange(6), counts)[::-1]
    ranks = range(1, len(falling) + 1)
    place, greater = keys.find_ranks(counts, ranks)
    np.testing.assert_array_equal(place, falling)
    expected = [(falling > value).sum() for value in falling]
    np.testing.assert_array_equal(greater, expected)


if __name__ == '__main__':
  absltest.main()
