"""Keys sort as spec 5 says; walks along hand-made orders."""

import chex
import numpy as np
from absl.testing import absltest

from facejax.evaluation.two_stage import running_best


class RunningBestTest(chex.TestCase):
  def test_keys_sort_by_score_and_then_by_the_lower_column(self):
    scores = np.array([[0.5, -0.25, -0.0, 0.5, 0.0, 1e-40, -1, 1]], np.float32)
    keys = running_best.make_keys(scores)
    order = np.argsort(-keys[0])
    np.testing.assert_array_equal(order, [7, 0, 3, 5, 2, 4, 1, 6])
    np.testing.assert_array_equal(
      running_best.columns_of_keys(keys), [np.arange(8)]
    )
    parts = running_best.scores_part(keys)[0]
    self.assertEqual(parts[0], parts[3])
    self.assertEqual(parts[2], parts[4])
    self.assertLess(parts[2], parts[5])

  def test_a_walk_by_hand(self):
    # By cosine 3 > 0 = 2 > 1; the mate is 2, and the codes say 1, 2, 0, 3.
    scores = np.array([[0.5, 0.25, 0.5, 0.75]], np.float32)
    order = np.array([[1, 2, 0, 3]])
    found = running_best.walk(
      order,
      np.array([[-1, -1, -2, -5]]),
      running_best.make_keys(scores),
      np.array([[False, False, True, False]]),
    )
    np.testing.assert_array_equal(found.places, [2])
    np.testing.assert_array_equal(found.right, [[False, True, False, False]])
    np.testing.assert_array_equal(found.right_strict, found.right)
    np.testing.assert_array_equal(
      running_best.columns_of_keys(found.best), [[1, 2, 0, 3]]
    )
    self.assertFalse(found.alone[0])
    self.assertFalse(found.alone_strict[0])

  def test_ties_go_to_the_lower_row_or_are_errors(self):
    scores = np.array([[0.5, 0.5]], np.float32)
    for order, at_once in (([[0, 1]], True), ([[1, 0]], False)):
      found = running_best.walk(
        np.array(order),
        np.array([[-3, -3]]),
        running_best.make_keys(scores),
        np.array([[True, False]]),
      )
      np.testing.assert_array_equal(found.right, [[at_once, True]])
      np.testing.assert_array_equal(found.right_strict, [[at_once, False]])
      self.assertEqual(found.alone[0], at_once)
      self.assertFalse(found.alone_strict[0])

  def test_a_gallery_of_mates_alone_is_always_right(self):
    found = running_best.walk(
      np.array([[1, 0]]),
      np.array([[0.5, 0.5]], np.float32),
      running_best.make_keys(np.array([[0.5, 0.25]], np.float32)),
      np.array([[True, True]]),
    )
    self.assertTrue(found.right.all() and found.right_strict.all())
    self.assertTrue(found.alone[0] and found.alone_strict[0])


if __name__ == '__main__':
  absltest.main()
