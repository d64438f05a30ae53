"""The best template of each person, on tables small enough to read."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.search import people


class PeopleTest(chex.TestCase):
  def test_places_of_the_first_different_people(self):
    table = np.array([[3, 3, 1, 3, 2], [5, 5, 5, 5, -1], [1, 2, 3, 4, 5]])
    places, counts = people.first_of_each(table, 3)
    np.testing.assert_array_equal(places, [[0, 2, 4], [0, -1, -1], [0, 1, 2]])
    np.testing.assert_array_equal(counts, [3, 1, 3])
    values = np.arange(15.0).reshape(3, 5)
    np.testing.assert_array_equal(
      people.take(values, places, -1), [[0, 2, 4], [5, -1, -1], [10, 11, 12]]
    )

  def test_only_probes_with_too_few_people_are_searched_again(self):
    person = np.array([0] * 50 + [1, 2])  # rows 50 and 51 are the others
    orders = np.array([np.arange(52), np.arange(52)[::-1]])
    calls = []

    def find(probes, count):
      calls.append((probes.tolist(), count))
      rows = orders[probes][:, :count]
      return rows, -rows.astype(np.float32)

    rows, scores = people.best_people(
      find, person, num_probes=2, k=3, start=4, limit=52
    )
    np.testing.assert_array_equal(rows, [[0, 50, 51], [51, 50, 49]])
    np.testing.assert_array_equal(scores, -rows)
    self.assertEqual(
      calls, [([0, 1], 4), ([0], 8), ([0], 16), ([0], 32), ([0], 52)]
    )

  @parameterized.parameters(0, 1, 7)
  def test_blocks_hold_all_probes_once(self, num_probes):
    blocks = people.probe_blocks(np.arange(num_probes), 1 << 23)
    self.assertEqual(sum(map(list, blocks), []), list(range(num_probes)))
    self.assertTrue(all(len(block) <= 2 for block in blocks))


if __name__ == '__main__':
  absltest.main()
