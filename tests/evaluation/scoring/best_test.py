"""The best of every row are those of a full sort, however they arrive."""

import chex
import hypothesis
import numpy as np
from absl.testing import absltest
from hypothesis import strategies as st

from facejax.evaluation.scoring.best import BestOfRows


def greatest(scores, count):
  """The `count` greatest of each row, sorted; -inf where there are fewer."""
  room = np.full((len(scores), count), -np.inf, np.float32)
  joined = np.concatenate([scores, room], axis=1)
  return np.sort(joined, axis=1)[:, ::-1][:, :count]


def draw(rng, shape):
  """Scores of which many are equal."""
  return (rng.integers(-3, 4, shape) / 4).astype(np.float32)


class BestOfRowsTest(chex.TestCase):
  def check(self, best, scores):
    expected = greatest(scores, best.scores.shape[1])
    found = np.sort(best.scores, axis=1)[:, ::-1]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(best.floors, expected[:, -1])

  def test_two_calls_of_two_rows(self):
    best = BestOfRows(2, 2)
    best.add_whole(np.array([[[0.5, 0.25], [0.125, -1]]], np.float32))
    # Row 0 is spoken of twice; 0.25 is its floor, and no gain.
    groups = [[0.25, 0.75], [0.5, -1], [-0.5, -2]]
    best.add_groups(np.array([0, 0, 1]), np.array(groups, np.float32))
    found = np.sort(best.scores, axis=1)
    np.testing.assert_array_equal(found, [[0.5, 0.75], [-0.5, 0.125]])
    np.testing.assert_array_equal(best.floors, [0.5, -0.5])

  def test_before_any_call_every_score_counts(self):
    best = BestOfRows(3, 2)
    self.check(best, np.zeros((3, 0), np.float32))
    best.add_groups(np.zeros(0, np.int32), np.zeros((0, 4), np.float32))
    self.check(best, np.zeros((3, 0), np.float32))

  @hypothesis.settings(deadline=None)
  @hypothesis.given(
    st.integers(0, 999),
    st.integers(1, 5),
    st.integers(1, 9),
    st.lists(st.booleans(), max_size=4),
  )
  def test_any_calls_give_what_a_sort_gives(self, seed, num_rows, count, whole):
    rng = np.random.default_rng(seed)
    best = BestOfRows(num_rows, count)
    seen = [np.zeros((num_rows, 0), np.float32)]
    for is_whole in whole:
      if is_whole:
        # Two devices; the last row is padding.
        scores = draw(rng, (2, num_rows + 1, 3))
        best.add_whole(scores)
        seen += [*scores[:, :num_rows]]
      else:
        rows = np.repeat(np.arange(num_rows), 3)
        order = rng.permutation(len(rows))
        groups = draw(rng, (len(rows), 2))
        best.add_groups(rows[order], groups[order])
        seen.append(groups.reshape(num_rows, -1))
      self.check(best, np.concatenate(seen, axis=1))


if __name__ == '__main__':
  absltest.main()
