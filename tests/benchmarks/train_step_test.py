import dataclasses
import json
import subprocess
import sys

import chex
import pytest
from absl.testing import absltest

from benchmarks import settings, train_step, train_step_sides
from benchmarks.reporting import UnavailableError
from facejax.errors import UsageError
from tests.conftest import REPOSITORY

SMALL = settings.Settings(
  batch_sizes=(8,),
  precision='float32',
  repeats=1,
  device='cpu',
  sides=('facejax', 'torch'),
  width=0.125,
  image_size=32,
  num_stages=1,
)


class TrainStepTest(chex.TestCase):
  def test_both_sides_begin_at_the_same_loss(self):
    pytest.importorskip('torch')
    batch = train_step_sides._measure_batch(SMALL, 8)
    sides = batch['sides']
    self.assertAlmostEqual(
      sides['facejax']['first_loss'], sides['torch']['first_loss'], 3
    )
    self.assertEqual(set(batch['facejax_over']), {'torch'})

  def test_one_image_cannot_be_trained_on(self):
    wanted = dataclasses.replace(SMALL, batch_sizes=(1, 8))
    with self.assertRaisesRegex(UsageError, 'BatchNorm'):
      train_step_sides.measure(wanted)

  def test_a_batch_that_devices_cannot_share_runs_on_one(self):
    # The suite has eight.
    self.assertEqual(train_step_sides._num_devices(SMALL, 8), 8)
    self.assertEqual(train_step_sides._num_devices(SMALL, 12), 1)

  def test_paths_are_measured_on_demand(self):
    self.assertFalse(set(train_step.PATHS) & set(train_step.SIDES))
    self.assertEqual(
      set(train_step_sides.OURS) - set(train_step.PATHS),
      {'facejax', 'facejax_one_device'},
    )
    with self.assertRaisesRegex(UnavailableError, 'same as facejax'):
      wanted = settings.Settings(device='gpu', precision='float32')
      inputs = train_step_sides.ours.TrainInput({}, None, [0, 0], None)
      train_step_sides._make_side('facejax_one_device', wanted, inputs)

  @pytest.mark.slow
  def test_the_script_prints_one_json_object(self):
    process = subprocess.run(
      [
        *(sys.executable, '-m', 'benchmarks.train_step'),
        *('--threads=1', '--batch_sizes=4', '--repeats=1', '--profile'),
        *('--width=0.125', '--input_size=32', '--device=cpu'),
        '--sides=facejax,facejax_shifts,facejax_grouped',
      ],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(process.returncode, 0, process.stderr)
    result = json.loads(process.stdout)
    (batch,) = result['results'][0]['batches']
    self.assertEqual(
      set(batch['sides']), {'facejax', 'facejax_shifts', 'facejax_grouped'}
    )
    self.assertTrue(batch['profile'])
    self.assertIn('--width=0.125', result['command'])


if __name__ == '__main__':
  absltest.main()
