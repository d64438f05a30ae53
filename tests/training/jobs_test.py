"""Runs of several true processes: what they train, and how they survive."""

import json
import os
import re
import shlex
import shutil
import signal
import sys

import chex
import jax
import numpy as np
import pytest

from facejax.data.mixture import open_faces
from facejax.data.pipeline import batch_records
from facejax.parallel.children import GRACE_SECONDS
from facejax.training.loop_checks import data_paths
from tests.parallel import jobs
from tests.training import tiny_recipe
from tests.training.slow_train import told_images
from tests.training.train_job import (
  PATIENCE,
  ROUNDING,
  SMOOTH,
  SMOOTH_FLAGS,
  distances,
  read_checkpoint,
  rows_by_step,
  save_smooth_start,
  train,
  train_job,
)

TOTAL, EVERY = 24, 6
FLAGS = (
  f'--config.total_steps={TOTAL}',
  f'--config.checkpoint.every_steps={EVERY}',
  '--config.checkpoint.keep=10',
  *SMOOTH_FLAGS,
)
SLOW = 'tests.training.slow_train'
# What this machine, busy with other tests, may add to a time that is promised.
SLACK = 10


def config_of(face_set):
  return tiny_recipe.make_config(face_set, total_steps=TOTAL, **SMOOTH)


@pytest.fixture(scope='module')
def start(face_set, tmp_path_factory):
  """(folder of a run at step 0, that run in one process with one device)."""
  workdir = tmp_path_factory.mktemp('start') / 'run'
  return workdir, save_smooth_start(config_of(face_set), workdir)


@pytest.fixture(scope='module')
def never_stopped(face_set, start, tmp_path_factory):
  """(workdir, result, stderr) of two processes that nobody disturbs."""
  workdir = tmp_path_factory.mktemp('never_stopped') / 'run'
  shutil.copytree(start[0], workdir)
  return workdir, *train(face_set, workdir, *FLAGS)


@pytest.fixture(scope='module')
def alone(face_set, start):
  """State and losses of one process with one device, after six steps."""
  _, run = start
  rows = tiny_recipe.take_steps(config_of(face_set), run, EVERY)
  return jax.tree.map(np.asarray, run.state), [row['loss'] for row in rows]


class JobTestCase(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, tmp_path):
    self.face_set, self.workdir = face_set, tmp_path / 'run'

  def state_at(self, step, workdir=None):
    config = config_of(self.face_set)
    return read_checkpoint(config, workdir or self.workdir, step=step)

  def assert_equals_one_that_never_stopped(self, never_stopped):
    """Bit for bit: the same processes compute the same in any leg."""
    expected, _, _ = never_stopped
    chex.assert_trees_all_equal(
      self.state_at(TOTAL), self.state_at(TOTAL, expected)
    )
    self.assertEqual(
      tiny_recipe.metric_rows(self.workdir), tiny_recipe.metric_rows(expected)
    )


@pytest.mark.slow
class RestartTest(JobTestCase):
  def test_one_of_two_killed_ends_the_job_and_a_restart_finishes_it(self):
    with train_job(self.face_set, self.workdir, *FLAGS, script=SLOW) as job:
      job.wait_for_step(EVERY + 2)
      os.kill(job.pids()[1], signal.SIGKILL)
      ((code, stdout, stderr),) = job.ends(GRACE_SECONDS + SLACK)
    self.assertEqual((code, stdout), (75, ''), stderr)
    self.assertRegex(stderr, 'error: .*: run the same command again')
    before = rows_by_step(self.workdir)
    result, stderr = train(self.face_set, self.workdir, *FLAGS)
    self.assertIn('continuing after step', stderr)
    self.assertEqual(result['step'], TOTAL)
    after = rows_by_step(self.workdir)
    self.assertEqual([*after], list(range(1, TOTAL + 1)))
    # What was trained again came out as it had the first time.
    self.assertGreater(len(before), EVERY)
    self.assertEqual({step: after[step] for step in before}, before)


