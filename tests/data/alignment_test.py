import os
import zipfile

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data import alignment
from facejax.data.images import decode_image
from facejax.data.preprocessing import TEMPLATE_112
from facejax.errors import DataError, UsageError
from tests import raw_photos
from tests.conftest import SHARED
from tests.preparation.face_sets import draw

SQUARE = np.array(TEMPLATE_112)


def matrix(angle, scale, shift):
  c, s = scale * np.cos(angle), scale * np.sin(angle)
  return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def warp(transform, points):
  return points @ transform[:, :2].T + transform[:, 2]


def umeyama(source, target):
  """Umeyama's equations (34) to (43), one point set at a time."""
  a, b = source - source.mean(0), target - target.mean(0)
  covariance = sum(np.outer(q, p) for p, q in zip(a, b, strict=True)) / len(a)
  u, d, vt = np.linalg.svd(covariance)
  sign = np.diag([1.0, 1.0 if np.linalg.det(u @ vt) > 0 else -1.0])
  rotation = u @ sign @ vt
  scale = np.trace(np.diag(d) @ sign) / a.var(axis=0).sum()
  shift = target.mean(0) - scale * rotation @ source.mean(0)
  return np.column_stack([scale * rotation, shift])


class TemplateTest(chex.TestCase):
  @parameterized.parameters(
    ((112, 112), (38.2946, 51.6963)),
    ((112, 96), (30.2946, 51.6963)),
    ((96, 96), (30.2946, 43.6963)),
    ((224, 224), (76.5892, 103.3926)),
    ((224, 192), (60.5892, 103.3926)),
    ((128, 128), (46.2946, 51.6963)),
    ((256, 256), (92.5892, 103.3926)),
  )
  def test_left_eye_is_where_the_sources_put_it(self, size, left_eye):
    np.testing.assert_allclose(alignment.template(size)[0], left_eye)

  @parameterized.parameters(*alignment.TEMPLATES)
  def test_smaller_crops_are_cut_from_the_middle_of_the_square_one(self, *size):
    photo = draw(0, (150, 150))
    points = SQUARE * 0.7 + 30
    whole = alignment.align_face(photo, points)
    top, left = (112 - size[0]) // 2, (112 - size[1]) // 2
    # OpenCV rounds places to 1/32 of a pixel, so a grey level may differ.
    np.testing.assert_allclose(
      alignment.align_face(photo, points, size).astype(int),
      whole[top : top + size[0], left : left + size[1]],
      atol=2,
    )

  @parameterized.parameters(
    (0, 0),
    (100, 100),
    (96, 112),
    (112, 128),
    (192, 192),
    (56, 56),
    (-128, -128),
  )
  def test_other_sizes_are_refused(self, *size):
    with self.assertRaisesRegex(UsageError, 'no landmark template'):
      alignment.template(size)


