"""The benchmark of MegaFace at a small size, as a command."""

import json
import os
import subprocess
import sys

import chex
from absl.testing import absltest

from tests.conftest import REPOSITORY


class MegaFaceBenchmarkTest(chex.TestCase):
  def test_it_agrees_with_numpy_and_prints_what_it_measured(self):
    output = os.path.join(self.create_tempdir().full_path, 'result.json')
    child = subprocess.run(
      [
        sys.executable,
        '-m',
        'benchmarks.megaface',
        '--distractor_count=2000',
        '--probe_count=176',
        '--dim=32',
        f'--output={output}',
      ],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=True,
    )
    result = json.loads(child.stdout.splitlines()[-1])
    self.assertEqual(result['numpy']['cmc_error'], 0)
    self.assertEqual(result['numpy']['tar_error'], 0)
    self.assertLess(result['numpy']['threshold_error'], 1e-6)
    self.assertGreater(result['pairs_per_second'], 0)
    self.assertGreater(result['peak_gigabytes'], 0.05)
    self.assertEqual(
      set(result['rank1_by_distractors']), {'10', '100', '1000', '2000'}
    )
    with open(output) as file:
      self.assertEqual(json.load(file), result)


if __name__ == '__main__':
  absltest.main()
