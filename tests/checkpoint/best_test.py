import contextlib
import io
import math
import os

import chex
import jax.numpy as jnp
from absl.testing import parameterized

from facejax.checkpoint.manager import CheckpointStore
from facejax.errors import CheckpointError, UsageError
from tests.checkpoint.states import abstract

ACCURACY = 'evaluation/lfw/accuracy'
NAN = math.nan


def state(step):
  return {'x': jnp.full(3, step, jnp.float32)}


def snapshot(folder):
  """Every path below a folder with its bytes and time of change."""
  return {
    os.path.join(where, name): (
      os.path.getsize(os.path.join(where, name)),
      os.stat(os.path.join(where, name)).st_mtime_ns,
    )
    for where, folders, names in os.walk(folder)
    for name in (*folders, *names)
  }


class StoreTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def _save(self, measured, **options):
    """Saves steps with a value each; returns those left, and the best."""
    with CheckpointStore(self.folder, **options) as store:
      for step, value in measured.items():
        metrics = None if value is None else {ACCURACY: value, 'loss': 1.5}
        store.save(
          step, state(step), data_position={'step': step}, metrics=metrics
        )
      return store.steps(), store.best_step()


class BestTest(StoreTestCase):
  @parameterized.parameters(
    ('max', {1: 0.5, 2: 0.9, 3: 0.7, 4: 0.6}, [2, 3, 4]),
    ('min', {1: 0.5, 2: 0.2, 3: 0.7, 4: 0.6}, [2, 3, 4]),
    ('max', {1: 0.5, 2: 0.6, 3: 0.7, 4: 0.9}, [3, 4]),
    # Of equal ones the newest.
    ('max', {1: 0.9, 2: 0.9, 3: 0.7, 4: 0.6}, [2, 3, 4]),
    ('min', {1: 0.1, 2: 0.1, 3: 0.7, 4: 0.6}, [2, 3, 4]),
    # What has no value is never the best, and never in its way.
    ('max', {1: NAN, 2: 0.2, 3: None, 4: NAN}, [2, 3, 4]),
    ('min', {1: -math.inf, 2: 0.2, 3: None, 4: NAN}, [2, 3, 4]),
  )
  def test_the_newest_are_kept_and_the_best(self, best_is, measured, kept):
    steps, best = self._save(
      measured, max_to_keep=2, keep_best=ACCURACY, best_is=best_is
    )
    self.assertEqual(steps, kept)
    finite = {s: v for s, v in measured.items() if v and math.isfinite(v)}
    choose = max if best_is == 'max' else min
    self.assertEqual(finite[best], choose(finite.values()))
    self.assertEqual(
      sorted(int(name) for name in os.listdir(self.folder)), kept
    )

  def test_without_a_value_only_the_newest_are_kept(self):
    steps, best = self._save(
      {1: None, 2: NAN, 3: None, 4: None}, max_to_keep=2, keep_best=ACCURACY
    )
    self.assertEqual((steps, best), ([3, 4], None))

  def test_without_a_metric_there_is_no_best(self):
    self.assertEqual(
      self._save({1: 0.9, 2: 0.1, 3: 0.1}, max_to_keep=2), ([2, 3], None)
    )

  def test_the_best_of_an_earlier_process_is_still_the_best(self):
    options = {'max_to_keep': 1, 'keep_best': ACCURACY}
    self._save({1: 0.5, 2: 0.9, 3: 0.1}, **options)
    self.assertEqual(self._save({4: 0.8, 5: 0.7}, **options), ([2, 5], 2))
    self.assertEqual(self._save({6: 0.95, 7: 0.1}, **options), ([6, 7], 6))

  def test_metrics_come_back_as_they_were_saved(self):
    self._save({1: 1 / 3, 2: NAN, 3: None})
    with CheckpointStore(self.folder) as store:
      self.assertEqual(store.metrics_of(1), {ACCURACY: 1 / 3, 'loss': 1.5})
      self.assertTrue(math.isnan(store.metrics_of(2)[ACCURACY]))
      self.assertEqual(store.metrics_of(3), {})

  def test_damaged_metrics_cost_a_step_its_rank_and_nothing_else(self):
    options = {'max_to_keep': 3, 'keep_best': ACCURACY}
    self._save({1: 0.5, 2: 0.9, 3: 0.1}, **options)
    os.truncate(f'{self.folder}/2/_CHECKPOINT_METADATA', 20)
    with CheckpointStore(self.folder, **options) as store:
      self.assertEqual((store.steps(), store.best_step()), ([1, 2, 3], 1))
      self.assertEqual(store.metrics_of(2), {})
      _, _, step = store.restore_latest(abstract(state(0)), before=2)
      self.assertEqual(step, 2)

  def test_a_best_that_is_damaged_gives_way_when_it_is_set_aside(self):
    options = {'max_to_keep': 3, 'keep_best': ACCURACY}
    self._save({1: 0.5, 2: 0.9}, **options)
    os.truncate(f'{self.folder}/2/state/_METADATA', 10)
    with (
      CheckpointStore(self.folder, **options) as store,
      contextlib.redirect_stderr(io.StringIO()),
    ):
      _, _, step = store.restore_latest(abstract(state(0)))
      self.assertEqual((step, store.best_step()), (1, 2))
      store.save(2, state(2), data_position={}, metrics={ACCURACY: 0.1})
      self.assertEqual(store.best_step(), 1)

  def test_another_word_than_max_or_min_is_refused(self):
    with self.assertRaisesRegex(UsageError, "best_is='most': use max or min"):
      CheckpointStore(self.folder, keep_best=ACCURACY, best_is='most')


