"""Thresholds come from all pairs of held-out people, and only from them."""

import pathlib

import chex
import jax.numpy as jnp
import numpy as np

from facejax.data.records import FaceRecords
from facejax.errors import DataError
from facejax.evaluation import calibration
from tests.preparation import face_sets


class PairScoresTest(chex.TestCase):
  def test_every_pair_once(self):
    embeddings = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    scores, same = calibration.pair_scores(embeddings, np.array([0, 1, 1]))
    np.testing.assert_allclose(scores, [0.0, 0.6, 0.8], atol=1e-6)
    np.testing.assert_array_equal(same, [False, False, True])


class CalibrateTest(chex.TestCase):
  def held_out(self, **people):
    folder = pathlib.Path(self.create_tempdir().full_path)
    return FaceRecords(face_sets.write_set(folder, people))

  def test_thresholds_accept_no_more_impostors_than_they_say(self):
    held_out = self.held_out(ann=4, bob=3, eve=4)

    def embed(images):
      return jnp.asarray(images[:, ::16, ::16].reshape(len(images), -1)) - 127.0

    found = calibration.calibrate(embed, held_out, batch_size=4)
    self.assertEqual(found['num_images'], 11)
    self.assertEqual(found['num_genuine_pairs'], 6 + 3 + 6)
    self.assertEqual(found['num_impostor_pairs'], 55 - 15)
    self.assertEqual([entry['far'] for entry in found['at']], [0.1])
    low, high = found['at'][0]['far_interval']
    self.assertLessEqual(low, 0.1)
    self.assertGreaterEqual(high, 0.05)

  def test_training_people_are_refused(self):
    training = self.held_out(ann=2, bob=2)
    with self.assertRaisesRegex(DataError, 'bob and 0 more are training'):
      calibration.check_held_out(training, self.held_out(bob=2, eve=2))
    calibration.check_held_out(training, self.held_out(eve=2, sam=2))

  def test_people_with_one_image_each_cannot_calibrate(self):
    held_out = self.held_out(ann=1, bob=1)
    with self.assertRaisesRegex(DataError, 'one with several images'):
      calibration.calibrate(
        lambda images: jnp.ones((len(images), 2)), held_out, batch_size=2
      )
