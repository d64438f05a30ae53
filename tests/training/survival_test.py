"""Runs that are stopped, fail, or are looked at again; in one process."""

import contextlib
import itertools
import json
import os
import re
import signal
from unittest import mock

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import facejax
from facejax import files, trees
from facejax.errors import Interrupted, UsageError, UserError
from facejax.training import boundary, loop, replay
from facejax.training.loop_setup import build_run
from tests.training import tiny_recipe
from tests.training.loop_case import LoopTestCase, quiet, saved_steps


@contextlib.contextmanager
def signalled_at(step):
  """SIGTERM comes to this process while a step gets its batch."""
  make_batches = loop.make_batches

  def signalling(config, run, start):
    batches = make_batches(config, run, start)
    with contextlib.closing(batches):
      for number in itertools.count(start + 1):
        if number == step:
          os.kill(os.getpid(), signal.SIGTERM)
        yield next(batches)

  with mock.patch.object(loop, 'make_batches', signalling):
    yield


def poison(state, name='stem/activation/slope'):
  """A state with one parameter that is no number."""
  params = trees.map_named(
    lambda found, leaf: leaf.at[0].set(jnp.nan) if found == name else leaf,
    state.params,
  )
  return state.replace(params=params)


class StopTest(LoopTestCase):
  def test_sigterm_saves_and_the_run_goes_on_as_if_it_had_never_come(self):
    before = signal.getsignal(signal.SIGTERM)
    with (
      quiet(),
      signalled_at(3),
      self.assertRaisesRegex(
        Interrupted, 'after step 3 of 6, which is saved: run the same command'
      ) as caught,
    ):
      loop.train(self.trained.config, self.workdir)
    self.assertEqual(caught.exception.exit_code, 75)
    self.assertEqual(signal.getsignal(signal.SIGTERM), before)
    self.assertEqual(saved_steps(self.workdir), [2, 3])
    self.assertFalse((self.workdir / 'model').exists())
    with quiet() as stderr:
      loop.train(self.trained.config, self.workdir)
    self.assertIn('continuing after step 3', stderr.getvalue())
    run = build_run(self.trained.config)
    chex.assert_trees_all_equal(
      tiny_recipe.saved_state(run, self.workdir),
      tiny_recipe.saved_state(run, self.trained.workdir),
    )
    self.assertEqual(
      tiny_recipe.metric_rows(self.workdir),
      tiny_recipe.metric_rows(self.trained.workdir),
    )

  def test_sigterm_in_the_last_step_lets_the_run_end(self):
    with quiet(), signalled_at(3):
      result = loop.train(self.short.config, self.workdir)
    self.assertEqual(result['step'], 3)
    self.assertTrue((self.workdir / 'model' / 'model.json').exists())


class NotFiniteTest(LoopTestCase):
  def _fail(self, config):
    resume_or_start = loop.resume_or_start

    def poisoned(config, run, store, **options):
      start = resume_or_start(config, run, store, **options)
      run.state = poison(run.state)
      return start

    with (
      quiet(),
      mock.patch.object(loop, 'resume_or_start', poisoned),
      self.assertRaises(UserError) as caught,
    ):
      loop.train(config, self.workdir, command='the command')
    return str(caught.exception)

  def test_the_run_names_the_step_and_the_images_of_its_batch(self):
    self.copy(self.short)
    config = self.config_of(self.short, total_steps=6, log_every_steps=100)
    message = self._fail(config)
    self.assertRegex(message, r'not finite at step 4 \(loss nan')
    self.assertIn('the command --replay_step=4;', message)
    listed = files.read_json(self.workdir / 'not_finite_step_4.json')
    self.assertEqual((listed['step'], len(listed['images'])), (4, 16))
    run = build_run(config)
    labels = []
    batches = loop.make_batches(config, run, 3)
    labels = np.asarray(next(batches)['label'])
    batches.close()
    # Eight devices of one process: the order is that of the batch.
    self.assertEqual([image['label'] for image in listed['images']], [*labels])
    for image in listed['images']:
      record = run.source[image['index']]
      self.assertEqual(record['key'], image['key'])
    self.assertIn(listed['images'][0]['key'], message)

  def test_a_replay_finds_what_is_not_finite_and_changes_nothing(self):
    self.copy(self.short)
    config = self.config_of(self.short, total_steps=6)
    before = sorted(p for p in self.workdir.rglob('*'))
    resume_or_start = replay.resume_or_start

    def poisoned(*args, **kwargs):
      start = resume_or_start(*args, **kwargs)
      args[1].state = poison(args[1].state)
      return start

    with quiet(), mock.patch.object(replay, 'resume_or_start', poisoned):
      found = replay.replay(config, self.workdir, 4)
    self.assertEqual((found['step'], found['restored_from']), (4, 3))
    self.assertIsNone(found['loss'])
    self.assertEqual(found['not_finite_parameters'], ['stem/activation/slope'])
    self.assertIn('stem/conv/kernel', found['not_finite_gradients'])
    self.assertLen(found['images'], 8)
    self.assertIsNone(found['images'][0]['embedding_norm'])
    self.assertEqual(sorted(p for p in self.workdir.rglob('*')), before)

  def test_a_replay_of_a_sound_step_gives_the_loss_of_the_run(self):
    config = self.trained.config
    with quiet():
      found = replay.replay(config, self.trained.workdir, 6)
    self.assertEqual(found['restored_from'], 4)
    rows = tiny_recipe.metric_rows(self.trained.workdir)
    (row,) = (r for r in rows if r['step'] == 6 and 'loss' in r)
    for name in ('loss', 'accuracy', 'target_cosine', 'embedding_norm'):
      np.testing.assert_allclose(found[name], row[name], rtol=1e-4)
    self.assertEqual(found['not_finite_gradients'], [])
    norms = [image['embedding_norm'] for image in found['images']]
    self.assertEqual(norms, sorted(norms, reverse=True))

  def test_a_step_that_the_run_cannot_have_is_refused(self):
    for step in (0, 7):
      with self.assertRaisesRegex(UsageError, 'the run has steps 1 to 6'):
        replay.replay(self.trained.config, self.trained.workdir, step)


