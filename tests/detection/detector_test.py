"""The whole cascade, on drawn and on real photos."""

import unittest

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.detection import Face, FaceDetector, cascade, choose_face
from facejax.errors import UsageError
from tests import raw_photos
from tests.preparation.face_sets import draw


def face(x1, y1, x2, y2, score=0.9):
  box = (float(x1), float(y1), float(x2), float(y2))
  return Face(box, score, np.zeros((5, 2), np.float32))


class ChooseFaceTest(chex.TestCase):
  def test_the_face_nearest_to_the_centre_counts_not_the_best(self):
    faces = [face(0, 0, 80, 80, 0.99), face(80, 40, 120, 80, 0.8)]
    self.assertIs(choose_face(faces, (100, 200)), faces[1])

  def test_width_and_height_are_not_confused(self):
    faces = [face(40, 90, 60, 110), face(90, 40, 110, 60)]
    self.assertIs(choose_face(faces, (200, 100)), faces[0])
    self.assertIs(choose_face(faces, (100, 200)), faces[1])

  def test_no_faces_make_none(self):
    self.assertIsNone(choose_face([], (10, 10)))


class CandidatesTest(chex.TestCase):
  def test_suppression_keeps_photos_apart(self):
    box = [0, 0, 10, 10]
    found = cascade.Candidates.of([0, 0, 2], [box] * 3, [0.5, 0.9, 0.1])
    out = found.suppressed(0.5)
    self.assertEqual(out.owners.tolist(), [0, 2])
    np.testing.assert_allclose(out.scores, [0.9, 0.1])

  def test_joining_sorts_by_photo(self):
    one = cascade.Candidates.of([1, 2], [[0, 0, 1, 1]] * 2, [0.1, 0.2])
    two = cascade.Candidates.of([0, 1], [[0, 0, 1, 1]] * 2, [0.3, 0.4])
    out = cascade.Candidates.joined([one, two])
    self.assertEqual(out.owners.tolist(), [0, 1, 1, 2])
    np.testing.assert_allclose(out.scores, [0.3, 0.1, 0.4, 0.2])

  def test_nothing_joined_and_suppressed_is_nothing(self):
    self.assertEmpty(cascade.Candidates.joined([]).suppressed(0.5))


class FaceDetectorTest(chex.TestCase):
  @parameterized.parameters(
    ({'min_face_size': 11}, 'min_face_size 11'),
    ({'min_face_size': float('nan')}, 'min_face_size nan'),
    ({'min_face_fraction': -0.1}, 'min_face_fraction'),
    ({'scale_factor': 1.0}, 'scale_factor 1.0'),
    ({'scale_factor': 0.0}, 'scale_factor 0.0'),
    ({'thresholds': (0.6, 1.0, 0.7)}, 'thresholds'),
  )
  def test_bad_settings_are_refused(self, settings, message):
    with self.assertRaisesRegex(UsageError, message):
      FaceDetector(**settings)

  def test_photos_without_faces_have_none(self):
    photos = [
      np.zeros((1, 1, 3), np.uint8),
      np.zeros((11, 500, 3), np.uint8),
      np.full((64, 64, 3), 127, np.uint8),
      draw(0, (150, 150)),
    ]
    self.assertEqual(FaceDetector().detect(photos), [[], [], [], []])

  def test_no_photos_give_no_results(self):
    self.assertEqual(FaceDetector().detect([]), [])


class RealPhotosTest(chex.TestCase):
  """What the detector is asked for on the photos of ../shared."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    if not raw_photos.exist():
      raise unittest.SkipTest(raw_photos.MISSING)
    cls.landmarks = raw_photos.lfw_landmarks()
    cls.lfw = raw_photos.read('lfw', list(cls.landmarks.names))
    cls.celeba = raw_photos.read('celeba')
    cls.detector = FaceDetector()
    faces = cls.detector.detect(cls.lfw + cls.celeba)
    chosen = [
      choose_face(found, photo.shape[:2])
      for found, photo in zip(faces, cls.lfw + cls.celeba, strict=True)
    ]
    cls.faces, cls.chosen = faces, chosen

  def errors(self):
    """(landmark - published) / eye distance, [n, 5, 2] of the found ones."""
    published = self.landmarks.points
    eyes = np.linalg.norm(published[:, 1] - published[:, 0], axis=1)
    return np.stack(
      [
        (face.landmarks - points) / distance
        for face, points, distance in zip(
          self.chosen[:60], published, eyes, strict=True
        )
        if face is not None
      ]
    )

  def test_faces_of_lfw_are_found(self):
    # Measured: 60. At least 58 are asked for.
    self.assertGreaterEqual(sum(f is not None for f in self.chosen[:60]), 60)

  def test_faces_of_celeba_are_found(self):
    # Measured: 40. At least 38 are asked for.
    self.assertGreaterEqual(sum(f is not None for f in self.chosen[60:]), 40)

  def test_landmarks_are_within_a_twentieth_of_the_eye_distance(self):
    # Measured: median 0.0335, worst 0.135. At most 0.05 is asked for.
    distances = np.linalg.norm(self.errors(), axis=-1).mean(axis=1)
    self.assertLess(np.median(distances), 0.036)
    self.assertLess(distances.max(), 0.15)

  def test_landmarks_are_not_shifted(self):
    # Half a pixel of these photos is 0.02 of the eye distance.
    shift = self.errors().mean(axis=(0, 1))
    np.testing.assert_allclose(shift, 0, atol=0.008)

  def test_boxes_hold_their_landmarks(self):
    for face in self.chosen:
      low, high = np.array(face.box).reshape(2, 2)
      self.assertTrue(((face.landmarks > low) & (face.landmarks < high)).all())
      self.assertLess(face.landmarks[0, 0], face.landmarks[1, 0])

  def test_best_faces_come_first(self):
    for faces in self.faces:
      scores = [face.score for face in faces]
      self.assertEqual(scores, sorted(scores, reverse=True))

  def test_company_changes_nothing(self):
    (alone,) = self.detector.detect(self.lfw[7:8])
    self.assertLen(alone, len(self.faces[7]))
    np.testing.assert_allclose(
      alone[0].landmarks, self.faces[7][0].landmarks, atol=1e-3
    )

  def test_faces_move_and_grow_with_the_photo(self):
    photo = self.lfw[3]
    large = np.repeat(np.repeat(photo, 2, axis=0), 2, axis=1)
    moved = np.pad(large, ((30, 0), (0, 50), (0, 0)))
    (faces,) = self.detector.detect([moved])
    found = choose_face(faces, moved.shape[:2]).landmarks
    expected = 2 * self.chosen[3].landmarks + (0.5, 30.5)
    eyes = np.linalg.norm(expected[1] - expected[0])
    self.assertLess(np.abs(found - expected).max() / eyes, 0.08)

  def test_photos_of_any_size_compile_nothing_new(self):
    compiled = cascade._apply._cache_size()
    self.detector.detect([self.celeba[0][:137, :151], self.lfw[0][5:, 9:]])
    self.assertEqual(cascade._apply._cache_size(), compiled)


if __name__ == '__main__':
  absltest.main()