class BeforeTest(StoreTestCase):
  @parameterized.parameters((9, 5), (5, 5), (4, 3), (3, 3), (2, None))
  def test_no_later_step_is_taken(self, before, expected):
    self._save({3: None, 5: None})
    with CheckpointStore(self.folder) as store:
      restored = store.restore_latest(abstract(state(0)), before=before)
    if expected is None:
      self.assertIsNone(restored)
    else:
      chex.assert_trees_all_equal(restored[0], state(expected))
      self.assertEqual(restored[1:], ({'step': expected}, expected))


class ReadOnlyTest(StoreTestCase):
  def test_a_reader_changes_nothing_even_where_the_newest_is_damaged(self):
    self._save({3: 0.9, 5: 0.1, 6: 0.1})
    os.truncate(f'{self.folder}/6/state/_METADATA', 10)
    # What a save that was killed leaves; a run that goes on removes it.
    os.mkdir(f'{self.folder}/7.orbax-checkpoint-tmp')
    before = snapshot(self.folder)
    with (
      CheckpointStore(
        self.folder, max_to_keep=1, keep_best=ACCURACY, read_only=True
      ) as store,
      contextlib.redirect_stderr(io.StringIO()),
    ):
      self.assertEqual((store.steps(), store.best_step()), ([3, 5, 6], 3))
      _, _, step = store.restore_latest(abstract(state(0)))
      self.assertEqual(step, 5)
      with self.assertRaisesRegex(CheckpointError, 'opened to read only'):
        store.save(8, state(8), data_position={})
    self.assertEqual(snapshot(self.folder), before)
    self._save({8: None})
    self.assertFalse(os.path.exists(f'{self.folder}/7.orbax-checkpoint-tmp'))

  def test_a_reader_does_not_create_the_folder(self):
    folder = os.path.join(self.folder, 'none')
    with self.assertRaisesRegex(CheckpointError, 'no such folder'):
      CheckpointStore(folder, read_only=True)
    self.assertFalse(os.path.exists(folder))

  def test_a_reader_is_quiet(self):
    self._save({3: None})
    with (
      self.assertNoLogs('absl', 'WARNING'),
      CheckpointStore(self.folder, read_only=True) as store,
    ):
      store.restore_latest(abstract(state(0)))
