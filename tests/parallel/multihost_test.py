"""Jobs of true processes: joined, stopped, killed; nothing of it mocked."""

import json
import os
import signal
import threading
import time
from unittest import mock

import chex
import jax
import pytest
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.parallel import multihost
from tests.parallel import jobs
from tests.parallel.jobs import FIRST_STEP

# What this machine, busy with other tests, may add to a time that is promised.
SLACK = 10


def slurm(process_id, count, port):
  return {
    'SLURM_JOB_ID': '77',
    'SLURM_STEP_NODELIST': '127.0.0.1',
    'SLURM_NTASKS': str(count),
    'SLURM_PROCID': str(process_id),
    'SLURM_LOCALID': str(process_id),
    'JAX_COORDINATOR_PORT': str(port),
  }


class JoinTest(chex.TestCase):
  def test_processes_of_slurm_add_up_and_the_first_alone_reports(self):
    port = jobs.free_port()
    environments = [slurm(i, 2, port) for i in range(2)]
    with jobs.job(2, 'slow_end', 0, environments=environments) as job:
      (first, second) = job.ends(2 + SLACK)
    self.assertEqual(first[0], 0, first[2])
    self.assertEqual(
      json.loads(first[1].splitlines()[-1]), {'processes': 2, 'sum': 3.0}
    )
    self.assertEqual(second[:2], (0, ''), second[2])

  def test_a_process_that_waits_in_vain_says_so(self):
    process = jobs.start(
      jobs.member_command(
        f'--coordinator=127.0.0.1:{jobs.free_port()}',
        '--num_processes=2',
        '--process_id=0',
        '--connect_seconds=1',
      )
    )
    try:
      _, stderr = process.communicate(timeout=30)
    finally:
      process.kill()
    self.assertEqual(process.returncode, 75)
    self.assertIn('not all of the 2 processes came within 1 s', stderr)
    self.assertNotIn('Traceback', stderr)

  def test_a_heartbeat_that_takes_busy_for_dead_is_refused(self):
    with (
      self.assertRaisesRegex(UsageError, 'heartbeat_seconds=1: give 2 or more'),
      multihost.joined(heartbeat_seconds=1),
    ):
      pass


class StopTest(chex.TestCase):
  def assert_stopped_together(self, ends):
    steps = set()
    for code, stdout, stderr in ends:
      self.assertEqual((code, stdout), (75, ''), stderr)
      lines = [x for x in stderr.splitlines() if x.startswith('step ')]
      steps.update(lines)
      self.assertIn(f'error: stopped after {lines[0]}', stderr)
    self.assertLen(steps, 1)
    return int(steps.pop().split()[1])

  def test_sigterm_to_one_of_four_twice_stops_all_after_one_step(self):
    with jobs.job(4, 'train') as job:
      job.processes[2].send_signal(signal.SIGTERM)
      time.sleep(0.3)
      job.processes[2].send_signal(signal.SIGTERM)
      step = self.assert_stopped_together(job.ends(5 + SLACK))
    self.assertGreater(step, FIRST_STEP)

  @pytest.mark.slow
  def test_sigterm_before_the_first_step_of_a_continued_run_counts(self):
    with jobs.job(2, 'train_late') as job:
      for process in job.processes:
        process.send_signal(signal.SIGTERM)
      step = self.assert_stopped_together(job.ends(5 + SLACK))
    self.assertEqual(step, FIRST_STEP + 1)


class LostProcessTest(chex.TestCase):
  def test_one_killed_in_collectives_ends_the_rest_at_once_with_75(self):
    with jobs.job(2, 'train', heartbeat=60) as job:
      job.processes[1].kill()
      (first, _) = job.ends(3 + SLACK)
    self.assertEqual(first[:2], (75, ''), first[2])
    self.assertStartsWith(first[2], 'error: another process of this job is lo')
    self.assertLen(first[2].splitlines(), 1)

  @pytest.mark.slow
  def test_one_killed_while_the_rest_is_elsewhere_ends_it_by_heartbeat(self):
    with jobs.job(2, 'sleep', heartbeat=2) as job:
      job.processes[1].kill()
      (first, _) = job.ends(2 + 5 + SLACK)
    self.assertEqual(first[0], -signal.SIGABRT)

  @pytest.mark.slow
  def test_the_first_killed_ends_the_rest_at_once(self):
    with jobs.job(2, 'sleep', heartbeat=60) as job:
      job.processes[0].kill()
      (_, second) = job.ends(3 + SLACK)
    self.assertEqual(second[0], -signal.SIGABRT)

  def check_that_an_error_ends_all(self, member):
    with jobs.job(2, 'fail', member, heartbeat=60) as job:
      ends = job.ends(3 + SLACK)
    code, _, stderr = ends.pop(member)
    self.assertEqual((code, stderr), (1, 'error: a.jpg is broken\n'))
    self.assertEqual(
      ends, [(1, '', f'error: process {member} ended: a.jpg is broken\n')]
    )

  @pytest.mark.slow
  def test_an_error_of_the_first_ends_all_with_its_code_and_words(self):
    self.check_that_an_error_ends_all(0)

  @pytest.mark.slow
  def test_an_error_of_another_ends_all_with_its_code_and_words(self):
    self.check_that_an_error_ends_all(1)

  @pytest.mark.slow
  def test_a_defect_of_one_ends_all_and_keeps_its_traceback(self):
    with jobs.job(2, 'defect', 1, heartbeat=60) as job:
      (first, second) = job.ends(3 + SLACK)
    self.assertEqual(first[0], 1, first[2])
    self.assertIn('process 1 ended: ZeroDivisionError: ours', first[2])
    self.assertEqual(second[0], 1)
    self.assertIn('Traceback', second[2])


class AloneTest(chex.TestCase):
  def test_sigterm_is_noted_and_what_it_did_before_comes_back(self):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
      with multihost.StopSignal() as stop:
        self.assertFalse(stop.reached(1))
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertTrue(stop.reached(2))
      self.assertEmpty(heard)
      os.kill(os.getpid(), signal.SIGTERM)
      self.assertLen(heard, 1)
    finally:
      signal.signal(signal.SIGTERM, before)

  def test_in_another_thread_nothing_is_touched(self):
    answers = []

    def loop():
      with multihost.StopSignal() as stop:
        answers.append(stop.reached(1))

    handler = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=loop)
    thread.start()
    thread.join()
    self.assertEqual(answers, [False])
    self.assertIs(signal.getsignal(signal.SIGTERM), handler)

  @parameterized.parameters(
    ValueError('UNKNOWN: Gloo all-reduce failed'),
    jax.errors.JaxRuntimeError('INTERNAL: heartbeat'),
  )
  def test_without_a_job_an_error_stays_what_it_is(self, error):
    with self.assertRaises(type(error)), multihost.peer_failure():
      raise error

  def test_devices_that_cannot_be_used_are_one_line(self):
    broken = mock.patch.object(
      jax, 'devices', side_effect=RuntimeError('no GPU 7')
    )
    with broken, self.assertRaisesRegex(UsageError, 'cannot be used: no GPU 7'):
      multihost.open_devices()
