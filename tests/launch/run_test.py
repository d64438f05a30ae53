import json
import signal
import subprocess
import sys

import chex
from absl.testing import parameterized

from tests.conftest import REPOSITORY

_SCRIPT = '''
"""A script for the test of its frame."""
import errno, signal, sys, time
from absl import flags
from facejax.errors import (
  DataError, Interrupted, PeerError, UsageError, UserError
)
from launch import run

flags.DEFINE_integer('count', 1, 'How many.')

def main(argv):
  print('progress', file=sys.stderr)
  print('something else')
  {body}

# A shell's background job ignores Ctrl-C, and so would this child of it.
signal.signal(signal.SIGINT, signal.default_int_handler)
run.run(main)
'''


def _start(body, *arguments):
  return subprocess.Popen(
    [sys.executable, '-c', _SCRIPT.format(body=body), *arguments],
    cwd=REPOSITORY,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def _run(body, *arguments):
  child = _start(body, *arguments)
  stdout, stderr = child.communicate(timeout=60)
  return child.returncode, stdout, stderr


class RunTest(chex.TestCase):
  def test_the_result_is_json_alone_on_the_last_line_of_stdout(self):
    code, stdout, stderr = _run(
      "return {'a': 1.5, 'n': flags.FLAGS.count, 'argv': argv}",
      '--count=3',
      'x',
    )
    self.assertEqual((code, stderr), (0, 'progress\n'))
    self.assertEqual(
      json.loads(stdout.splitlines()[-1]), {'a': 1.5, 'n': 3, 'argv': ['x']}
    )
    self.assertLen(stdout.splitlines(), 2)

  def test_a_process_that_is_not_to_report_prints_nothing(self):
    self.assertEqual(_run('return None'), (0, 'something else\n', 'progress\n'))

  @parameterized.parameters(
    ("raise UserError('bad')", 1, 'bad'),
    ("raise DataError('two\\nlines')", 1, 'two lines'),
    ("raise UsageError('bad')", 2, 'bad'),
    ("raise Interrupted('saved')", 75, 'saved'),
    ("raise PeerError('lost')", 75, 'lost'),
    ("raise PeerError('broken there', exit_code=1)", 1, 'broken there'),
    ('raise KeyboardInterrupt', 130, 'interrupted'),
    (
      "raise OSError(errno.ENOSPC, 'No space', 'a/b')",
      1,
      'no space left to write a/b: free some and run the command again; what '
      'was saved before is intact',
    ),
    (
      "raise OSError(errno.EACCES, 'Permission denied', 'a/b')",
      1,
      'a/b: Permission denied',
    ),
  )
  def test_what_the_user_can_mend_is_one_line(self, body, code, message):
    self.assertEqual(
      _run(body), (code, 'something else\n', f'progress\nerror: {message}\n')
    )

  def test_a_full_disk_without_a_name_is_one_line_too(self):
    code, _, stderr = _run("raise OSError(errno.EDQUOT, 'Quota')")
    self.assertEqual(code, 1)
    self.assertIn('error: no space left to write the output', stderr)

  def test_a_defect_keeps_its_traceback(self):
    code, _, stderr = _run("raise ZeroDivisionError('ours')")
    self.assertEqual(code, 1)
    self.assertIn('Traceback', stderr)
    self.assertIn('ZeroDivisionError: ours', stderr)

  def test_a_number_that_json_does_not_know_is_a_defect(self):
    code, stdout, _ = _run("return {'a': float('nan')}")
    self.assertEqual((code, stdout), (1, 'something else\n'))

  def test_asking_for_help_is_no_error(self):
    for flag in ('--help', '-helpfull', '--helpshort'):
      code, stdout, _ = _run('return None', flag)
      self.assertEqual(code, 0)
      self.assertIn('How many.', stdout)

  @parameterized.parameters(
    ('--cuont=3', "Unknown command line flag 'cuont'. Did you mean: count"),
    ('--count=x', "--count=x: invalid literal for int() with base 10: 'x'"),
  )
  def test_a_bad_flag_is_one_line_and_exit_code_2(self, flag, message):
    code, stdout, stderr = _run('return None', flag)
    self.assertEqual((code, stdout), (2, ''))
    self.assertLen(stderr.splitlines(), 1)
    self.assertStartsWith(stderr, 'error: ')
    self.assertIn(message, stderr)
    self.assertIn('--help lists the flags', stderr)

  def test_ctrl_c_is_one_line_and_exit_code_130(self):
    child = _start("print('now', flush=True); time.sleep(60)")
    for line in child.stdout:
      if line == 'now\n':
        break
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    self.assertEqual(child.returncode, 130)
    self.assertEqual(stderr, 'progress\nerror: interrupted\n')


class PipeTest(chex.TestCase):
  def test_help_into_a_pipe_that_closes_is_no_error(self):
    command = f'{sys.executable} -m launch.evaluate --help | head -1'
    result = subprocess.run(
      command,
      shell=True,
      cwd=REPOSITORY,
      capture_output=True,
      text=True,
      check=True,
    )
    self.assertEqual(result.stderr, '')
