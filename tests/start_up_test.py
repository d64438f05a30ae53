"""What starts must start fast: the package, and every script's --help."""

import pathlib
import subprocess
import sys
import time

import chex
from absl.testing import parameterized

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCRIPTS = sorted(
  path.stem
  for path in (ROOT / 'launch').glob('*.py')
  if 'run.run(main)' in path.read_text()
)


def best_seconds(command, tries=3):
  """The least of a few tries: a busy machine is not what is tested."""
  seconds = []
  for _ in range(tries):
    start = time.perf_counter()
    result = subprocess.run(
      command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    seconds.append(time.perf_counter() - start)
  return min(seconds), result


class StartUpTest(chex.TestCase):
  def test_importing_facejax_is_light_and_imports_no_jax(self):
    code = (
      'import sys, time; start = time.perf_counter(); import facejax; '
      'print(time.perf_counter() - start); '
      'sys.exit("jax" in sys.modules or "numpy" in sys.modules)'
    )
    results = [
      subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
      )
      for _ in range(3)
    ]
    self.assertLessEqual(min(float(r.stdout) for r in results), 0.3)

  @parameterized.parameters(*SCRIPTS)
  def test_help_teaches_within_two_seconds(self, script):
    seconds, result = best_seconds(
      [sys.executable, '-m', f'launch.{script}', '--help']
    )
    self.assertEqual(result.returncode, 0, result.stderr)
    self.assertIn(f'python -m launch.{script}', result.stdout)
    self.assertLessEqual(seconds, 2.0)
