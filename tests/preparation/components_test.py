import chex
import numpy as np
from absl.testing import absltest

from facejax.preparation.components import components


class ComponentsTest(chex.TestCase):
  def test_chains_join_and_the_lowest_member_names_them(self):
    pairs = np.array([[5, 4], [4, 1], [6, 6], [2, 7]])
    self.assertEqual(components(8, pairs).tolist(), [0, 1, 2, 3, 1, 1, 6, 2])

  def test_without_pairs_everything_stands_alone(self):
    found = components(3, np.empty((0, 2), np.int64))
    self.assertEqual(found.tolist(), [0, 1, 2])


if __name__ == '__main__':
  absltest.main()
