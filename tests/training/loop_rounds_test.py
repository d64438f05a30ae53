"""Trainings in rounds: what they leave, and that a kill changes nothing."""

import contextlib
import shutil
from unittest import mock

import chex
import jax
import numpy as np
import pytest

import facejax
from facejax import files
from facejax.checkpoint.manager import CheckpointStore
from facejax.errors import CheckpointError, Interrupted, UsageError
from facejax.models.face_net import FaceOutputs
from facejax.training import boundary, loop, loop_round_best, loop_rounds
from facejax.training.loop_round_config import round_config
from facejax.training.loop_setup import build_run, restore_state
from tests.preparation.face_sets import write_folder
from tests.training import tiny_recipe
from tests.training.loop_case import quiet, saved_steps
from tests.training.survival_test import signalled_at

STEPS, PEAK = 6, 0.1
RANK1, LOSS = 'evaluation/people/rank1', 'evaluation/people/loss'


class KilledError(Exception):
  """Stands for the end of the process."""


def make_config(face_set, people, **overrides):
  """Rounds of six steps of four convolutions, checked after every second."""
  config = tiny_recipe.make_config(
    face_set,
    **{
      'rounds__max_rounds': 2,
      'rounds__patience': 2,
      'checkpoint__every_steps': 3,
      'checkpoint__keep': 1,
      'checkpoint__best_metric': LOSS,
      'checkpoint__best_is': 'min',
      'learning_rate__peak': PEAK,
    }
    | overrides,
  )
  config.evaluators = {
    'people': {
      'kind': 'identification',
      'every_steps': 2,
      'data': str(people),
      'batch_size': 16,
    }
  }
  config.unlock()
  config.model = {
    'name': 'sphereface4',
    'image_size': (16, 16),
    'width': 0.0625,
    'embedding_size': 8,
  }
  config.weight_decay = (('.*kernel', 5e-4), ('head/class_weights', 1e-3))
  config.lock()
  return config


@pytest.fixture(scope='session')
def people(tmp_path_factory):
  """Eight people whom no training knows, three images of each."""
  folder = tmp_path_factory.mktemp('held_out')
  return write_folder(folder, {f'held{person}': 3 for person in range(8)})


@pytest.fixture(scope='session')
def whole(face_set, people, tmp_path_factory):
  """A training of two rounds that nobody stopped; read, do not change it."""
  config, workdir = make_config(face_set, people), tmp_path_factory.mktemp('w')
  with quiet():
    result = loop_rounds.train(config, workdir)
  return tiny_recipe.TrainedRun(config, workdir, result)


class RoundsCase(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, people, whole, tmp_path):
    self.face_set, self.people, self.whole = face_set, people, whole
    self.workdir = tmp_path / 'run'

  def copy(self):
    shutil.copytree(self.whole.workdir, self.workdir)

  def states(self, workdir, number, before=None):
    """(state, data position, step) of a round's newest checkpoint."""
    config = round_config(self.whole.config, number)
    folder = workdir / f'round_{number}' / 'checkpoints'
    with CheckpointStore(folder, read_only=True) as store:
      state, position, step = restore_state(
        build_run(config), store, before=before
      )
    return jax.tree.map(np.asarray, state), position, step

  def assert_equals_the_training_that_never_stopped(self):
    expected = self.whole.workdir
    for number in (0, 1):
      for found, wanted in zip(
        self.states(self.workdir, number),
        self.states(expected, number),
        strict=True,
      ):
        chex.assert_trees_all_equal(found, wanted)
      folder = f'round_{number}'
      self.assertEqual(
        tiny_recipe.metric_rows(self.workdir / folder),
        tiny_recipe.metric_rows(expected / folder),
      )
    for name in ('rounds.json', 'config.json', 'model/model.json'):
      self.assertEqual(
        files.read_json(self.workdir / name), files.read_json(expected / name)
      )


