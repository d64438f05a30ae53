"""The quickstart runs from nothing to a packed model, a table and a plot."""

import json
import os
import pathlib
import subprocess
import sys

import chex

import facejax

ROOT = pathlib.Path(__file__).resolve().parents[2]


def quickstart(output):
  environment = os.environ | {'XLA_FLAGS': ''}
  return subprocess.run(
    [
      sys.executable, '-m', 'launch.quickstart', '--smoke',
      f'--output={output}',
    ],
    cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
  )  # fmt: skip


class QuickstartTest(chex.TestCase):
  def test_from_nothing_to_a_packed_model(self):
    output = pathlib.Path(self.create_tempdir().full_path) / 'quickstart'
    result = quickstart(output)
    self.assertEqual(result.returncode, 0, result.stderr)
    lines = result.stdout.strip().splitlines()
    summary = json.loads(lines[-1])
    self.assertEqual(
      json.loads((output / 'quickstart.json').read_text()), summary
    )
    self.assertLess(summary['bytes_packed'], summary['bytes_float'])
    for name in ('accuracy_float', 'accuracy_packed'):
      self.assertBetween(summary[name], 0.4, 1.0)
    table = '\n'.join(lines[:-1])
    for word in ('float', 'packed', 'accuracy', 'images/s'):
      self.assertIn(word, table)
    self.assertTrue((output / 'roc.png').read_bytes().startswith(b'\x89PNG'))
    self.assertTrue(facejax.load_model(summary['model_dir']).is_packed)
    for step in ('1/3', '2/3', '3/3', 'train: 100%'):
      self.assertIn(step, result.stderr)

  def test_a_folder_of_something_else_is_left_alone(self):
    output = pathlib.Path(self.create_tempdir().full_path)
    (output / 'thesis.tex').write_text('years of work')
    result = quickstart(output)
    self.assertEqual(result.returncode, 2)
    self.assertIn('thesis.tex', result.stderr)
    self.assertTrue((output / 'thesis.tex').exists())