@pytest.mark.slow
class SameTest(JobTestCase):
  @pytest.fixture(autouse=True)
  def _runs(self, start, never_stopped, alone):
    self.start, self.never_stopped, self.alone = start, never_stopped, alone

  def assert_trained_what_one_process_trains(self, workdir):
    expected, losses = self.alone
    found, position = self.state_at(EVERY, workdir)
    self.assertEqual(position['step'], EVERY)
    for part, distance in distances(found, expected).items():
      self.assertLess(distance, ROUNDING, part)
    rows = rows_by_step(workdir)
    np.testing.assert_allclose(
      [rows[step]['loss'] for step in range(1, EVERY + 1)],
      losses,
      rtol=ROUNDING,
    )

  def test_two_processes_train_what_one_trains_and_one_writes(self):
    workdir, result, stderr = self.never_stopped
    self.assert_trained_what_one_process_trains(workdir)
    self.assertEqual([*rows_by_step(workdir)], list(range(1, TOTAL + 1)))
    self.assertLen([*(workdir / 'tensorboard').iterdir()], 1)
    self.assertEqual(result['step'], TOTAL)
    self.assertNotIn('[process 1] train:', stderr)

  def test_four_processes_by_flags_do_so_too_and_share_the_images(self):
    shutil.copytree(self.start[0], self.workdir)
    flags = (*FLAGS, f'--config.total_steps={EVERY}')
    with train_job(
      self.face_set, self.workdir, *flags, count=4, local=False, script=SLOW
    ) as job:
      ends = job.ends(PATIENCE)
    self.assertEqual([code for code, _, _ in ends], [0] * 4, ends)
    self.assertEqual(
      [len(stdout.splitlines()) for _, stdout, _ in ends], [1, 0, 0, 0]
    )
    self.assert_trained_what_one_process_trains(self.workdir)
    self.assertEqual([*rows_by_step(self.workdir)], list(range(1, EVERY + 1)))
    self.assertLen([*(self.workdir / 'tensorboard').iterdir()], 1)
    told = [told_images(stderr) for _, _, stderr in ends]
    config = config_of(self.face_set)
    source = open_faces(data_paths(config), config.data.weights)
    for step in range(EVERY):
      records = batch_records(
        source,
        step=step,
        batch_size=config.data.batch_size,
        seed=config.seed,
      )
      whole = [place for place, _, _ in records]
      for i in range(4):
        self.assertEqual(told[i][step], whole[i::4])


@pytest.mark.slow
class SurvivalTest(JobTestCase):
  @pytest.fixture(autouse=True)
  def _runs(self, start, never_stopped):
    self.start, self.never_stopped = start, never_stopped

  def interrupt(self, number, signum, seconds):
    """Signals one of two processes as they train; returns how all end."""
    shutil.copytree(self.start[0], self.workdir)
    with train_job(
      self.face_set, self.workdir, *FLAGS, local=False, script=SLOW
    ) as job:
      job.wait_for_step(EVERY + 2)
      job.processes[number].send_signal(signum)
      return job.ends(seconds + SLACK)

  def go_on(self):
    result, stderr = train(self.face_set, self.workdir, *FLAGS)
    self.assertEqual(result['step'], TOTAL)
    self.assert_equals_one_that_never_stopped(self.never_stopped)
    return stderr

  def test_sigterm_to_one_saves_and_the_run_goes_on_as_if_it_had_not_come(self):
    ends = self.interrupt(1, signal.SIGTERM, 5)
    steps = set()
    for code, stdout, stderr in ends:
      self.assertEqual((code, stdout), (75, ''), stderr)
      message = stderr.splitlines()[-1]
      self.assertStartsWith(message, 'error: stopped by SIGTERM after step ')
      steps.add(int(re.search(r'after step (\d+) of', message)[1]))
    (step,) = steps
    self.assertEqual([*rows_by_step(self.workdir)], list(range(1, step + 1)))
    self.assertIn(f'continuing after step {step}\n', self.go_on())

  def test_one_killed_ends_the_other_within_three_seconds_with_75(self):
    ((code, stdout, stderr), _) = self.interrupt(1, signal.SIGKILL, 3)
    self.assertEqual((code, stdout), (75, ''), stderr)
    self.assertStartsWith(
      stderr.splitlines()[-1], 'error: another process of this job is lost'
    )

  def test_the_first_killed_ends_the_other_at_once_and_the_run_goes_on(self):
    (_, (code, stdout, stderr)) = self.interrupt(0, signal.SIGKILL, 3)
    self.assertIn(code, (-signal.SIGABRT, 75), stderr)
    self.assertEqual(stdout, '')
    self.go_on()

  def test_a_newest_checkpoint_cut_short_is_skipped_by_both(self):
    shutil.copytree(self.never_stopped[0], self.workdir)
    newest = self.workdir / 'checkpoints' / str(TOTAL) / 'state'
    for path in newest.glob('ocdbt.process_*/d/*'):
      with path.open('r+b') as file:
        file.truncate(path.stat().st_size // 2)
    stderr = self.go_on()
    self.assertRegex(stderr, rf'warning: .*/{TOTAL} cannot be read')
    self.assertIn(f'continuing after step {TOTAL - EVERY}\n', stderr)

  def test_a_loss_that_is_not_finite_ends_both_and_its_command_replays_it(self):
    flags = (*FLAGS, '--config.learning_rate.peak=1e30')
    with train_job(self.face_set, self.workdir, *flags) as job:
      ((code, stdout, stderr),) = job.ends(PATIENCE)
    self.assertEqual((code, stdout), (1, ''), stderr)
    message = stderr.splitlines()[-1]
    step = int(re.search(r'is not finite at step (\d+) ', message)[1])
    command = re.search(r'look closer by: (.*?); to train on', message)[1]
    self.assertEndsWith(command, f' --replay_step={step}')
    python, *arguments = shlex.split(command)
    self.assertEqual(python, 'python')
    replay = jobs.start([sys.executable, *arguments])
    try:
      stdout, stderr = replay.communicate(timeout=PATIENCE)
    finally:
      replay.kill()
    self.assertEqual(replay.returncode, 0, stderr)
    found = json.loads(stdout.splitlines()[-1])
    self.assertEqual(found['step'], step)
    self.assertTrue(
      found['loss'] is None
      or found['not_finite_gradients']
      or found['not_finite_parameters']
    )
