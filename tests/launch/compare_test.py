"""launch.compare: the command as a user runs it."""

import json
import pathlib
import subprocess
import sys

import chex
from absl.testing import absltest, flagsaver

from facejax.errors import DataError, UsageError
from launch import compare
from tests.conftest import REPOSITORY
from tests.evaluation.reporting import examples


def run(*arguments):
  """Runs the command in a process of its own."""
  return subprocess.run(
    [sys.executable, '-m', 'launch.compare', *arguments],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
  )


class CompareTest(chex.TestCase):
  def test_two_reports_make_a_page_that_says_how(self):
    root = pathlib.Path(self.create_tempdir().full_path)
    for name in 'ab':
      examples.report(model=f'runs/{name}').write(root / name)
    done = run(
      f'--reports={root / "a"},{root / "b"}', f'--output={root / "out"}'
    )
    self.assertEqual(done.returncode, 0, done.stderr)
    result = json.loads(done.stdout.strip().split('\n')[-1])
    self.assertEqual(result['models'], ['a', 'b'])
    self.assertEqual(result['output'], str(root / 'out'))
    text = (root / 'out' / 'report.html').read_text()
    self.assertIn('python -m launch.compare --reports=', text)

  def test_a_wrong_command_is_refused(self):
    output = self.create_tempdir().full_path
    with self.assertRaisesRegex(UsageError, "unexpected argument 'stray'"):
      compare.main(['stray'])
    with self.assertRaisesRegex(UsageError, '--reports: give the folders'):
      compare.main([])
    with (
      flagsaver.flagsaver(reports=['a', 'b']),
      self.assertRaisesRegex(UsageError, '--output is missing'),
    ):
      compare.main([])
    with (
      flagsaver.flagsaver(reports=['/nowhere', '/else'], output=output),
      self.assertRaisesRegex(DataError, '/nowhere holds no results.json'),
    ):
      compare.main([])
    with (
      flagsaver.flagsaver(
        reports=['/nowhere', '/else'], output=output, names=['', ' ']
      ),
      self.assertRaisesRegex(UsageError, '--names=, : a name is empty'),
    ):
      compare.main([])


if __name__ == '__main__':
  absltest.main()
