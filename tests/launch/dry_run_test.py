"""A dry run as a user types it."""

import json

import pytest
from absl.testing import parameterized

from tests.launch.train_test import TrainTestCase, run_command

RECIPE = '--config=tests/training/tiny_recipe.py'


class DryRunTest(TrainTestCase):
  def test_it_says_what_a_described_job_needs(self):
    process = run_command(
      RECIPE, '--dry_run', '--devices=16', '--identities=100001'
    )
    self.assertEqual(process.returncode, 0, process.stderr)
    (line,) = process.stdout.splitlines()
    result = json.loads(line)
    self.assertEqual((result['devices'], result['batch_size']), (16, 16))
    self.assertEqual(result['num_identities'], 100_001)
    # 6,251 rows of 16 numbers on each device, and their momentum.
    self.assertEqual(result['bytes_per_device']['head'], 6251 * 16 * 4)
    self.assertEqual(result['bytes_per_device']['head_optimizer'], 6251 * 64)
    self.assertTrue(result['fits'])
    self.assertIn('head', result['exact'])
    self.assertIn('activations', result['estimated'])
    self.assertRegex(process.stderr, r'total\s+[\d.]+ MiB  per device')

  @pytest.mark.slow
  def test_what_cannot_fit_is_refused_with_what_would(self):
    process = run_command(
      RECIPE,
      '--dry_run',
      '--devices=2',
      '--identities=1000000',
      '--device_memory=0.2',
    )
    self.assert_fails(process, 2, 'a step needs')
    message = process.stderr.splitlines()[-1]
    self.assertRegex(message, r'most is head')
    self.assertIn('--config.head.sample_rate=', message)
    self.assertIn('--devices=', message)

  @parameterized.parameters(
    (['--dry_run'], 'say --devices'),
    (['--dry_run', '--devices=2', '--workdir=x'], '--workdir means nothing to'),
    (['--dry_run', '--devices=2', '--replay_step=3'], '--replay_step means'),
    (['--devices=2', '--workdir=x'], '--devices is for --dry_run'),
    ([], '--workdir: name a folder for the run'),
    (
      ['--dry_run', '--devices=3', '--identities=5'],
      'batch_size=16 does not divide over 3 devices',
    ),
  )
  def test_flags_that_mean_nothing_are_refused(self, arguments, message):
    self.assert_fails(run_command(RECIPE, *arguments), 2, message)
