"""From photos to embeddings: groups, choice, alignment, and bad input."""

import pathlib
from unittest import mock

import chex
import cv2
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

import facejax
from facejax.data.alignment import align_face
from facejax.data.images import encode_jpeg, encode_png
from facejax.errors import DataError, UsageError
from facejax.inference import photos
from tests.inference import exif, tiny_model
from tests.inference.fixed_detector import TEMPLATE, FixedDetector, face_at
from tests.preparation.face_sets import draw


class PhotosTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)
    self.model = tiny_model.loaded()

  def write(self, name, data):
    path = self.root / name
    path.write_bytes(data)
    return path


class EmbedPhotosTest(PhotosTestCase):
  def test_results_are_the_crops_of_the_faces_in_order(self):
    images = [draw(i, (150 + i, 160)) for i in range(3)]
    faces = [face_at(3, 5), face_at(20, 8)]
    results = facejax.embed_photos(
      self.model, images, detector=FixedDetector([faces[:1], [], faces[1:]])
    )
    self.assertEqual(
      [r.name for r in results], ['photo 0', 'photo 1', 'photo 2']
    )
    self.assertEqual([r.num_faces for r in results], [1, 0, 1])
    self.assertEqual([r.face for r in results], [faces[0], None, faces[1]])
    crops = np.stack([images[0][5:117, 3:115], images[2][8:120, 20:132]])
    np.testing.assert_array_equal(results[0].crop, crops[0])
    np.testing.assert_array_equal(results[2].crop, crops[1])
    expected = self.model.embed(crops)
    for result, row in zip(results[::2], expected, strict=True):
      self.assertEqual(result.embedding.dtype, np.float32)
      np.testing.assert_allclose(result.embedding, row, atol=1e-6)
      self.assertAlmostEqual(np.linalg.norm(result.embedding), 1, places=5)
    self.assertIsNone(results[1].crop)
    self.assertIsNone(results[1].embedding)

  def test_the_face_nearest_to_the_middle_is_taken_and_all_are_counted(self):
    faces = [face_at(0, 0, score=0.99), face_at(150, 40), face_at(260, 0)]
    (result,) = facejax.embed_photos(
      self.model, [draw(0, (200, 400))], detector=FixedDetector([faces])
    )
    self.assertIs(result.face, faces[1])
    self.assertEqual(result.num_faces, 3)

  def test_landmarks_that_no_face_can_have_count_as_no_face(self):
    face = face_at(10, 10, scale=0.0)
    (result,) = facejax.embed_photos(
      self.model, [draw(0)], detector=FixedDetector([[face]])
    )
    self.assertIsNone(result.face)
    self.assertIsNone(result.embedding)
    self.assertEqual(result.num_faces, 1)

  def test_neither_groups_nor_batches_change_results(self):
    images = [draw(i, (120, 130)) for i in range(7)]
    faces = [[face_at(i, i)] for i in range(7)]
    whole = facejax.embed_photos(
      self.model, images, detector=FixedDetector(faces)
    )
    detector = FixedDetector(faces)
    parts = facejax.embed_photos(
      self.model, images, detector=detector, batch_size=3
    )
    self.assertEqual([len(batch) for batch in detector.batches], [3, 3, 1])
    for one, other in zip(whole, parts, strict=True):
      np.testing.assert_array_equal(one.crop, other.crop)
      np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-6)

  def test_large_photos_are_looked_at_in_smaller_groups(self):
    sides = [10, 10, 20, 25, 10]
    images = [np.zeros((side, side, 3), np.uint8) for side in sides]
    detector = FixedDetector([[] for _ in images])
    with mock.patch.object(photos, '_PIXELS_AT_ONCE', 600):
      facejax.embed_photos(self.model, images, detector=detector)
    self.assertEqual(
      [[side for side, _ in batch] for batch in detector.batches],
      [[10, 10, 20], [25], [10]],
    )

  def test_batches_are_filled_up_to_a_power_of_two(self):
    crop = np.zeros((112, 112, 3), np.uint8)
    found = [photos.EmbeddedPhoto('x', None, None, crop, None)] * 11
    with mock.patch.object(
      self.model, 'embed', wraps=self.model.embed
    ) as embed:
      photos.embed_found(self.model, found, batch_size=8)
      photos.embed_found(self.model, found[:6], batch_size=6)
    sizes = [len(call.args[0]) for call in embed.call_args_list]
    self.assertEqual(sizes, [8, 4, 6])

  def test_no_photos_give_no_results(self):
    detector = FixedDetector([])
    self.assertEqual(
      facejax.embed_photos(self.model, [], detector=detector), []
    )
    self.assertEmpty(detector.batches)

  def test_arrays_of_all_kinds_and_paths_of_all_kinds_are_taken(self):
    image = draw(5, (120, 120))
    path = self.write('a.png', encode_png(image))
    inputs = [
      image,
      jnp.asarray(image),
      np.ascontiguousarray(image[:, ::-1])[:, ::-1],
      path,
      str(path),
    ]
    results = facejax.embed_photos(
      self.model, inputs, detector=FixedDetector([[face_at(4, 2)]] * 5)
    )
    for result in results:
      np.testing.assert_array_equal(result.crop, image[2:114, 4:116])
    self.assertEqual(results[3].name, str(path))
    stacked = facejax.embed_photos(
      self.model,
      np.stack([image] * 2),
      detector=FixedDetector([[face_at(4, 2)]] * 2),
    )
    np.testing.assert_array_equal(stacked[1].crop, results[0].crop)

  @parameterized.parameters(
    ('photo.jpg', {}, r'takes a list of photos: \[photo\]'),
    (np.zeros((9, 9, 3), np.uint8), {}, r'takes a list of photos: \[photo\]'),
    ([], {'batch_size': 0}, 'batch_size 0: use at least 1'),
  )
  def test_wrong_calls_are_refused(self, images, options, message):
    with self.assertRaisesRegex(UsageError, message):
      facejax.embed_photos(self.model, images, **options)


