"""Flags of several processes, and a command that starts itself over."""

import json
import signal
import types

import chex
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.parallel import multihost
from launch import flags as shared_flags
from launch import processes
from tests.parallel import jobs


class WithoutProcessFlagsTest(chex.TestCase):
  def test_the_same_in_one_process_has_no_flags_of_processes(self):
    self.assertEqual(
      processes.without_process_flags(
        [
          '--config=a.py',
          '--local_processes=2',
          '--coordinator',
          '127.0.0.1:5',
          '--distributed',
          '--config.x=1',
          '--cpu_devices=3',
          '--workdir',
          'out',
        ]
      ),
      ['--config=a.py', '--config.x=1', '--workdir', 'out'],
    )


class ChildCommandsTest(chex.TestCase):
  def test_children_differ_in_their_number_and_take_a_device_each(self):
    first, second = processes.child_commands(
      ['python', '-m', 'x', '--local_processes=2'], 2, port=80, cpu_devices=1
    )
    self.assertEqual(
      second,
      [
        'python',
        '-m',
        'x',
        '--local_processes=2',
        '--local_processes=1',
        '--coordinator=127.0.0.1:80',
        '--num_processes=2',
        '--process_id=1',
        '--local_device_ids=1',
        '--cpu_devices=1',
      ],
    )
    self.assertEqual(
      [x.replace('=0', '=1') for x in first if '.1:80' not in x],
      [x for x in second if '.1:80' not in x],
    )


def settings(**values):
  """Flags as if they had been given."""
  defaults = {
    'local_processes': 1,
    'distributed': False,
    'local_device_ids': [],
  }
  return shared_flags.ProcessFlags(
    *(
      types.SimpleNamespace(value=(defaults | values).get(name))
      for name in shared_flags.ProcessFlags._fields
    )
  )


class FlagsTest(chex.TestCase):
  def test_without_flags_a_process_is_alone_and_nothing_is_started(self):
    with processes.joined(settings()) as num_processes:
      self.assertEqual(num_processes, 1)
    self.assertFalse(multihost.in_job())

  @parameterized.parameters(
    ({'distributed': True, 'process_id': 0}, 'finds out what --process_id wo'),
    ({'heartbeat_seconds': 9}, '--heartbeat_seconds is for several processes'),
    ({'connect_seconds': 9}, '--connect_seconds is for several processes'),
    ({'local_device_ids': ['0']}, '--local_device_ids is for several'),
    ({'local_device_ids': ['a'], 'distributed': True}, 'ids=a: give numbers'),
    ({'num_processes': 2}, 'coordinator and process_id must be given too'),
  )
  def test_a_process_refuses_flags_that_do_not_go_together(
    self, values, message
  ):
    with (
      self.assertRaisesRegex(UsageError, message),
      processes.joined(settings(**values)),
    ):
      pass

  @parameterized.parameters(
    ({'distributed': True}, 'leave out --distributed'),
    ({'coordinator': 'a:80'}, 'leave out --coordinator'),
    ({'process_id': 0}, 'leave out --process_id'),
    ({'local_device_ids': ['0']}, 'choose GPUs by CUDA_VISIBLE_DEVICES'),
  )
  def test_a_command_that_starts_itself_refuses_what_is_for_its_children(
    self, values, message
  ):
    with self.assertRaisesRegex(UsageError, message):
      processes.start_children(settings(local_processes=2, **values))


class CommandTest(chex.TestCase):
  def start(self, *arguments):
    process = jobs.start(jobs.member_command(*arguments))
    self.addCleanup(process.communicate)
    self.addCleanup(process.kill)
    return process

  def test_flags_that_do_not_go_together_are_one_line(self):
    process = self.start('--local_processes=2', '--process_id=0')
    stdout, stderr = process.communicate(timeout=60)
    self.assertEqual((process.returncode, stdout), (2, ''), stderr)
    self.assertLen(stderr.splitlines(), 1)
    self.assertIn('leave out --process_id', stderr)

  def test_one_command_is_two_processes_and_prints_one_result(self):
    process = self.start('--local_processes=2')
    stdout, stderr = process.communicate(timeout=60)
    self.assertEqual(process.returncode, 0, stderr)
    results = [x for x in stdout.splitlines() if x.startswith('{')]
    self.assertEqual(results, stdout.splitlines()[-1:])
    self.assertEqual(json.loads(results[0]), {'processes': 2, 'sum': 3.0})

  def test_sigterm_to_the_command_stops_all_after_one_step_with_75(self):
    process = self.start('train', '--local_processes=2')
    for line in process.stdout:
      if line == 'ready\n':
        break
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=30)
    self.assertEqual(process.returncode, 75, stderr)
    steps = [
      line.removeprefix('[process 1] ')
      for line in stderr.splitlines()
      if 'error: stopped after step' in line
    ]
    self.assertLen(steps, 2)
    self.assertLen(set(steps), 1)
