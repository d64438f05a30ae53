import dataclasses

import chex
import cv2
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.augmentation import NUM_DRAWS, Augmentation, augment
from facejax.errors import UsageError
from tests.preparation.face_sets import draw

OFF = Augmentation(mirror=0)


def shifted(image, x, y):
  """Naive displacement that repeats the border pixels."""
  rows = np.clip(np.arange(112) - y, 0, 111)
  columns = np.clip(np.arange(112) - x, 0, 111)
  return image[rows][:, columns]


def run(augmentation, seed=0, image=None):
  image = draw(0) if image is None else image
  return augment(
    image, augmentation, np.random.default_rng(seed).random(NUM_DRAWS)
  )


class AugmentationTest(chex.TestCase):
  def test_all_off_changes_nothing(self):
    self.assertTrue(OFF.is_identity)
    self.assertFalse(Augmentation().is_identity)
    self.assertFalse(dataclasses.replace(OFF, shift=1).is_identity)
    np.testing.assert_array_equal(run(OFF), draw(0))

  def test_certain_mirror_is_the_exact_mirror_image(self):
    out = run(Augmentation(mirror=1))
    np.testing.assert_array_equal(out, draw(0)[:, ::-1])

  def test_mirror_happens_as_often_as_said(self):
    image = draw(0)
    rng = np.random.default_rng(0)
    count = sum(
      not np.array_equal(
        augment(image, Augmentation(mirror=0.3), rng.random(NUM_DRAWS)), image
      )
      for _ in range(1000)
    )
    self.assertBetween(count, 250, 350)

  @parameterized.parameters(0.0, 1.0)
  def test_shifts_are_whole_pixels_and_all_occur(self, mirror):
    image = draw(0)
    base = image[:, ::-1] if mirror else image
    expected = {
      shifted(base, x, y).tobytes(): (x, y)
      for x in (-1, 0, 1)
      for y in (-1, 0, 1)
    }
    rng = np.random.default_rng(0)
    augmentation = Augmentation(mirror=mirror, shift=1)
    seen = {
      expected[augment(image, augmentation, rng.random(NUM_DRAWS)).tobytes()]
      for _ in range(100)
    }
    self.assertLen(seen, 9)

  def test_a_crop_is_a_square_of_the_image_enlarged(self):
    draws = np.full(NUM_DRAWS, 0.999)
    draws[25:] = (0.0, 0.0, 0.999, 0.0)  # half the side, lowest, leftmost
    half = dataclasses.replace(OFF, crop=0.5, crop_size=0.5)
    expected = cv2.resize(draw(0)[56:, :56], (112, 112))
    np.testing.assert_array_equal(augment(draw(0), half, draws), expected)
    draws[25] = 0.5
    np.testing.assert_array_equal(augment(draw(0), half, draws), draw(0))

  def test_half_turn_without_change_of_size(self):
    draws = np.full(NUM_DRAWS, 0.5)  # no change, but for the largest angle
    draws[5] = 1.0
    turn = dataclasses.replace(OFF, warp=1.0, warp_rotation=180.0)
    out = augment(draw(0), turn, draws)
    np.testing.assert_allclose(out, draw(0)[::-1, ::-1].astype(int), atol=1)

  @parameterized.parameters(
    'warp',
    'crop',
    'low_resolution',
    'blur',
    'color',
    'grayscale',
    'jpeg',
    'occlusion',
  )
  def test_each_change_is_random_repeatable_and_leaves_its_input(self, name):
    augmentation = dataclasses.replace(OFF, **{name: 1.0})
    self.assertFalse(augmentation.is_identity)
    image = draw(0)
    first = run(augmentation, 1, image)
    np.testing.assert_array_equal(image, draw(0))
    self.assertEqual((first.shape, first.dtype), (image.shape, np.uint8))
    self.assertFalse(np.array_equal(first, image))
    np.testing.assert_array_equal(first, run(augmentation, 1, image))
    if name != 'grayscale':
      self.assertFalse(np.array_equal(first, run(augmentation, 2, image)))

  def test_switching_one_change_on_keeps_the_others(self):
    occluded = dataclasses.replace(OFF, occlusion=1.0, shift=5)
    both = dataclasses.replace(occluded, grayscale=1.0)
    plain, gray = run(occluded, 3), run(both, 3)
    rectangle = (gray != gray[..., :1]).any(-1)
    np.testing.assert_array_equal(plain[rectangle], gray[rectangle])
    self.assertGreater(rectangle.sum(), 0)

  def test_occlusion_is_one_rectangle_no_larger_than_said(self):
    augmentation = dataclasses.replace(OFF, occlusion=1.0, occlusion_size=0.25)
    for seed in range(50):
      changed = (run(augmentation, seed) != draw(0)).any(-1)
      rows, columns = changed.any(1).sum(), changed.any(0).sum()
      self.assertLessEqual(max(rows, columns), 28)

  def test_grayscale_has_equal_channels(self):
    out = run(dataclasses.replace(OFF, grayscale=1.0))
    np.testing.assert_array_equal(out, np.repeat(out[..., :1], 3, axis=-1))

  def test_color_changes_every_equal_pixel_alike(self):
    image = np.repeat(np.arange(112, dtype=np.uint8), 112 * 3)
    image = image.reshape(112, 112, 3)
    out = run(dataclasses.replace(OFF, color=1.0), 5, image)
    self.assertTrue((out == out[:, :1, :1]).all())
    self.assertTrue((np.diff(out[:, 0, 0].astype(int)) >= 0).all())

  @parameterized.parameters(
    {'mirror': 1.5},
    {'blur': -0.1},
    {'crop_size': 0},
    {'shift': -1},
    {'jpeg_quality': 0},
    {'occlusion_size': 2.0},
  )
  def test_values_out_of_range_are_refused_by_name(self, **fields):
    with self.assertRaisesRegex(UsageError, next(iter(fields))):
      Augmentation(**fields)


if __name__ == '__main__':
  absltest.main()
