"""Models of one channel train on the same sets, seen grey."""

import chex
import numpy as np
import pytest

from configs import lenet5
from facejax.errors import UsageError
from facejax.training import loop_checks
from facejax.training.loop_setup import build_run
from tests.training.tiny_recipe import take_steps


class GreyTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set):
    self.config = lenet5.get_config('smoke')
    self.config.data.path = str(face_set)

  def test_a_model_of_one_channel_trains_on_grey_images(self):
    run = build_run(self.config)
    self.assertEqual(run.learner.preprocessing.color_order, 'GRAY')
    self.assertEqual(run.exporter.preprocessing, run.learner.preprocessing)
    kernel = run.state.params['conv1']['kernel']
    self.assertEqual(kernel.shape[2], 1)
    before = np.asarray(kernel)
    (metrics,) = take_steps(self.config, run, 1)
    self.assertGreater(metrics['gradient_norm'], 0)
    after = np.asarray(run.state.params['conv1']['kernel'])
    self.assertGreater(np.abs(after - before).max(), 0)

  def test_other_channels_are_refused(self):
    self.config.model.image_channels = 2
    message = 'model.image_channels=2: use 3 for RGB or 1 for grey'
    with self.assertRaisesRegex(UsageError, message):
      loop_checks.check_config(self.config)
