import json
import os

import chex
import numpy as np
from absl.testing import parameterized

import facejax
from facejax import files
from facejax.errors import CheckpointError, UsageError
from facejax.training import loop
from facejax.training.loop_setup import build_run
from tests.training import tiny_recipe
from tests.training.loop_case import LoopTestCase, quiet, saved_steps


class ResultTest(LoopTestCase):
  def test_the_result_is_that_of_the_files(self):
    result = self.trained.result
    rows = tiny_recipe.metric_rows(self.trained.workdir)
    self.assertEqual(
      [row['step'] for row in rows], [1, 2, 2, 3, 3, 4, 4, 5, 6, 6]
    )
    self.assertEqual(result['step'], 6)
    self.assertEqual(result['loss'], rows[-2]['loss'])
    self.assertGreater(result['images_per_second'], 0)
    for key, step in (('evaluation', 6), ('evaluation_float', 3)):
      (row,) = (r for r in rows if r['step'] == step and 'loss' not in r)
      self.assertEqual({'step': step, **result[key]}, row)
      self.assertIn('evaluation/drawn/accuracy', row)
    json.dumps(result)

  def test_the_rates_and_margins_are_those_of_the_recipe(self):
    rows = [
      row
      for row in tiny_recipe.metric_rows(self.trained.workdir)
      if 'loss' in row
    ]
    np.testing.assert_allclose(
      [row['learning_rate'] for row in rows], [0.05, *[0.1] * 5], rtol=1e-6
    )
    np.testing.assert_allclose(
      [row['margin'] for row in rows],
      [0, 0.075, 0.15, 0.225, 0.3, 0.3],
      rtol=1e-6,
    )

  def test_the_folder_holds_what_the_docstring_says(self):
    self.assertEqual(
      sorted(os.listdir(self.trained.workdir)),
      [
        'checkpoints',
        'config.json',
        'metrics.jsonl',
        'model',
        'model_float',
        'tensorboard',
      ],
    )
    self.assertEqual(saved_steps(self.trained.workdir), [2, 4, 6])
    self.assertEqual(saved_steps(self.short.workdir), [3])  # keep=1
    self.assertNotIn('model_float_dir', self.short.result)
    self.assertFalse((self.short.workdir / 'model_float').exists())

  def test_a_finished_run_started_again_gives_the_same_result(self):
    self.copy(self.trained)
    with quiet() as stderr:
      again = loop.train(self.trained.config, self.workdir)
    self.assertIn('continuing after step 6', stderr.getvalue())
    moved = json.loads(
      json.dumps(self.trained.result).replace(
        str(self.trained.workdir), str(self.workdir)
      )
    )
    self.assertEqual(again, moved)
    self.assertEqual(
      files.read_json(self.workdir / 'model' / 'model.json'),
      files.read_json(self.trained.workdir / 'model' / 'model.json'),
    )

  def test_a_float_run_trains_on_as_if_it_had_been_to_turn_ternary(self):
    self.copy(self.short)
    config = self.config_of(
      self.short, total_steps=6, ternary__from_step=tiny_recipe.TERNARY_FROM
    )
    with quiet():
      result = loop.train(config, self.workdir)
    self.assertTrue(facejax.load_model(result['model_dir']).is_packed)
    self.assertFalse(facejax.load_model(result['model_float_dir']).is_packed)
    run = build_run(config)
    chex.assert_trees_all_equal(
      tiny_recipe.saved_state(run, self.workdir),
      tiny_recipe.saved_state(run, self.trained.workdir),
    )


class ContinueTest(LoopTestCase):
  def test_a_truncated_checkpoint_gives_way_to_the_one_before(self):
    self.copy(self.trained)
    newest = self.workdir / 'checkpoints' / '6' / 'state'
    for path in newest.rglob('*'):
      if path.is_file():
        os.truncate(path, path.stat().st_size // 2)
    with quiet() as stderr:
      loop.train(self.trained.config, self.workdir)
    self.assertRegex(stderr.getvalue(), r'warning: checkpoint \S+6 cannot be')
    self.assertIn('continuing after step 4', stderr.getvalue())
    run = build_run(self.trained.config)
    chex.assert_trees_all_equal(
      tiny_recipe.saved_state(run, self.workdir),
      tiny_recipe.saved_state(run, self.trained.workdir),
    )

  @parameterized.parameters(
    (
      {'model__embedding_size': 8},
      CheckpointError,
      r"checkpoint \S+ has 'params/embed/conv/kernel' as .*another architect",
    ),
    ({'seed': 1}, CheckpointError, 'seed was 0 and is 1.*another workdir'),
    ({'data__batch_size': 32}, CheckpointError, 'batch_size was 16 and is 32'),
    (
      {'loss__margin': 0.2, 'frozen': ('stem/.*',)},
      CheckpointError,
      r"frozen was \[\] and is \['stem/\.\*'\]; loss.margin was 0.3 and is 0.2",
    ),
    (
      {'total_steps': 1, 'learning_rate__warmup_steps': 0},
      UsageError,
      'has done 3 steps already',
    ),
  )
  def test_another_recipe_is_refused_and_nothing_is_harmed(
    self, overrides, error, message
  ):
    self.copy(self.short)
    before = self._contents()
    with self.assertRaisesRegex(error, message):
      loop.train(self.config_of(self.short, **overrides), self.workdir)
    self.assertEqual(self._contents(), before)

  def _contents(self):
    return {
      str(path): path.read_bytes()
      for path in self.workdir.rglob('*')
      if path.is_file()
    }

  def test_other_data_are_refused(self):
    from tests.preparation.face_sets import write_set

    other = write_set(
      self.workdir.parent, {f'p{person:02d}': 3 for person in range(11)}
    )
    self.copy(self.short)
    with self.assertRaisesRegex(CheckpointError, 'data are not the same'):
      loop.train(
        self.config_of(self.short, data__path=str(other)), self.workdir
      )