class ScheduleTest(RoundsCase):
  def test_a_round_has_its_rate_and_begins_anew(self):
    for number, peak in ((0, PEAK), (1, 0.1 * PEAK)):
      rows = tiny_recipe.metric_rows(self.whole.workdir / f'round_{number}')
      rates = [row['learning_rate'] for row in rows if 'loss' in row]
      falling = peak * (1 - np.arange(STEPS) / STEPS)
      if not number:  # two steps of warm-up, then a line over the other four
        falling = peak * np.array([0.5, 1, 1, 0.75, 0.5, 0.25])
      np.testing.assert_allclose(rates, falling, rtol=1e-5)

  def test_the_result_names_every_round(self):
    result = self.whole.result
    self.assertEqual((result['step'], result['stopped']), (12, 'max_rounds'))
    self.assertEqual([r['round'] for r in result['rounds']], [0, 1])
    self.assertEqual([r['from_round'] for r in result['rounds']], [None, 0])
    for number, record in enumerate(result['rounds']):
      self.assertEqual((record['steps'], record['stopped']), (6, 'total_steps'))
      rows = tiny_recipe.metric_rows(self.whole.workdir / f'round_{number}')
      losses = {row['step']: row[LOSS] for row in rows if LOSS in row}
      self.assertEqual(list(losses), [2, 4, 6])
      self.assertEqual(record['metric'], min(losses.values()))
      self.assertEqual(losses[record['best_step']], record['metric'])
      self.assertAlmostEqual(record['learning_rate'], PEAK * 0.1**number)
      decays = [2.0**number * x for _, x in self.whole.config.weight_decay]
      self.assertEqual([rate for _, rate in record['weight_decay']], decays)
    best = min(result['rounds'], key=lambda record: record['metric'])
    self.assertEqual(result['best_round'], best['round'])
    self.assertEqual(result['evaluation'][LOSS], best['metric'])
    data = (self.whole.workdir / 'rounds.png').read_bytes()
    self.assertStartsWith(data, b'\x89PNG')

  def test_the_model_is_the_best_of_all_rounds(self):
    result = self.whole.result
    best = result['rounds'][result['best_round']]
    model = facejax.load_model(result['model_dir'])
    described = files.read_json(self.whole.workdir / 'model' / 'model.json')
    self.assertEqual(described['training_data']['steps'], best['best_step'])
    (evaluator,) = build_run(round_config(self.whole.config, 0)).evaluators
    measured = evaluator.evaluator.run(
      lambda images: FaceOutputs(model.embed(images), None)
    )
    np.testing.assert_allclose(measured['loss'], best['metric'], rtol=1e-5)

  def test_the_same_command_again_trains_nothing(self):
    self.copy()
    with quiet(), mock.patch.object(loop, 'train', side_effect=KilledError):
      result = loop_rounds.train(self.whole.config, self.workdir)
    result, expected = (
      {k: v for k, v in r.items() if not k.endswith(('_dir', 'picture'))}
      for r in (result, self.whole.result)
    )
    self.assertEqual(result, expected)


class OverfittingTest(RoundsCase):
  """Losses as if measured; the training loss falls by itself."""

  def _train(self, losses, **overrides):
    config = make_config(
      self.face_set,
      self.people,
      loss__warmup_steps=0,
      rounds__max_rounds=1,
      total_steps=8,
      **overrides,
    )
    measured = iter(losses)

    def run(self, outputs):
      del self, outputs
      return {LOSS: next(measured), RANK1: 0.5}

    with (
      quiet(),
      mock.patch.object(boundary.ScheduledEvaluator, 'run', run),
      mock.patch.object(
        boundary, '_numbers', falling_losses(boundary._numbers)
      ),
    ):
      return config, loop_rounds.train(config, self.workdir)

  def test_a_round_that_overfits_ends_early_and_leaves_its_best(self):
    config, result = self._train([3.0, 3.1, 3.2, 3.0])  # the last: of the best
    (record,) = result['rounds']
    self.assertEqual((record['steps'], record['stopped']), (6, 'overfitting'))
    self.assertEqual((record['best_step'], record['metric']), (2, 3.0))
    self.assertEqual(saved_steps(self.workdir / 'round_0'), [2, 6])
    described = files.read_json(self.workdir / 'model' / 'model.json')
    self.assertEqual(described['training_data']['steps'], 2)
    # Killed before the end of the round was noted: nothing is trained again.
    (self.workdir / 'rounds.json').unlink()
    with (
      quiet(),
      mock.patch.object(
        boundary.ScheduledEvaluator, 'run', lambda *args: {LOSS: 3.0}
      ),
      mock.patch.object(loop, 'make_batches', side_effect=KilledError),
    ):
      again = loop_rounds.train(config, self.workdir)
    self.assertEqual(again['rounds'][0]['steps'], 6)
    self.assertEqual(again['rounds'][0]['stopped'], 'overfitting')


def falling_losses(numbers):
  """Training losses that fall from 9 by one a step."""
  calls = iter(range(1000))

  def fall(metrics):
    values = numbers(metrics)
    if len(values) > 3:  # what is logged, not only watched
      values['loss'] = 9.0 - 0.1 * next(calls)
    return values

  return fall


