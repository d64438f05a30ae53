import os
import signal
import subprocess
import sys
import time

import chex
from absl.testing import parameterized

from facejax.checkpoint.manager import CheckpointStore
from tests.checkpoint.states import abstract, make_state
from tests.conftest import REPOSITORY

_SAVE = """
import resource, sys
from facejax.checkpoint.manager import CheckpointStore
from facejax.errors import CheckpointError
from tests.checkpoint.states import RULES, make_state

folder, limit, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
try:
  with CheckpointStore(folder) as store:
    for step in (3, 5):
      state = make_state(step, width=width)
      store.save(step, state, data_position={'step': step},
                 packed=(state.params, RULES))
      if step == 3:
        store.wait_until_finished()
        if limit >= 0:
          resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
      print('saving', step, flush=True)
except CheckpointError as error:
  sys.exit(f'error: {error}')
"""


def _start(folder, limit, width):
  return subprocess.Popen(
    [sys.executable, '-c', _SAVE, folder, str(limit), str(width)],
    cwd=REPOSITORY,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


class InterruptionTest(chex.TestCase):
  @parameterized.parameters(0, 300, 20_000)
  def test_a_full_disk_is_one_line_and_leaves_the_step_before(self, limit):
    folder = self.create_tempdir().full_path
    child = _start(folder, limit, 2400)
    _, stderr = child.communicate(timeout=120)
    self.assertEqual(child.returncode, 1)
    # On a slow machine Orbax also notes how long it waited for a save.
    self.assertRegex(stderr, r'(?m)^error: no space left to write .*intact\n\Z')
    self.assertNotIn('Traceback', stderr)
    with CheckpointStore(folder) as store:
      target = abstract(make_state(0, width=2400))
      state, position, step = store.restore_latest(target)
    self.assertEqual((position, step), ({'step': 3}, 3))
    chex.assert_trees_all_equal(state, make_state(3, width=2400))

  def test_a_save_that_is_killed_leaves_the_step_before(self):
    folder = self.create_tempdir().full_path
    width = 400_000  # 64 MB three times over: long enough to be caught
    child = _start(folder, -1, width)
    for line in child.stdout:
      if line == 'saving 5\n':
        break
    deadline = time.monotonic() + 60
    while not any('tmp' in name for name in os.listdir(folder)):
      self.assertLess(time.monotonic(), deadline)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    self.assertNotIn('5', os.listdir(folder))
    with CheckpointStore(folder) as store:
      self.assertEqual(store.steps(), [3])
      state, _, _ = store.restore_latest(abstract(make_state(0, width=width)))
      chex.assert_trees_all_equal(state, make_state(3, width=width))
      self.assertFalse([n for n in os.listdir(folder) if 'tmp' in n])
