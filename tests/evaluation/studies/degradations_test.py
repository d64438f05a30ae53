"""Damage to crops against NumPy that does the same by hand."""

from concurrent.futures import ThreadPoolExecutor

import chex
import cv2
import numpy as np
from absl.testing import absltest, parameterized

from facejax.evaluation.studies.degradations import DAMAGES, damage, places
from tests.preparation.face_sets import draw

KINDS = [*DAMAGES]


def noise(height=24, width=20, seed=0):
  """Pixels without any order."""
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def psnr(image, other):
  """Peak signal-to-noise ratio, dB."""
  error = np.square(image.astype(np.float64) - other).mean()
  return 10 * np.log10(255**2 / error)


class DegradationsTest(chex.TestCase):
  @parameterized.parameters(0.5, 1, 2)
  def test_blur_is_a_convolution_with_a_gaussian(self, sigma):
    image, radius = noise(), round(3 * sigma)
    weights = np.exp(-np.square(np.arange(-radius, radius + 1) / sigma) / 2)
    weights /= weights.sum()
    wide = np.pad(
      image.astype(np.float64), ((radius,) * 2, (radius,) * 2, (0, 0)), 'edge'
    )
    for axis in (0, 1):
      wide = np.apply_along_axis(np.convolve, axis, wide, weights, 'valid')
    # OpenCV computes with weights of eight bits.
    found = damage(image, 'blur', sigma)
    self.assertLessEqual(np.abs(found - wide).max(), 1.5)
    self.assertLess(np.abs(found - wide).mean(), 0.4)

  def test_downsampling_takes_means_and_interpolates(self):
    image = noise(32, 32)
    means = image.reshape(8, 4, 8, 4, 3).mean((1, 3))
    small = cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA)
    self.assertLessEqual(np.abs(small - means).max(), 0.5)
    found = damage(image, 'downsample', 4)
    self.assertEqual(found.shape, image.shape)
    # Keys' cubic of a = -3/4 at the four distances, along both axes.
    places = (np.arange(32) + 0.5) / 4 - 0.5
    weights = np.zeros((32, 8))
    for row, place in enumerate(places):
      for near in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
        x, a = abs(place - near), -0.75
        if x <= 1:
          weight = (a + 2) * x**3 - (a + 3) * x**2 + 1
        else:
          weight = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        weights[row, np.clip(near, 0, 7)] += weight
    expected = np.einsum('ri,ijc,sj->rsc', weights, small, weights)
    expected = np.clip(expected, 0, 255)
    self.assertLessEqual(np.abs(found - expected).max(), 1)

  @parameterized.parameters((112, 3, 37), (112, 6, 19), (112, 8, 14), (4, 9, 1))
  def test_downsampling_keeps_this_many_pixels(self, side, factor, expected):
    image = noise(side, side)
    found = damage(image, 'downsample', factor)
    again = cv2.resize(
      cv2.resize(image, (expected,) * 2, interpolation=cv2.INTER_AREA),
      (side, side),
      interpolation=cv2.INTER_CUBIC,
    )
    np.testing.assert_array_equal(found, again)

  @parameterized.parameters(0.1, 0.5, 1.5, 3)
  def test_brightness_multiplies_and_cuts_off(self, factor):
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    found = damage(image, 'brightness', factor).ravel()[::3]
    expected = [min(255, round(value * factor)) for value in range(256)]
    self.assertEqual(found.tolist(), expected)

  @parameterized.parameters(0.05, 0.25, 0.5, 1)
  def test_occlusion_covers_the_share_with_one_square(self, share):
    image = np.zeros((112, 112, 3), np.uint8)
    found = damage(image, 'occlusion', share, name='a.jpg')
    rows, columns = np.nonzero(found[:, :, 0])
    side = round(112 * share**0.5)
    self.assertLen(rows, side * side)
    self.assertEqual(np.ptp(rows) + 1, side)
    self.assertEqual(np.ptp(columns) + 1, side)
    self.assertEqual(found.max(), 128)

  def test_larger_squares_cover_smaller_ones_and_places_differ(self):
    image = np.zeros((112, 112, 3), np.uint8)
    corners = set()
    for number in range(50):
      covered = [
        damage(image, 'occlusion', share, name=f'{number}.jpg')[:, :, 0] > 0
        for share in DAMAGES['occlusion'].levels
      ]
      for small, large in zip(covered[:-1], covered[1:], strict=True):
        self.assertTrue(large[small].all())
      corners.add(tuple(np.argwhere(covered[0])[0]))
    self.assertGreater(len(corners), 40)

  def test_a_mask_covers_the_lowest_rows(self):
    image = noise(112, 112)
    found = damage(image, 'mask', 0.25)
    np.testing.assert_array_equal(found[:84], image[:84])
    self.assertTrue((found[84:] == 128).all())

  def test_jpeg_is_that_of_the_quality(self):
    image = draw(0)
    _, data = cv2.imencode(
      '.jpg',
      cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
      [cv2.IMWRITE_JPEG_QUALITY, 20],
    )
    expected = cv2.cvtColor(
      cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
    )
    np.testing.assert_array_equal(damage(image, 'jpeg', 20), expected)
    # Colours at half the resolution: two sampling factors of 2 in the header.
    frame = bytes(data).index(b'\xff\xc0')
    self.assertEqual(data[frame + 11], 0x22)

  @parameterized.parameters(*KINDS)
  def test_more_of_it_is_never_better(self, kind):
    image, shown = draw(0), DAMAGES[kind]
    levels = [*shown.levels]
    self.assertEqual(levels, sorted(levels))
    quality = [
      psnr(image, damage(image, kind, level, name='a')) for level in levels
    ]
    if kind == 'jpeg':
      quality = quality[::-1]
    if kind == 'brightness':
      darker = sum(level < 1 for level in levels)
      self.assertEqual(quality[:darker], sorted(quality[:darker]))
      quality = quality[darker:]
    self.assertEqual(quality, sorted(quality, reverse=True))

  @parameterized.parameters(*KINDS)
  def test_the_neutral_level_gives_the_image_itself(self, kind):
    image, neutral = draw(0), DAMAGES[kind].neutral
    self.assertNotIn(neutral, DAMAGES[kind].levels)
    if neutral is None:
      self.assertEqual(kind, 'jpeg')
    else:
      self.assertIs(damage(image, kind, neutral), image)

  @parameterized.parameters(*KINDS)
  def test_threads_give_the_same_and_leave_the_image_alone(self, kind):
    images = [draw(person) for person in range(4)]
    kept = [image.copy() for image in images]
    level = DAMAGES[kind].levels[1]

    def run(number):
      return damage(images[number % 4], kind, level, name=str(number % 4))

    with ThreadPoolExecutor(4) as pool:
      found = list(pool.map(run, range(16)))
    for number, image in enumerate(found):
      np.testing.assert_array_equal(image, run(number))
      self.assertEqual(image.dtype, np.uint8)
      self.assertEqual(image.shape, (112, 112, 3))
    chex.assert_trees_all_equal(images, kept)

  def test_places_depend_on_name_and_seed_only(self):
    chex.assert_trees_all_equal(places('a', seed=1), places('a', seed=1))
    self.assertNotEqual(places('a')[0], places('b')[0])
    self.assertNotEqual(places('a')[0], places('a', seed=1)[0])
    # Fixed for good: reports of different versions can be compared.
    np.testing.assert_allclose(
      places('A/A_0001.jpg'), [0.9537337908730789, 0.03755658175305254]
    )
    places('a name that is no text \udcff')


if __name__ == '__main__':
  absltest.main()
