"""Columns are cut anew, none lost, doubled or moved."""

import chex
import hypothesis
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.evaluation.scoring.blocks import cut


def make_blocks(sizes):
  """Blocks of these sizes; features and labels say the column's place."""
  place = np.arange(sum(sizes))
  features = np.stack([place, -place], axis=1).astype(np.float32)
  edges = np.cumsum(sizes)[:-1] if sizes else []
  return [*zip(np.split(features, edges), np.split(place, edges), strict=True)][
    : len(sizes)
  ]


class CutTest(chex.TestCase):
  def check(self, sizes, width):
    """Returns places and sizes of what was cut, after a look into it."""
    found = list(cut(iter(make_blocks(sizes)), width))
    for place, (features, labels) in found:
      expected = np.arange(place, place + len(labels))
      np.testing.assert_array_equal(labels, expected)
      np.testing.assert_array_equal(
        features, np.stack([expected, -expected], axis=1)
      )
    return [(place, len(block[1])) for place, block in found]

  @parameterized.parameters(
    ([], []),
    ([0], []),
    ([0, 0], []),
    ([2], [(0, 2)]),
    ([4], [(0, 4)]),
    ([8, 4], [(0, 4), (4, 4), (8, 4)]),
    ([1, 3], [(0, 4)]),
    ([3, 3, 3], [(0, 4), (4, 4), (8, 1)]),
    ([0, 5, 0, 0, 4, 0], [(0, 4), (4, 4), (8, 1)]),
    ([1, 1, 1, 1, 1], [(0, 4), (4, 1)]),
    ([11], [(0, 4), (4, 4), (8, 3)]),
  )
  def test_blocks_of_four(self, sizes, expected):
    self.assertEqual(self.check(sizes, 4), expected)

  @hypothesis.settings(deadline=None)
  @hypothesis.given(st.lists(st.integers(0, 13), max_size=8), st.integers(1, 9))
  def test_any_sizes_and_any_width(self, sizes, width):
    total = sum(sizes)
    expected = [
      (place, min(width, total - place)) for place in range(0, total, width)
    ]
    self.assertEqual(self.check(sizes, width), expected)

  def test_no_more_is_read_than_the_next_block_needs(self):
    blocks = iter(make_blocks([3, 3, 3]))
    next(cut(blocks, 4))
    self.assertLen(list(blocks), 1)


if __name__ == '__main__':
  absltest.main()