class SimilarityTransformTest(chex.TestCase):
  def test_template_onto_itself_is_the_identity(self):
    out = alignment.similarity_transform(SQUARE, SQUARE)
    np.testing.assert_allclose(out, [[1, 0, 0], [0, 1, 0]], atol=1e-9)

  def test_quarter_turn_at_double_size_is_undone(self):
    # (x, y) -> (2 y + 10, -2 x + 300) turned the template; by hand, its
    # inverse is x = (300 - y') / 2, y = (x' - 10) / 2.
    points = np.stack([2 * SQUARE[:, 1] + 10, -2 * SQUARE[:, 0] + 300], axis=1)
    out = alignment.similarity_transform(points, SQUARE)
    np.testing.assert_allclose(out, [[0, -0.5, 150], [0.5, 0, -5]], atol=1e-9)

  @parameterized.parameters(0, 1, 2)
  def test_any_similarity_is_recovered(self, seed):
    rng = np.random.default_rng(seed)
    made = matrix(rng.uniform(-3, 3), rng.uniform(0.1, 5), rng.normal(0, 99, 2))
    points = rng.normal(0, 40, (5, 2))
    out = alignment.similarity_transform(points, warp(made, points))
    np.testing.assert_allclose(out, made, atol=1e-8)

  def test_batch_equals_the_textbook_one_by_one(self):
    rng = np.random.default_rng(0)
    points = SQUARE + rng.normal(0, 15, (6, 7, 5, 2))
    out = alignment.similarity_transform(points, SQUARE)
    self.assertEqual(out.shape, (6, 7, 2, 3))
    for i in np.ndindex(6, 7):
      np.testing.assert_allclose(out[i], umeyama(points[i], SQUARE), atol=1e-9)

  def test_never_reflects(self):
    rng = np.random.default_rng(1)
    points = rng.normal(0, 30, (500, 5, 2))
    out = alignment.similarity_transform(points, SQUARE)
    self.assertGreater(np.linalg.det(out[..., :2]).min(), 0)
    mirrored = SQUARE * (-1, 1)
    out = alignment.similarity_transform(mirrored, SQUARE)
    self.assertGreater(np.linalg.det(out[:, :2]), 0)

  def test_result_is_no_worse_than_its_neighbours(self):
    rng = np.random.default_rng(2)
    points = SQUARE + rng.normal(0, 8, (5, 2))
    out = alignment.similarity_transform(points, SQUARE)
    best = ((warp(out, points) - SQUARE) ** 2).sum()
    for angle, scale, x, y in rng.normal(0, 1e-3, (50, 4)):
      other = matrix(angle, 1 + scale, (0, 0))[:, :2] @ out
      other[:, 2] += (x, y)
      self.assertGreaterEqual(((warp(other, points) - SQUARE) ** 2).sum(), best)

  def test_collinear_points_still_fit(self):
    points = np.array([[0.0, 0], [1, 1], [2, 2], [3, 3], [4, 4]])
    out = alignment.similarity_transform(points, SQUARE)
    np.testing.assert_allclose(out, umeyama(points, SQUARE), atol=1e-9)

  def test_no_rows_give_no_matrices(self):
    out = alignment.similarity_transform(np.zeros((0, 5, 2)), SQUARE)
    self.assertEqual(out.shape, (0, 2, 3))

  @parameterized.parameters(0.0, 1.0, 33.3, 1e6)
  def test_one_point_five_times_is_refused(self, value):
    points = np.stack([SQUARE, np.full((5, 2), value)])
    with self.assertRaisesRegex(DataError, 'one point'):
      alignment.similarity_transform(points, SQUARE)

  @parameterized.parameters(np.nan, np.inf)
  def test_points_that_are_no_numbers_are_refused(self, value):
    points = SQUARE.copy()
    points[2, 1] = value
    with self.assertRaisesRegex(DataError, 'not finite'):
      alignment.similarity_transform(points, SQUARE)

  def test_points_that_fit_only_mirrored_are_refused(self):
    # Of a target as wide as high its mirror image is no better any way round.
    cross = np.array([[1.0, 0], [-1, 0], [0, 0], [0, 1], [0, -1]])
    with self.assertRaisesRegex(DataError, 'mirrored'):
      alignment.similarity_transform(cross * (-1, 1), cross)


class AlignFaceTest(chex.TestCase):
  def test_whole_shifts_copy_pixels_and_leave_the_outside_black(self):
    photo = draw(3, (150, 140))
    crop = alignment.align_face(photo, SQUARE + (40, -10))
    np.testing.assert_array_equal(crop[10:, :100], photo[:102, 40:140])
    self.assertEqual(crop[:10].max(), 0)
    self.assertEqual(crop[:, 100:].max(), 0)

  def test_real_crops_are_made_the_same_way(self):
    # lfw_112.zip holds crops of these photos by these landmarks, saved as
    # JPEG: measured, they differ by 1.44 grey levels on average. A template
    # or scale off by one pixel makes it 4 and more.
    if not raw_photos.exist():
      self.skipTest(raw_photos.MISSING)
    landmarks = raw_photos.lfw_landmarks()
    photos = raw_photos.read('lfw', list(landmarks.names))
    with zipfile.ZipFile(os.path.join(SHARED, 'faces', 'lfw_112.zip')) as crops:
      differences = []
      for name, photo in zip(landmarks.names, photos, strict=True):
        data = crops.read(f'lfw_112/{name.rpartition("_")[0]}/{name}')
        crop = alignment.align_face(photo, landmarks.find(name))
        expected = decode_image(data, name).astype(int)
        differences.append(np.abs(crop - expected).mean())
    self.assertLess(np.mean(differences), 1.6)
    self.assertLess(np.max(differences), 2.5)


if __name__ == '__main__':
  absltest.main()
