"""Real photos of every kind: turned, crowded, empty, gray, huge."""

import os
import pathlib

import chex
import cv2
import numpy as np
import pytest
from absl.testing import absltest

import facejax
from facejax.data.images import encode_jpeg
from tests import raw_photos
from tests.inference import exif, tiny_model


@pytest.mark.usefixtures('shared')
class PhotoKindsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)
    self.lfw = raw_photos.read(
      'lfw',
      [
        'Abdullah_al-Attiyah_0001.jpg',
        'Emma_Watson_0005.jpg',
        'Kofi_Annan_0018.jpg',
      ],
    )

  def write(self, name, data):
    path = self.root / name
    path.write_bytes(data)
    return path

  def embed(self, *images):
    return facejax.embed_photos(tiny_model.loaded(), images)

  def test_a_photo_gives_one_crop_however_the_camera_was_held(self):
    (photo,) = raw_photos.read('celeba', ['006916.jpg'])
    paths = [
      self.write(
        f'{orientation}.jpg',
        exif.mark_jpeg(
          encode_jpeg(np.ascontiguousarray(stored(photo))), orientation
        ),
      )
      for orientation, stored in exif.STORED.items()
    ]
    upright, *results = self.embed(photo, *paths)
    for result in results:
      # JPEG noise alone: mirrored pixels would be 60 grey levels off.
      difference = np.abs(result.crop.astype(int) - upright.crop).mean()
      self.assertLess(difference, 2.5, result.name)
      np.testing.assert_allclose(
        result.face.landmarks, upright.face.landmarks, atol=1.5
      )

  def test_of_three_faces_the_middle_one_is_taken(self):
    alone, row = self.embed(self.lfw[1], np.hstack(self.lfw))
    self.assertEqual(row.num_faces, 3)
    np.testing.assert_allclose(
      row.face.landmarks, alone.face.landmarks + (150, 0), atol=0.5
    )

  def test_noise_and_a_plain_wall_have_no_face(self):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    wall = np.full((400, 300, 3), 190, np.uint8)
    for result in self.embed(noise, wall):
      self.assertEqual(result.num_faces, 0)
      self.assertIsNone(result.face)

  def test_a_gray_and_a_transparent_file_show_the_same_face(self):
    photo = self.lfw[0]
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    opaque = np.dstack([photo[..., ::-1], np.full(photo.shape[:2], 99, 'u1')])
    paths = [
      self.write(name, cv2.imencode('.png', pixels)[1])
      for name, pixels in (('gray.png', gray), ('alpha.png', opaque))
    ]
    plain, from_gray, from_alpha = self.embed(photo, *paths)
    np.testing.assert_array_equal(from_alpha.crop, plain.crop)
    # A tenth of the distance between the eyes, 25 pixels here.
    np.testing.assert_allclose(
      from_gray.face.landmarks, plain.face.landmarks, atol=2.5
    )

  def test_a_huge_photo_gives_the_crop_of_its_small_original(self):
    photo = raw_photos.read('celeba', ['006916.jpg'])[0]
    huge = cv2.resize(photo, (6000, 8000), interpolation=cv2.INTER_CUBIC)
    ratio = np.array([6000, 8000]) / photo.shape[1::-1]
    small, large = self.embed(photo, huge)
    self.assertEqual(large.num_faces, small.num_faces)
    eyes = np.linalg.norm(small.face.landmarks[1] - small.face.landmarks[0])
    shift = large.face.landmarks / ratio - small.face.landmarks
    self.assertLess(np.linalg.norm(shift, axis=1).mean() / eyes, 0.05)

  def test_paths_and_pixels_of_a_photo_give_the_same(self):
    name = 'Kofi_Annan_0018.jpg'
    path = os.path.join(raw_photos.FOLDER, 'lfw', name)
    pixels, file = self.embed(self.lfw[2], path)
    np.testing.assert_array_equal(pixels.embedding, file.embedding)


if __name__ == '__main__':
  absltest.main()
