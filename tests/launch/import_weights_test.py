"""launch.import_weights: the command as a user runs it."""

import json
import os
import subprocess
import sys

import chex
from absl.testing import absltest, flagsaver

import facejax
from facejax.errors import UsageError
from facejax.importing import opening
from launch import import_weights
from tests.conftest import REPOSITORY
from tests.importing.importer_test import STATE, checkpoint_bytes


class ImportWeightsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.output = os.path.join(self.folder, 'out')
    self.input = os.path.join(self.folder, 'net.pth')
    with open(self.input, 'wb') as file:
      file.write(checkpoint_bytes(STATE))

  def _run(self, **values):
    values = {
      'format': 'pytorch', 'input': [self.input], 'output': self.output,
      'architecture': 'lenet5', **values,
    }  # fmt: skip
    with flagsaver.flagsaver(**values):
      return import_weights.main([])

  def test_the_formats_are_those_of_the_library(self):
    flag = import_weights.flags.FLAGS['format']
    self.assertEqual(tuple(flag.parser.enum_values), opening.FORMATS)

  def test_flags_arrive_and_the_result_is_json(self):
    result = self._run(mean=100.0, scale=64.0, color_order='BGR')
    json.dumps(result, allow_nan=False)
    contract = facejax.load_model(self.output).preprocessing
    self.assertEqual((contract.mean, contract.scale), (100.0, 64.0))
    self.assertEqual(contract.color_order, 'BGR')
    self.assertEqual(result['preprocessing_from'], 'caller')
    for key in ('model_dir', 'num_parameters', 'architecture', 'fields',
                'preprocessing', 'matched', 'left_behind', 'assumptions',
                'size'):  # fmt: skip
      self.assertIn(key, result)

  def test_missing_flags_are_refused(self):
    for missing in ({'format': None}, {'input': []}, {'output': None},
                    {'input': [self.input, self.input]}):  # fmt: skip
      with self.assertRaisesRegex(UsageError, '--format, --output and --input'):
        self._run(**missing)

  def test_a_missing_file_is_one_line_and_exit_code_2(self):
    child = subprocess.run(
      [sys.executable, '-m', 'launch.import_weights', '--format=pytorch',
       f'--input={self.folder}/no.pth', f'--output={self.output}'],
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=False,
    )  # fmt: skip
    self.assertEqual(child.returncode, 2)
    self.assertEqual(
      child.stderr, f'error: {self.folder}/no.pth does not exist\n'
    )
    self.assertEqual(child.stdout, '')
    self.assertFalse(os.path.exists(self.output))


if __name__ == '__main__':
  absltest.main()
