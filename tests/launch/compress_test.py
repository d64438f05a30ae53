import os
import subprocess
import sys

import chex
import numpy as np
from absl.testing import flagsaver, parameterized

import facejax
from facejax import files
from facejax.errors import UsageError
from launch import compress
from tests.conftest import REPOSITORY
from tests.inference import tiny_model
from tests.inference.tiny_model import random_faces

# Tiny: kernels of 8x8x3x8 = 1536 and 128x24 = 3072 weights, a bias and a
# statistic of 8 each.
_FLOAT_BYTES = 4 * (1536 + 3072 + 16)


class CompressTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(tiny_model.registered())
    folder = self.create_tempdir().full_path
    self.model = os.path.join(folder, 'float')
    self.output = os.path.join(folder, 'packed')
    tiny_model.write(self.model, classifier=np.ones((5, 24), np.float32))

  def _run(self, **values):
    values = {'model': self.model, 'output': self.output, **values}
    with flagsaver.flagsaver(**values):
      return compress.main([])

  @parameterized.parameters(('filter', 4 * (8 + 24)), ('tensor', 4 * 2))
  def test_the_ledger_sums_to_the_payload(self, granularity, alphas):
    result = self._run(granularity=granularity)
    self.assertEqual(result['bytes_before'], _FLOAT_BYTES)
    self.assertEqual(result['bytes_after'], (1536 + 3072) // 4 + alphas + 64)
    self.assertEqual(
      sum(row['bytes'] for row in result['ledger']), result['bytes_after']
    )
    self.assertEqual(result['bits_per_weight'], 2.0)
    self.assertEqual(result['ratio'], _FLOAT_BYTES / result['bytes_after'])
    self.assertGreater(result['bytes_on_disk'], result['bytes_after'])
    self.assertEqual(
      files.read_json(os.path.join(self.output, 'compression.json')), result
    )

  def test_the_packed_model_loads_and_says_how_it_was_made(self):
    self._run()
    model = facejax.load_model(self.output)
    self.assertTrue(model.is_packed)
    self.assertTrue(model.description['ternary']['post_training'])
    self.assertEqual(model.embed(random_faces(2)).shape, (2, 24))

  def test_rules_select_and_exempt(self):
    result = self._run(rules=['stem/.*=float', 'dense/kernel=tensor'])
    self.assertEqual(
      {r['name']: r['kind'] for r in result['ledger'] if r['weights'] > 8},
      {'params/dense/kernel': 'codes', 'params/stem/kernel': 'float'},
    )

  def test_a_packed_model_is_not_packed_again(self):
    self._run()
    with self.assertRaisesRegex(UsageError, 'packed already'):
      self._run(model=self.output, output=self.output + '2')

  def test_a_rule_that_matches_nothing_is_refused(self):
    with self.assertRaisesRegex(UsageError, "'kernl' matches no parameter"):
      self._run(rules=['kernl'])
    self.assertFalse(os.path.exists(self.output))

  def test_missing_flags_are_refused(self):
    with self.assertRaisesRegex(UsageError, '--model and --output'):
      self._run(output=None)


class CommandTest(chex.TestCase):
  def test_a_missing_model_is_one_line_and_exit_code_1(self):
    folder = self.create_tempdir().full_path
    child = subprocess.run(
      [
        sys.executable,
        '-m',
        'launch.compress',
        f'--model={folder}/no',
        f'--output={folder}/out',
      ],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=False,
    )
    self.assertEqual(child.returncode, 1)
    self.assertEqual(
      child.stderr, f'error: {folder}/no: no such model directory\n'
    )
    self.assertEqual(child.stdout, '')
    self.assertEqual(os.listdir(folder), [])
