"""The benchmark of the search at a small size, as a command."""

import json
import os
import subprocess
import sys

import chex
import numpy as np
from absl.testing import absltest

from benchmarks import search_gallery, search_timing
from tests.conftest import REPOSITORY


class SearchBenchmarkTest(chex.TestCase):
  def test_it_prints_what_it_measured(self):
    output = os.path.join(self.create_tempdir().full_path, 'result.json')
    child = subprocess.run(
      [
        sys.executable,
        '-m',
        'benchmarks.search',
        '--gallery_templates=2000',
        '--search_probes=40',
        '--vector_size=64',
        '--code_widths=64,128',
        '--search_rounds=1',
        f'--output={output}',
      ],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=True,
    )
    result = json.loads(child.stdout.splitlines()[-1])
    with open(output) as file:
      self.assertEqual(json.load(file), result)
    curve = result['first_stages']['hamming_128']['recall']
    self.assertLessEqual(curve['10'], curve['100'])
    # All rows are candidates: nothing is lost.
    self.assertIsNotNone(result['first_stages']['hamming_64']['candidates'])
    self.assertIn(result['best_two_stage'], result['batch'])
    ratios = result['ratios']['two_stage_over_float']
    self.assertGreater(ratios['by_least'], 0)
    self.assertGreater(result['single']['hamming']['p99_ms'], 0)

  def test_ratios_are_against_the_fastest_form_of_the_other(self):
    seconds = {
      'ours': [1.0, 2.0, 4.0],
      'faiss': [9.0] * 3,
      'faiss_1': [6.0] * 3,
    }
    found = search_timing.ratios(seconds, 'faiss', 'ours')
    self.assertEqual(found, {'by_median': 3.0, 'by_least': 6.0})
    self.assertIsNone(search_timing.ratios(seconds, 'other', 'ours'))

  def test_mates_lie_at_genuine_cosines(self):
    faces = search_gallery.draw_faces(3000, 1000, 64, 64)
    cosines = (faces.probes * faces.gallery[faces.mates]).sum(axis=1)
    self.assertAlmostEqual(float(cosines.mean()), 0.63, delta=0.02)
    self.assertAlmostEqual(float(cosines.std()), 0.13, delta=0.02)
    np.testing.assert_allclose(
      np.linalg.norm(faces.gallery, axis=1), 1, atol=1e-5
    )
    self.assertLen(set(faces.mates.tolist()), 1000)
    codes = search_gallery.pack_signs(faces.logits_of(64))
    self.assertEqual(codes.shape, (1000, 8))


if __name__ == '__main__':
  absltest.main()