class ReadPhotoTest(PhotosTestCase):
  @parameterized.parameters(
    (np.zeros((9, 9), np.uint8), r'got uint8 \[9, 9\]'),
    (np.zeros((9, 9, 4), np.uint8), r'got uint8 \[9, 9, 4\]'),
    (np.zeros((9, 9, 3), np.float32), r'got float32 \[9, 9, 3\]'),
    (np.zeros((0, 9, 3), np.uint8), r'got no pixels, \[0, 9, 3\]'),
    (b'\xff\xd8', 'got a bytes'),
    (None, 'got a NoneType'),
  )
  def test_other_values_are_refused_by_number(self, photo, message):
    with self.assertRaisesRegex(DataError, 'photo 1: expected .*' + message):
      facejax.embed_photos(
        self.model, [draw(0), photo], detector=FixedDetector([[], []])
      )

  def test_bad_files_are_refused_by_path(self):
    whole = encode_jpeg(draw(1))
    files = {
      'missing.jpg': (None, 'cannot be read (No such file or directory)'),
      'text.jpg': (b'no image', 'is no readable JPEG, PNG, BMP or WebP image'),
      'empty.jpg': (b'', 'the file is empty'),
      'cut.jpg': (whole[: len(whole) // 2], 'the JPEG file is cut short'),
    }
    for name, (data, message) in files.items():
      path = str(self.root / name)
      if data is not None:
        self.write(name, data)
      with self.assertRaises(DataError) as caught:
        facejax.embed_photos(self.model, [path])
      self.assertEqual(str(caught.exception), f'{path}: {message}')

  def test_a_folder_is_no_photo(self):
    with self.assertRaisesRegex(DataError, 'cannot be read .Is a directory'):
      photos.read_photo(self.root, str(self.root))

  def test_gray_and_transparent_files_give_rgb_pixels(self):
    image = draw(2, (20, 30))
    gray = self.write('gray.png', cv2.imencode('.png', image[..., 0])[1])
    pixels = photos.read_photo(gray, 'gray')
    np.testing.assert_array_equal(pixels, np.repeat(image[..., :1], 3, axis=-1))
    alpha = np.arange(600, dtype=np.uint8).reshape(20, 30, 1)
    transparent = np.concatenate([image[..., ::-1], alpha], axis=-1)
    path = self.write('alpha.png', cv2.imencode('.png', transparent)[1])
    np.testing.assert_array_equal(photos.read_photo(path, 'alpha'), image)

  @parameterized.parameters(*exif.STORED)
  def test_a_turned_png_is_read_upright(self, orientation):
    image = draw(3, (20, 30))
    stored = np.ascontiguousarray(exif.STORED[orientation](image))
    data = exif.mark_png(encode_png(stored), orientation)
    path = self.write('turned.png', data)
    np.testing.assert_array_equal(photos.read_photo(path, 'turned'), image)


class AlignPhotoTest(chex.TestCase):
  @parameterized.parameters(0.5, 1.0, 3.9)
  def test_faces_below_four_times_the_crop_are_cut_as_by_align_face(self, size):
    photo = draw(0, (500, 520))
    landmarks = TEMPLATE * size + (11, 7)
    np.testing.assert_array_equal(
      photos.align_photo(photo, landmarks), align_face(photo, landmarks)
    )

  @parameterized.parameters(4.1, 8.0, 9.3)
  def test_large_faces_are_cut_at_the_same_place(self, size):
    # Sides that are no multiples of the factor by which the photo is shrunk.
    rows, columns = np.mgrid[:1243, :1187]
    waves = [np.sin(rows / 90), np.cos(columns / 80), np.sin(columns / 70)]
    photo = np.round(127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8)
    landmarks = TEMPLATE * size + (40, 60)
    np.testing.assert_allclose(
      photos.align_photo(photo, landmarks).astype(int),
      align_face(photo, landmarks).astype(int),
      atol=2,
    )

  def test_noise_of_a_large_face_is_averaged_away(self):
    rng = np.random.default_rng(0)
    photo = rng.normal(127, 30, (1000, 1000, 3)).astype(np.uint8)
    landmarks = TEMPLATE * 8.5 + 20
    # A pixel of the crop covers 72 of the photo: interpolation alone averages
    # up to 4 of them, after shrinking by 4 up to 64.
    self.assertGreater(align_face(photo, landmarks).std(), 18)
    self.assertLess(photos.align_photo(photo, landmarks).std(), 6)


if __name__ == '__main__':
  absltest.main()
