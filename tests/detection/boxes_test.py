import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.detection import boxes as boxes_lib


def random_boxes(seed, count):
  rng = np.random.default_rng(seed)
  corner = rng.uniform(0, 60, (count, 2))
  return np.concatenate([corner, corner + rng.uniform(5, 40, (count, 2))], 1)


def greedy(boxes, scores, threshold):
  """Non-maximum suppression, one box after the other."""
  kept = []
  for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
    for j in kept:
      a, b = boxes[i], boxes[j]
      width = min(a[2], b[2]) - max(a[0], b[0])
      height = min(a[3], b[3]) - max(a[1], b[1])
      common = max(width, 0) * max(height, 0)
      areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
      if common / (sum(areas) - common) > threshold:
        break
    else:
      kept.append(i)
  return kept


class BoxesTest(chex.TestCase):
  def test_overlap_by_hand(self):
    boxes = np.array(
      [[0.0, 0, 4, 4], [2, 2, 6, 6], [1, 1, 3, 3], [9, 9, 10, 10]]
    )
    out = boxes_lib.overlap(boxes)
    np.testing.assert_allclose(out[0], [1, 4 / 28, 4 / 16, 0])
    out = boxes_lib.overlap(boxes, of_smaller=True)
    np.testing.assert_allclose(out[0], [1, 4 / 16, 1, 0])

  def test_suppression_frees_what_the_suppressed_would_have_covered(self):
    boxes = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    scores = np.array([0.9, 0.8, 0.7])
    out = boxes_lib.suppress(boxes, scores, 0.3)
    np.testing.assert_array_equal(out, [0, 2])

  def test_a_box_inside_another_goes_by_the_smaller_area(self):
    boxes = np.array([[0.0, 0, 10, 10], [4, 4, 6, 6]])
    scores = np.array([0.5, 0.9])
    self.assertLen(boxes_lib.suppress(boxes, scores, 0.7), 2)
    out = boxes_lib.suppress(boxes, scores, 0.7, of_smaller=True)
    np.testing.assert_array_equal(out, [1])

  @parameterized.product(seed=(0, 1, 2, 3), threshold=(0.1, 0.5, 0.7))
  def test_suppression_equals_the_greedy_loop(self, seed, threshold):
    boxes = random_boxes(seed, 150)
    scores = np.random.default_rng(seed).integers(0, 40, 150) / 40  # with ties
    out = boxes_lib.suppress(boxes, scores, threshold)
    self.assertEqual(out.tolist(), greedy(boxes, scores, threshold))

  def test_nothing_stays_nothing(self):
    out = boxes_lib.suppress(np.zeros((0, 4)), np.zeros(0), 0.5)
    self.assertEmpty(out)

  def test_sides_move_by_fractions_of_the_box(self):
    out = boxes_lib.refine(
      np.array([[10, 20, 20, 40]]), np.array([[0.1, -0.1, 0.2, 0.5]])
    )
    np.testing.assert_allclose(out, [[11, 18, 22, 50]])

  def test_squares_keep_the_centre(self):
    out = boxes_lib.square(np.array([[10.0, 20, 20, 40], [0, 0, 6, 2]]))
    np.testing.assert_allclose(out, [[5, 20, 25, 40], [0, -2, 6, 4]])


if __name__ == '__main__':
  absltest.main()