class ResumeTest(RoundsCase):
  @contextlib.contextmanager
  def _killed(self, module, name, replacement=None):
    """The process ends where something is called, or as a stand-in says."""
    stand_in = replacement or mock.Mock(side_effect=KilledError)
    with (
      quiet(),
      mock.patch.object(module, name, stand_in),
      self.assertRaises(KilledError),
    ):
      yield

  def _batches_until(self, step):
    """Batches that end before a step, with what is saved by then."""
    make_batches = loop.make_batches

    def killing(config, run, start):
      self.begun = jax.tree.map(np.asarray, run.state)
      with contextlib.closing(make_batches(config, run, start)) as batches:
        for taken in range(start + 1, step):
          del taken
          yield next(batches)
        raise KilledError

    return killing

  def _assert_a_round_has_begun_with_the_best_and_no_momentum(self):
    best_step = self.whole.result['rounds'][0]['best_step']
    best, _, step = self.states(self.workdir, 0, before=best_step)
    self.assertEqual(step, best_step)
    begun = self.begun
    self.assertEqual(int(begun.step), 0)
    chex.assert_trees_all_equal(begun.params, best.params)
    chex.assert_trees_all_equal(begun.batch_stats, best.batch_stats)
    for leaf in jax.tree.leaves(begun.opt_state):
      np.testing.assert_array_equal(leaf, 0)
    self.assertTrue(any(x.any() for x in jax.tree.leaves(best.opt_state)))

  def test_killed_between_rounds_and_within_one(self):
    config, workdir = self.whole.config, self.workdir
    with self._killed(loop_rounds, '_write'):  # over, and nobody has noted it
      loop_rounds.train(config, workdir)
    self.assertFalse((workdir / 'rounds.json').exists())
    with self._killed(
      loop_round_best, '_first_state'
    ):  # noted, and no other has begun
      loop_rounds.train(config, workdir)
    self.assertLen(files.read_json(workdir / 'rounds.json'), 1)
    with self._killed(loop, 'make_batches', self._batches_until(1)):
      loop_rounds.train(config, workdir)
    self._assert_a_round_has_begun_with_the_best_and_no_momentum()
    with self._killed(loop, 'make_batches', self._batches_until(6)):
      loop_rounds.train(config, workdir)
    self.assertTrue(set(saved_steps(workdir / 'round_1')) & {3, 4})
    with quiet():
      loop_rounds.train(config, workdir)
    self.assert_equals_the_training_that_never_stopped()

  @pytest.mark.slow
  def test_sigterm_in_the_last_step_of_a_round_begins_no_other(self):
    with (
      quiet(),
      signalled_at(6),
      self.assertRaisesRegex(Interrupted, 'after step 6 of 6, which is saved'),
    ):
      loop_rounds.train(self.whole.config, self.workdir)
    self.assertFalse((self.workdir / 'round_1').exists())
    with quiet():
      loop_rounds.train(self.whole.config, self.workdir)
    self.assert_equals_the_training_that_never_stopped()

  def test_a_step_is_replayed_within_its_round(self):
    with quiet():  # the last; its first checkpoint that is left is of step 6
      found = loop_rounds.replay_step(
        self.whole.config, self.whole.workdir, STEPS
      )
    rows = tiny_recipe.metric_rows(self.whole.workdir / 'round_1')
    (row,) = (r for r in rows if r['step'] == STEPS and 'loss' in r)
    np.testing.assert_allclose(found['loss'], row['loss'], rtol=1e-4)


class RefusalTest(RoundsCase):
  def _train(self, train=loop_rounds.train, **overrides):
    with quiet():
      train(make_config(self.face_set, self.people, **overrides), self.workdir)

  def test_rounds_by_another_recipe_are_refused(self):
    self.copy()
    for name, value in (
      ('total_steps', 9),
      ('learning_rate__peak', 0.2),
      ('rounds__decay_factor', 3.0),
      ('checkpoint__best_is', 'max'),
    ):
      field = name.replace('__', '.')
      with self.assertRaisesRegex(
        CheckpointError, f'begun by another recipe: {field} was'
      ):
        self._train(**{name: value})

  def test_a_run_without_rounds_and_one_with_them_need_two_folders(self):
    self.copy()
    with self.assertRaisesRegex(UsageError, 'holds a training in rounds: set'):
      self._train(loop.train, rounds__max_rounds=0)
    shutil.rmtree(self.workdir)
    shutil.copytree(self.whole.workdir / 'round_0', self.workdir)
    with self.assertRaisesRegex(UsageError, 'holds a run without rounds'):
      self._train()

  def test_a_best_checkpoint_that_is_gone_is_named(self):
    self.copy()
    shutil.rmtree(self.workdir / 'round_1')
    records = files.read_json(self.workdir / 'rounds.json')[:1]
    files.write_json(self.workdir / 'rounds.json', records)
    step = records[0]['best_step']
    shutil.rmtree(self.workdir / 'round_0' / 'checkpoints' / str(step))
    with self.assertRaisesRegex(
      CheckpointError, f'checkpoints/{step}, the best of round 0, cannot be'
    ):
      self._train()
