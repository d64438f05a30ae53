import chex
import cv2
import numpy as np
from absl.testing import absltest, parameterized

from facejax.detection import windows
from tests.preparation.face_sets import draw


class WindowsTest(chex.TestCase):
  def test_rounding_keeps_squares_square(self):
    boxes = np.array([[0.4, 0.6, 10.6, 10.8], [-3.7, 5.2, -3.5, 5.4]])
    out = windows.whole_pixels(boxes)
    np.testing.assert_array_equal(out, [[0, 1, 10, 11], [-4, 5, -3, 6]])

  def test_windows_inside_are_the_pixels_themselves(self):
    photos = [draw(0, (60, 50)), draw(1, (40, 90))]
    owners, boxes = (
      np.array([1, 0]),
      np.array([[60, 3, 84, 27], [5, 30, 29, 54]]),
    )
    out = windows.cut_windows(photos, owners, boxes, 24)
    np.testing.assert_array_equal(out[0], photos[1][3:27, 60:84])
    np.testing.assert_array_equal(out[1], photos[0][30:54, 5:29])

  def test_halving_averages_four_pixels(self):
    photo = draw(2, (48, 48))
    whole = np.array([[0, 0, 48, 48]])
    out = windows.cut_windows([photo], np.array([0]), whole, 24)
    means = photo.reshape(24, 2, 24, 2, 3).mean((1, 3))
    np.testing.assert_allclose(out[0], means, atol=0.51)

  @parameterized.parameters(
    (-10, -6), (40, 30), (-10, 30), (40, -6), (13, -23), (-23, 10), (49, 39)
  )
  def test_the_outside_of_a_photo_is_black(self, x, y):
    photo = draw(3, (40, 50))
    around = cv2.copyMakeBorder(photo, 24, 24, 24, 24, cv2.BORDER_CONSTANT)
    box = np.array([[x, y, x + 24, y + 24]])
    out = windows.cut_windows([photo], np.array([0]), box, 24)
    np.testing.assert_array_equal(
      out[0], around[y + 24 : y + 48, x + 24 : x + 48]
    )

  @parameterized.parameters((-24, 0), (50, 0), (0, 40), (-900, -900), (999, 0))
  def test_windows_beyond_the_photo_are_black(self, x, y):
    photo = np.full((40, 50, 3), 255, np.uint8)
    box = np.array([[x, y, x + 24, y + 24]])
    out = windows.cut_windows([photo], np.array([0]), box, 48)
    self.assertEqual(out.max(), 0)


if __name__ == '__main__':
  absltest.main()
