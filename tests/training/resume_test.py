"""A run that is killed and goes on equals one that never stopped."""

import contextlib
import signal
import subprocess
import sys
import time

import chex
import jax
import numpy as np
import pytest

from facejax import files
from facejax.checkpoint.manager import CheckpointStore
from facejax.training.loop_setup import build_run, make_batches
from tests.conftest import REPOSITORY
from tests.training import tiny_recipe

# The command, but the second checkpoint never gets to its end.
_STALLING = """
import sys, time
import orbax.checkpoint as ocp
from launch import run, train

finalize = ocp.StandardCheckpointHandler.finalize

def stall(self, directory):
  if '/4' in str(directory):
    time.sleep(600)
  finalize(self, directory)

ocp.StandardCheckpointHandler.finalize = stall
sys.argv[0] = 'train'
run.run(train.main)
"""


def _start(face_set, workdir, *arguments, script=('-m', 'launch.train')):
  return subprocess.Popen(
    [
      sys.executable,
      *script,
      '--config=tests/training/tiny_recipe.py:ternary',
      f'--config.data.path={face_set}',
      f'--workdir={workdir}',
      *arguments,
    ],
    cwd=REPOSITORY,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


@contextlib.contextmanager
def _killed(child):
  """Kills the child at the end of the block."""
  try:
    yield
  finally:
    child.send_signal(signal.SIGKILL)
    child.communicate()


def _wait_until(condition, child, seconds=180):
  deadline = time.monotonic() + seconds
  while not condition():
    assert child.poll() is None, child.communicate()[1]
    assert time.monotonic() < deadline
    time.sleep(0.02)


def _finish(child):
  stdout, stderr = child.communicate(timeout=240)
  assert child.returncode == 0, stderr
  return stdout, stderr


class ResumeTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, trained, tmp_path):
    self.face_set, self.trained = face_set, trained
    self.workdir = tmp_path / 'run'

  def _assert_equals_the_run_that_never_stopped(self):
    run = build_run(self.trained.config)
    found, step = tiny_recipe.saved_state(run, self.workdir)
    expected, _ = tiny_recipe.saved_state(run, self.trained.workdir)
    self.assertEqual(step, self.trained.config.total_steps)
    chex.assert_trees_all_equal(found, expected)
    packed = []
    for workdir in (self.workdir, self.trained.workdir):
      with CheckpointStore(workdir / 'checkpoints') as store:
        packed.append(store.restore_packed(step))
    chex.assert_trees_all_equal(*packed)
    self.assertEqual(
      tiny_recipe.metric_rows(self.workdir),
      tiny_recipe.metric_rows(self.trained.workdir),
    )
    for name in ('model/model.json', 'model_float/model.json', 'config.json'):
      self.assertEqual(
        files.read_json(self.workdir / name),
        files.read_json(self.trained.workdir / name),
      )

  def test_killed_while_a_checkpoint_is_written_by_real_processes(self):
    child = _start(self.face_set, self.workdir, script=('-c', _STALLING))
    folder = self.workdir / 'checkpoints'
    with _killed(child):
      _wait_until(lambda: any(folder.glob('4*tmp*/**/manifest*')), child)
      # Later steps run, and write metrics, while the checkpoint is stuck.
      rows = self.workdir / 'metrics.jsonl'
      _wait_until(lambda: '"step": 5' in rows.read_text(), child)
    self.assertTrue((folder / '2').exists())
    self.assertFalse((folder / '4').exists())
    stdout, stderr = _finish(_start(self.face_set, self.workdir))
    self.assertIn('continuing after step 2', stderr)
    self.assertLen(stdout.splitlines(), 1)
    self._assert_equals_the_run_that_never_stopped()

  def test_the_images_go_on_where_they_stopped(self):
    run = build_run(self.trained.config)
    whole = make_batches(self.trained.config, run, 0)
    batches = [next(whole) for _ in range(5)]
    rest = make_batches(self.trained.config, run, 3)
    for expected in batches[3:]:
      chex.assert_trees_all_equal(next(rest), expected)
    self.assertFalse(np.array_equal(batches[3]['image'], batches[4]['image']))
    whole.close()
    rest.close()

  @pytest.mark.slow
  def test_killed_at_any_moment(self):
    for seconds in (6.0, 7.5, 9.0, 10.5, 12.0):
      child = _start(self.face_set, self.workdir)
      with _killed(child):
        time.sleep(seconds)
    _finish(_start(self.face_set, self.workdir))
    self._assert_equals_the_run_that_never_stopped()


class MeshTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, trained):
    self.trained = trained

  def test_a_run_goes_on_on_another_number_of_devices(self):
    from facejax.training.loop_setup import resume_or_start

    config = self.trained.config
    run = build_run(config, devices=jax.devices()[:1])
    with CheckpointStore(self.trained.workdir / 'checkpoints') as store:
      self.assertEqual(resume_or_start(config, run, store), 6)
    whole, _ = tiny_recipe.saved_state(build_run(config), self.trained.workdir)
    weights = run.state.params['head']['class_weights']
    self.assertEqual(weights.shape, (11, 16))
    np.testing.assert_array_equal(
      weights, whole.params['head']['class_weights'][:11]
    )
    chex.assert_trees_all_equal(run.state.batch_stats, whole.batch_stats)
