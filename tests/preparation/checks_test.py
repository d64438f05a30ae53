import chex
from absl.testing import absltest

from facejax.preparation import checks


class OrderedMapTest(chex.TestCase):
  def test_order_is_kept_and_errors_come_through(self):
    self.assertEqual(
      list(checks.ordered_map(lambda x: x * x, range(1000))),
      [x * x for x in range(1000)],
    )
    with self.assertRaises(ZeroDivisionError):
      list(checks.ordered_map(lambda x: 1 // x, [1, 0]))

  def test_it_does_not_run_ahead_without_bound(self):
    taken = []
    results = checks.ordered_map(
      lambda x: x, (taken.append(x) or x for x in range(10_000))
    )
    next(results)
    self.assertLess(len(taken), 100)
    results.close()


if __name__ == '__main__':
  absltest.main()
