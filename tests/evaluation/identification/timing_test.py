"""Timing: what is called, how often, and how totals follow from it."""

from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.evaluation.identification import timing


class TimingTest(chex.TestCase):
  @parameterized.parameters((False, 1), (True, 2))
  def test_every_image_is_one_call(self, flip, images):
    shapes = []

    def extract(batch):
      shapes.append(batch.shape)
      return {'features': np.zeros(4), 'codes': np.zeros(2, np.uint8)}

    crops = np.arange(3 * 112 * 112 * 3, dtype=np.uint32) % 251
    crops = crops.astype(np.uint8).reshape(3, 112, 112, 3)
    gallery, probes = np.eye(6, dtype=np.float32), np.eye(6)[:4]
    found = timing.time_identification(
      extract, crops, gallery, probes.astype(np.float32), flip=flip
    )
    # One round that warms up, five that count.
    self.assertEqual(shapes, 6 * 3 * [(images, 112, 112, 3)])
    self.assertEqual(found['images_per_call'], images)
    self.assertEqual((found['num_images'], found['num_probes']), (10, 4))
    self.assertEqual(found['num_timed_images'], 3)

  def test_totals_follow_from_the_medians(self):
    with mock.patch.object(timing, 'median_seconds', side_effect=[0.6, 0.002]):
      found = timing.time_identification(
        lambda images: None,
        np.zeros((3, 112, 112, 3), np.uint8),
        np.zeros((30, 8), np.float32),
        np.zeros((20, 8), np.float32),
        flip=False,
      )
    self.assertAlmostEqual(found['extraction_ms_per_image'], 200)
    self.assertAlmostEqual(found['matching_us_per_probe'], 100)
    self.assertAlmostEqual(found['extraction_s'], 0.2 * 50)
    self.assertAlmostEqual(found['matching_s'], 1e-4 * 20)
    self.assertAlmostEqual(found['total_s'], 10.002)

  def test_the_median_ignores_the_first_call_and_outliers(self):
    clock = iter([0, 1, 1, 3, 3, 4, 4, 14, 14, 15.5])
    calls = []
    with mock.patch.object(timing.time, 'perf_counter', lambda: next(clock)):
      seconds = timing.median_seconds(lambda: calls.append(0))
    self.assertEqual(seconds, 1.5)
    self.assertLen(calls, 6)

  def test_a_probe_is_matched_with_its_most_similar_image(self):
    gallery = np.eye(5, dtype=np.float32)
    score, row = timing._best_match(gallery, 0.5 * gallery[3])
    self.assertEqual((float(score), int(row)), (0.5, 3))

  def test_the_machine_is_named(self):
    named = timing.machine()
    self.assertEqual((named['backend'], named['num_devices']), ('cpu', 8))
    self.assertTrue(named['processor'])


if __name__ == '__main__':
  absltest.main()