class BestTest(LoopTestCase):
  """Accuracies as if measured: 0.6, 0.9, 0.9, 0.7 at steps 1 to 4."""

  def _train(self, accuracies, **overrides):
    config = self.config_of(
      self.trained,
      total_steps=4,
      evaluators__drawn__every_steps=1,
      checkpoint__every_steps=2,
      checkpoint__keep=1,
      checkpoint__best_metric='evaluation/drawn/accuracy',
      **overrides,
    )
    measured = iter(accuracies)

    def run(self, embed):
      del self, embed
      return {'evaluation/drawn/accuracy': next(measured)}

    with (
      quiet(),
      mock.patch.object(boundary.ScheduledEvaluator, 'run', run),
    ):
      return loop.train(config, self.workdir)

  def test_the_best_model_and_its_checkpoint_are_kept(self):
    result = self._train([0.6, 0.9, 0.9, 0.7])
    self.assertEqual(result['model_best_dir'], str(self.workdir / 'model_best'))
    best = files.read_json(self.workdir / 'model_best' / 'model.json')
    self.assertEqual(best['training_data']['steps'], 2)
    facejax.load_model(self.workdir / 'model_best')
    self.assertEqual(saved_steps(self.workdir), [2, 4])
    last = files.read_json(self.workdir / 'model' / 'model.json')
    self.assertEqual(last['training_data']['steps'], 4)

  @pytest.mark.slow
  def test_the_smallest_may_be_the_best(self):
    self._train([0.6, 0.9, 0.5, 0.7], checkpoint__best_is='min')
    best = files.read_json(self.workdir / 'model_best' / 'model.json')
    self.assertEqual(best['training_data']['steps'], 3)
    self.assertEqual(saved_steps(self.workdir), [3, 4])

  def test_a_metric_that_is_not_measured_is_refused_with_those_that_are(self):
    with self.assertRaisesRegex(
      UsageError, 'that evaluator measures evaluation/drawn/acc, eval'
    ):
      self.copy(self.short)
      config = self.config_of(
        self.trained,
        ternary__from_step=-1,
        checkpoint__best_metric='evaluation/drawn/eer',
      )
      values = {'evaluation/drawn/acc': 0.5, 'evaluation/drawn/auc': 0.5}
      with (
        quiet(),
        mock.patch.object(
          boundary.ScheduledEvaluator, 'run', lambda self, embed: values
        ),
      ):
        loop.train(config, self.workdir)


class SeenTest(LoopTestCase):
  def test_a_row_tells_of_the_step_and_of_the_time(self):
    lines = (self.trained.workdir / 'metrics.jsonl').read_text().splitlines()
    row = json.loads(lines[-2])
    for name in (
      'loss', 'accuracy', 'learning_rate', 'margin', 'gradient_norm',
      'head_gradient_norm', 'parameter_norm', 'update_norm', 'target_cosine',
      'hardest_cosine', 'embedding_norm', 'images_per_second', 'goodput',
      'seconds/start', 'seconds/data', 'seconds/checkpoint',
      'seconds/evaluation',
    ):  # fmt: skip
      self.assertIn(name, row)
    self.assertGreater(row['seconds/evaluation'], 0)
    self.assertGreater(row['seconds/checkpoint'], 0)
    self.assertBetween(row['goodput'], 0, 1)
    self.assertBetween(self.trained.result['goodput'], 0, 1)

  def test_a_profile_is_written_on_request(self):
    with quiet() as stderr:
      loop.train(self.short.config, self.workdir, profile_steps='2:2')
    self.assertIn('profile of steps 2 to 2', stderr.getvalue())
    self.assertTrue([*(self.workdir / 'profile').rglob('*.xplane.pb')])
    with self.assertRaisesRegex(UsageError, "profile 'x': give the first"):
      loop.train(self.short.config, self.workdir, profile_steps='x')

  def test_the_progress_bar_starts_where_the_run_goes_on(self):
    self.copy(self.short)
    with quiet() as stderr:
      loop.train(self.config_of(self.short, total_steps=4), self.workdir)
    self.assertTrue(re.search(r'train:.* 4/4 ', stderr.getvalue()))
