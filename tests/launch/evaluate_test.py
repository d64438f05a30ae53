"""launch.evaluate: the command as a user runs it."""

import json
import os
import subprocess
import sys
from unittest import mock

import chex
import pytest
from absl.testing import absltest, flagsaver

import facejax
from facejax.evaluation import modes, protocols
from launch import evaluate, evaluation_flags
from tests.conftest import REPOSITORY
from tests.evaluation import faces, hashed_model
from tests.inference import tiny_model


def run(*arguments):
  """Runs the command in a process of its own."""
  return subprocess.run(
    [sys.executable, '-m', 'launch.evaluate', *arguments],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )


class EvaluateTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = faces.write_folder(self.create_tempdir().full_path, 'data')
    self.data = os.path.join(self.root, 'data')
    faces.write_lfw_list(os.path.join(self.root, 'lfw_pairs.txt'))

  def test_flags_list_what_the_library_has(self):
    self.assertCountEqual(
      evaluate.flags.FLAGS['protocol'].parser.enum_values,
      list(protocols.PROTOCOLS),
    )
    self.assertEqual(
      set(evaluation_flags.options()),
      {o for p in protocols.PROTOCOLS.values() for o in p.options},
    )
    self.assertEqual(
      evaluate.flags.FLAGS['mode'].parser.enum_values,
      [*modes.MODES, protocols.ALL_MODES],
    )

  def test_a_model_is_evaluated_beside_its_directory(self):
    model = os.path.join(self.root, 'model')
    loaded = mock.Mock(return_value=faces.PixelModel())
    with (
      mock.patch.dict(vars(facejax), load_model=loaded),
      flagsaver.flagsaver(
        model=model,
        data=self.data,
        mode='sphereface',
        batch_size=8,
        output=None,  # another script of the process may have a default
      ),
    ):
      result = evaluate.main([])
    loaded.assert_called_once_with(model)
    self.assertEqual(result['output'], f'{model}-evaluation/lfw_sphereface')
    for key in (
      'protocol',
      'accuracy',
      'std',
      'tar_at_far',
      'auc',
      'eer',
      'mode',
      'transductive',
      'num_pairs',
      'preprocessing',
      'thresholds',
      'packed',
      'model',
    ):
      self.assertIn(key, result)
    with open(os.path.join(result['output'], 'results.json')) as file:
      self.assertEqual(json.load(file)['accuracy'], result['accuracy'])

  def test_a_model_with_a_hash_layer_is_searched_in_two_stages(self):
    self.enter_context(tiny_model.registered())
    model = hashed_model.write(os.path.join(self.root, 'hashed'))
    with flagsaver.flagsaver(
      model=model,
      data=self.data,
      protocol='lfw_two_stage',
      candidates=4,
      timing=True,
      batch_size=8,
      output=None,
    ):
      result = evaluate.main([])
    self.assertEqual(
      result['output'], f'{model}-evaluation/lfw_two_stage_plain'
    )
    self.assertEqual((result['hash_bits'], result['mode']), (16, 'plain'))
    self.assertEqual(result['two_stage_hamming']['candidates'], 4)
    self.assertIs(result['equals_float_search'], True)
    self.assertEqual(result['timing']['images_per_call'], 1)
    self.assertCountEqual(
      os.listdir(result['output']),
      ['candidates.png', 'measurements.npz', 'report.html', 'results.json'],
    )
    with open(os.path.join(result['output'], 'report.html')) as file:
      page = file.read()
    for words in (
      'Hamming, then cosine',
      'asymmetric alone',
      'Rank 1, ties to the lower row',
      'Bytes of a template',
    ):
      self.assertIn(words, page)

  def test_bad_input_is_one_line_and_leaves_nothing(self):
    output = os.path.join(self.root, 'out')
    done = run('--embeddings=/nowhere.npz', f'--output={output}')
    self.assertEqual(done.returncode, 1)
    self.assertEqual(
      done.stderr.strip(),
      'error: /nowhere.npz: the embeddings cannot be read '
      '(No such file or directory)',
    )
    self.assertEmpty(done.stdout)
    self.assertFalse(os.path.exists(output))

  def test_a_wrong_command_exits_with_2(self):
    for arguments in (['--mode=cosine'], [], ['stray']):
      done = run(*arguments)
      self.assertEqual(done.returncode, 2, done.stderr)
      self.assertLen(done.stderr.strip().split('\n'), 1)


@pytest.fixture(scope='module')
def real_run(shared, tmp_path_factory):
  output = tmp_path_factory.mktemp('evaluate') / 'out'
  return run(
    '--embeddings='
    + os.path.join(shared, 'weights', 'xiaoccer_lfw_embeddings_f16.npz'),
    '--pairs=' + os.path.join(shared, 'faces', 'lfw_pairs.txt'),
    '--mode=sphereface',
    f'--output={output}',
  )


def test_real_embeddings_print_their_result_as_the_last_line(real_run):
  assert real_run.returncode == 0, real_run.stderr
  result = json.loads(real_run.stdout.strip().split('\n')[-1])
  assert round(100 * result['accuracy'], 2) == 99.18
  assert result['transductive'] is True
  assert result['num_pairs'] == 6000
  assert sorted(os.listdir(result['output'])) == [
    'det.png',
    'histogram.png',
    'measurements.npz',
    'report.html',
    'results.json',
    'roc.png',
  ]


if __name__ == '__main__':
  absltest.main()
