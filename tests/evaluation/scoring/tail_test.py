"""The tail that is gathered does not depend on how it arrives."""

import chex
import hypothesis
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest
from hypothesis import strategies as st

from facejax.evaluation.scoring import tail
from facejax.evaluation.scoring.tail import GROUP, Tail, TailCollector
from tests.evaluation.scoring.feature_sets import sort_pairs

NUM_ROWS, NUM_GROUPS = 4, 6


def found(scores, first, last):
  """What a device would keep of the groups `first` up to `last`."""
  groups = scores.reshape(NUM_ROWS, NUM_GROUPS, GROUP)[:, first:last]
  place = np.stack(np.indices(groups.shape[:2]), -1).reshape(-1, 2)
  groups = groups.reshape(-1, GROUP)
  return {
    'groups': groups[None],
    'place': place[None].astype(np.int32),
    'count': np.array([len(groups)]),
  }


class TailCollectorTest(chex.TestCase):
  @hypothesis.settings(deadline=None)
  @hypothesis.given(
    st.integers(0, 99),
    st.integers(1, 3 * GROUP),
    st.lists(st.integers(1, NUM_GROUPS - 1), max_size=4, unique=True),
    st.sampled_from([tail.LOWEST, -4.0, 0.0]),
  )
  def test_any_order_and_any_ties_give_the_sorted_tail(
    self, seed, count, cuts, floor
  ):
    shape = (NUM_ROWS, NUM_GROUPS * GROUP)
    scores = np.random.default_rng(seed).integers(-3, 4, shape)
    scores = (scores / 4).astype(np.float32)
    collector = TailCollector(count, floor)
    edges = [0, *sorted(cuts), NUM_GROUPS]
    parts = list(zip(edges, edges[1:], strict=False))
    np.random.default_rng(seed).shuffle(parts)
    for first, last in parts:
      collector.add(found(scores, first, last), first * GROUP, GROUP)
    self.assertTrue(collector.is_complete())
    rows, columns = np.indices(shape).reshape(2, -1)
    expected = sort_pairs(rows, columns, scores.ravel())
    for array, wanted in zip(collector.result(), expected, strict=True):
      np.testing.assert_array_equal(array, wanted[:count])

  def test_too_few_scores_above_a_guess_are_not_complete(self):
    scores = np.zeros((NUM_ROWS, NUM_GROUPS * GROUP), np.float32)
    scores[0, :5] = 1
    for floor, complete in ((0.5, False), (tail.LOWEST, True)):
      collector = TailCollector(6, floor)
      collector.add(found(scores, 0, NUM_GROUPS), 0, NUM_GROUPS * GROUP)
      self.assertEqual(collector.is_complete(), complete)

  def test_greater_scores_are_counted_without_ties(self):
    scores = np.array([0.9, 0.5, 0.5, 0.1], np.float32)
    places = np.zeros(4, np.int32)
    counted = Tail(places, places, scores).count_greater(
      np.array([1, 0.9, 0.5, 0.3, 0.1, 0], np.float32)
    )
    np.testing.assert_array_equal(counted, [0, 0, 1, 3, 3, 4])


class DeviceTailTest(chex.TestCase):
  def test_groups_are_appended_and_what_is_lost_is_known(self):
    scores = np.full((2, 2 * GROUP), -np.inf, np.float32)
    scores[0, 70], scores[1, 3], scores[1, 100] = 0.5, 0.75, 0.25
    kept = tail.start_tail(16, num_groups=4)
    for row in (10, 20):
      kept = tail.add_to_tail(
        kept, jnp.asarray(scores), jnp.float32(0.5), jnp.int32(row), 16
      )
    self.assertEqual((int(kept['count']), int(kept['most'])), (4, 2))
    np.testing.assert_array_equal(
      kept['place'][:4], [[10, 1], [11, 0], [20, 1], [21, 0]]
    )
    np.testing.assert_array_equal(kept['groups'][3], scores[1, :GROUP])
    # Two groups of a tile fit where sixteen are kept; eight tiles make it full.
    self.assertLessEqual(tail.room_needed(kept), tail.room_for(16))

  def test_room_is_asked_for_in_powers_of_two(self):
    self.assertEqual(tail.room_for(1), tail.room_for(4096))
    self.assertEqual(tail.room_for(4097), 8192)
    full = {'count': np.array([9000, 5]), 'most': np.array([100, 1])}
    self.assertEqual(tail.room_needed(full), 16384)
    crowded = {'count': np.array([3000]), 'most': np.array([2000])}
    self.assertEqual(tail.room_needed(crowded), 16384)

  def test_nothing_reaches_the_lowest_floor_but_scores(self):
    none = jnp.full((1, GROUP), -jnp.inf)
    kept = tail.start_tail(8, num_groups=1)
    for scores in (none, none.at[0, 5].set(-1.0)):
      kept = tail.add_to_tail(
        kept, scores, jnp.float32(tail.LOWEST), jnp.int32(0), 8
      )
    self.assertEqual(int(kept['count']), 1)


if __name__ == '__main__':
  absltest.main()
