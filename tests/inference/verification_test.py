"""The verdict about two photos, and the threshold it rests on."""

import json
import pathlib
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

import facejax
from facejax.data.images import encode_png
from facejax.errors import DataError, UsageError
from facejax.inference import verification
from tests.inference import tiny_model
from tests.inference.fixed_detector import FixedDetector, face_at
from tests.preparation.face_sets import draw


def thresholds(*fars, **extra):
  """As of a `model.json`; the threshold is minus the rate's logarithm / 10."""
  entries = [
    {'far': far, 'threshold': float(-np.log10(far)) / 10, 'tar': 0.5, **extra}
    for far in fars
  ]
  return {'set': 'held_out', 'at': entries}


class VerificationTestCase(chex.TestCase):
  def calibrated(self, value):
    model = tiny_model.loaded()
    self.enter_context(mock.patch.dict(model.description, thresholds=value))
    return model


class OperatingPointTest(VerificationTestCase):
  @parameterized.parameters(
    ((1e-1, 1e-2, 1e-3, 1e-4), 1e-3),
    ((1e-1, 1e-2), 1e-2),
    ((1e-5, 1e-6), 1e-5),
    ((1e-2, 1e-4), 1e-4),
    ((1e-4, 1e-2), 1e-4),
  )
  def test_the_default_is_the_calibrated_rate_nearest_to_1e_3(
    self, fars, expected
  ):
    point = verification.choose_operating_point(
      self.calibrated(thresholds(*fars))
    )
    self.assertEqual(point['far'], expected)
    self.assertAlmostEqual(point['threshold'], -np.log10(expected) / 10)
    self.assertIsNone(point['far_interval'])

  def test_a_rate_brings_its_threshold_and_its_interval(self):
    model = self.calibrated(thresholds(1e-2, 1e-3, far_interval=[2e-4, 2e-3]))
    self.assertEqual(
      verification.choose_operating_point(model, far=1e-2),
      {'threshold': 0.2, 'far': 1e-2, 'far_interval': (2e-4, 2e-3)},
    )

  @parameterized.parameters(0.35, -1, 1)
  def test_a_threshold_of_the_caller_has_no_rate(self, threshold):
    for value in (None, thresholds(1e-3)):
      self.assertEqual(
        verification.choose_operating_point(
          self.calibrated(value), threshold=threshold
        ),
        {'threshold': threshold, 'far': None, 'far_interval': None},
      )

  @parameterized.parameters(
    ({'far': 1e-3, 'threshold': 0.3}, 'leave one out'),
    ({'threshold': 1.5}, 'a threshold of 1.5: cosines are -1 to 1'),
    ({'threshold': float('nan')}, 'a threshold of nan'),
    ({'far': 1e-6}, 'rate of 1e-06; calibrated rates: 0.01, 0.001'),
    ({'far': float('nan')}, 'rate of nan; calibrated rates: 0.01, 0.001'),
  )
  def test_what_cannot_be_decided_by_is_refused(self, options, message):
    model = self.calibrated(thresholds(1e-2, 1e-3))
    with self.assertRaisesRegex(UsageError, message):
      verification.choose_operating_point(model, **options)

  @parameterized.parameters((None,), ({'set': 'x', 'at': []},))
  def test_a_model_without_thresholds_says_how_to_get_them(self, value):
    model = self.calibrated(value)
    for options in ({}, {'far': 1e-3}):
      with self.assertRaisesRegex(
        UsageError, r'no calibrated threshold: .*--threshold.*--calibration'
      ):
        verification.choose_operating_point(model, **options)


class VerifyTest(VerificationTestCase):
  def setUp(self):
    super().setUp()
    self.model = self.calibrated(thresholds(1e-3, far_interval=[0, 0.01]))
    self.images = [draw(0, (130, 150)), draw(1, (140, 120))]
    self.faces = [[face_at(9, 7)], [face_at(2, 20), face_at(300, 0)]]

  def verify(self, **options):
    return facejax.verify(
      self.model,
      *self.images,
      detector=FixedDetector(self.faces),
      **options,
    )

  def test_the_similarity_is_the_cosine_of_the_embedded_crops(self):
    verdict = self.verify()
    crops = [self.images[0][7:119, 9:121], self.images[1][20:132, 2:114]]
    a, b = self.model.embed(np.stack(crops))
    self.assertAlmostEqual(verdict.similarity, float(a @ b), places=5)
    self.assertEqual(verdict.same, verdict.similarity > 0.3)
    self.assertEqual((verdict.threshold, verdict.far), (0.3, 1e-3))
    for photo, crop in zip(verdict.photos, crops, strict=True):
      np.testing.assert_array_equal(photo.crop, crop)

  def test_same_is_strictly_above_the_threshold(self):
    similarity = self.verify().similarity
    self.assertFalse(self.verify(threshold=similarity).same)
    below = float(np.nextafter(similarity, -1))
    self.assertTrue(self.verify(threshold=below).same)

  def test_a_photo_is_as_similar_to_itself_as_can_be(self):
    self.images[1], self.faces[1] = self.images[0], self.faces[0]
    verdict = self.verify()
    self.assertAlmostEqual(verdict.similarity, 1, places=6)
    self.assertLessEqual(verdict.similarity, 1)

  def test_json_has_the_faces_and_no_arrays(self):
    value = json.loads(json.dumps(self.verify().to_json()))
    self.assertEqual(
      list(value),
      ['same', 'similarity', 'threshold', 'far', 'far_interval', 'faces'],
    )
    self.assertEqual(value['far_interval'], [0, 0.01])
    first, second = value['faces']
    self.assertEqual(first['path'], 'photo 0')
    self.assertEqual((first['num_faces'], second['num_faces']), (1, 2))
    self.assertEqual(first['box'], [9, 7, 121, 119])
    self.assertEqual(first['score'], 0.9)
    np.testing.assert_allclose(
      first['landmarks'], self.faces[0][0].landmarks, rtol=1e-6
    )

  def test_a_photo_without_a_face_is_named(self):
    self.faces[1] = []
    with self.assertRaisesRegex(DataError, 'photo 1: no face was found: give'):
      self.verify()

  def test_aligned_crops_are_taken_as_they_are(self):
    crops = tiny_model.random_faces(2)
    path = pathlib.Path(self.create_tempdir().full_path) / 'b.png'
    path.write_bytes(encode_png(crops[1]))
    verdict = facejax.verify(self.model, crops[0], path, aligned=True)
    a, b = self.model.embed(crops)
    self.assertAlmostEqual(verdict.similarity, float(a @ b), places=5)
    face = verdict.to_json()['faces'][1]
    self.assertEqual(face.pop('path'), str(path))
    self.assertEqual(set(face.values()), {None})
    np.testing.assert_array_equal(verdict.photos[1].crop, crops[1])

  def test_an_aligned_crop_of_another_size_is_refused(self):
    crop = tiny_model.random_faces(1)[0]
    with self.assertRaisesRegex(DataError, 'photo 1: 96x112 pixels, where'):
      facejax.verify(self.model, crop, crop[:, :96], aligned=True)


if __name__ == '__main__':
  absltest.main()
