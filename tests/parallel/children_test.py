"""Children end together, and none is left behind."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from unittest import mock

import chex
from absl.testing import parameterized

from facejax.errors import PeerError
from facejax.parallel import children
from tests.conftest import REPOSITORY


def shell(text):
  return ['sh', '-c', text]


def after(seconds, signum):
  """Sends this process a signal, later."""
  timer = threading.Timer(seconds, os.kill, (os.getpid(), signum))
  timer.start()
  return timer


def is_running(pid):
  """Whether a process is there and not merely waiting to be reaped."""
  try:
    with open(f'/proc/{pid}/stat') as file:
      return file.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
  except FileNotFoundError:
    return False


class RunChildrenTest(chex.TestCase):
  def test_all_well_is_a_return(self):
    children.run_children([shell('exit 0'), shell('sleep 0.2')])

  @parameterized.parameters(
    (('exit 2', 'exit 75'), 2),
    (('exit 75', 'sleep 0.2; exit 1'), 1),
    (('kill -ABRT $$', 'sleep 0.2; exit 1'), 1),
    (('exit 75', 'exit 75'), 75),
    (('exit 75', 'sleep 0.2; kill -ABRT $$'), 75),
    (('exit 0', 'exit 130'), 130),
  )
  def test_the_code_is_the_one_that_says_most(self, texts, code):
    with self.assertRaises(SystemExit) as caught:
      children.run_children([shell(text) for text in texts])
    self.assertEqual(caught.exception.code, code)

  def test_one_killed_is_said_in_words_and_can_go_on(self):
    with self.assertRaisesRegex(
      PeerError, 'process 1 was ended by SIGKILL: run the same command again'
    ) as caught:
      children.run_children(
        [shell('sleep 60'), shell('kill -KILL $$')], grace_seconds=0.1
      )
    self.assertEqual(caught.exception.exit_code, 75)

  def test_the_rest_has_the_grace_and_no_more(self):
    start = time.monotonic()
    with self.assertRaises(SystemExit) as caught:
      children.run_children(
        [shell('trap "" TERM INT; sleep 60'), shell('exit 1')],
        grace_seconds=0.5,
      )
    self.assertEqual(caught.exception.code, 1)
    self.assertBetween(time.monotonic() - start, 0.5, 10)

  def test_sigterm_reaches_all_and_they_may_take_their_time(self):
    ready = pathlib.Path(self.create_tempdir())
    trap = (
      'trap "sleep 0.5; exit 75" TERM; touch {}; while :; do sleep 0.05; done'
    )
    signs = [ready / name for name in 'ab']

    def end_when_ready():
      while not all(sign.exists() for sign in signs):
        time.sleep(0.02)
      os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end_when_ready)
    thread.start()
    with self.assertRaises(SystemExit) as caught:
      children.run_children(
        [shell(trap.format(sign)) for sign in signs], grace_seconds=5
      )
    thread.join()
    self.assertEqual(caught.exception.code, 75)

  def test_sigterm_while_the_first_is_started_ends_all(self):
    start = children._start_child

    def interrupted_start(command, process_id):
      if process_id == 0:
        os.kill(os.getpid(), signal.SIGTERM)
      return start(command, process_id)

    with (
      mock.patch.object(children, '_start_child', interrupted_start),
      self.assertRaisesRegex(PeerError, 'ended by SIGTERM'),
    ):
      children.run_children([shell('exec sleep 20')] * 2)

  def test_ctrl_c_ends_all_also_those_that_ignore_it(self):
    deaf = shell('trap "" INT; sleep 60')
    timer = after(0.3, signal.SIGINT)
    with self.assertRaises(KeyboardInterrupt):
      children.run_children([deaf, deaf], grace_seconds=0.3)
    timer.join()

  def test_handlers_come_back(self):
    before = signal.getsignal(signal.SIGTERM)
    children.run_children([shell('exit 0')])
    self.assertIs(signal.getsignal(signal.SIGTERM), before)


class ParentTest(chex.TestCase):
  def start(self, *texts):
    commands = [shell(text) for text in texts]
    return subprocess.Popen(
      [
        sys.executable,
        '-c',
        'from facejax.parallel import children; '
        f'children.run_children({commands})',
      ],
      cwd=REPOSITORY,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )

  def test_the_first_speaks_for_all_and_the_others_with_their_number(self):
    parent = self.start(
      'echo result; echo first >&2',
      'echo not a result; echo bar=$TQDM_DISABLE >&2',
    )
    stdout, stderr = parent.communicate(timeout=30)
    self.assertEqual(stdout, 'result\n')
    self.assertCountEqual(
      stderr.splitlines(),
      ['first', '[process 1] not a result', '[process 1] bar=1'],
    )

  def test_children_do_not_outlive_a_parent_that_is_killed(self):
    parent = self.start('echo $$; exec sleep 60', 'echo $$; exec sleep 60')
    try:
      pids = [
        int(parent.stdout.readline()),
        int(parent.stderr.readline().split()[-1]),
      ]
      self.assertTrue(all(is_running(pid) for pid in pids))
      parent.kill()
      parent.wait()
      deadline = time.monotonic() + 10
      while any(is_running(p) for p in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
      self.assertFalse(any(is_running(pid) for pid in pids))
    finally:
      parent.kill()
      parent.communicate()
