"""The command as a user types it: results and one-line errors."""

import json
import shutil
import subprocess
import sys

import chex
import pytest
from absl.testing import parameterized

from facejax.checkpoint.manager import CheckpointStore
from tests.conftest import REPOSITORY

RECIPE = '--config=tests/training/tiny_recipe.py:ternary'
# Of every file that is written: metrics fit, a checkpoint does not.
LIMIT_KB = 20


def run_command(*arguments, limit='unlimited'):
  return subprocess.run(
    [
      'bash',
      '-c',
      f'ulimit -f {limit} && exec "$@"',
      'bash',
      sys.executable,
      '-m',
      'launch.train',
      *map(str, arguments),
    ],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=False,
    timeout=240,
  )


class TrainTestCase(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _tmp_path(self, tmp_path):
    self.tmp_path, self.workdir = tmp_path, tmp_path / 'run'

  def run_train(self, *arguments, **options):
    return run_command(*arguments, f'--workdir={self.workdir}', **options)

  def assert_fails(self, process, code, message):
    self.assertEqual(process.returncode, code, process.stderr)
    self.assertEqual(process.stdout, '')
    self.assertNotIn('Traceback', process.stderr)
    lines = process.stderr.splitlines()
    self.assertLen([line for line in lines if 'error:' in line], 1)
    self.assertStartsWith(lines[-1], 'error: ')
    self.assertIn(message, lines[-1])


class FlagsTest(TrainTestCase):
  @parameterized.parameters(
    (
      [RECIPE, '--config.modle.width=1'],
      'no field \'modle\'. Did you mean "model"',
    ),
    (
      [RECIPE, '--config.loss.scael=1'],
      'no field \'scael\'. Did you mean "scale"',
    ),
    ([RECIPE, '--config.zebra=1'], "no field 'zebra'"),
    (
      [RECIPE, '--config.total_steps=many'],
      '--config.total_steps=many: invalid literal for int() with base 10',
    ),
    ([RECIPE, '--config.total_steps=1.5'], '--config.total_steps=1.5'),
    ([RECIPE, '--config.model=5'], '--config.model=5'),
    (['--config=configs/none.py'], '--config=configs/none.py: no such file'),
    (['--config', 'configs/none.py'], '--config=configs/none.py: no such'),
    (['--config=configs'], '--config=configs: no such file'),
    (
      ['--config=none.py', '--config.total_steps=3'],
      '--config=none.py: no such file',
    ),
    (['--config=configs/base.py'], 'configs/base.py: it is no recipe'),
    ([], '--config'),
    ([RECIPE, '--wrokdir=x'], 'Did you mean: workdir'),
  )
  def test_a_bad_flag_is_one_line_and_exit_code_2(self, arguments, message):
    process = self.run_train(*arguments)
    self.assert_fails(process, 2, message)
    self.assertLen(process.stderr.splitlines(), 1)
    self.assertFalse(self.workdir.exists())

  def test_a_missing_workdir_is_one_line_and_exit_code_2(self):
    self.assert_fails(run_command(RECIPE), 2, '--workdir')

  @parameterized.parameters(
    ('def get_config(arg=""):\n  return nope', ':2: NameError: name'),
    ('def get_config(arg="" return 1', ':1: '),
    ('raise ValueError("a\\nb")', ':1: ValueError: a b'),
    ('def get_config():\n  return {}["x"]', ":2: KeyError: 'x'"),
    ('import nowhere', ':1: ModuleNotFoundError'),
    ('def get_config():\n  open("/no/list")', ':2: FileNotFoundError'),
  )
  def test_a_broken_recipe_is_one_line_with_its_place(self, text, message):
    path = self.tmp_path / 'recipe.py'
    path.write_text(text)
    process = self.run_train(f'--config={path}')
    self.assert_fails(process, 2, f'{path}{message}')
    self.assertLen(process.stderr.splitlines(), 1)


class CommandTest(TrainTestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, trained):
    self.face_set, self.trained = face_set, trained

  def copy(self):
    shutil.copytree(self.trained.workdir, self.workdir)

  def test_the_command_prints_the_result_alone_on_the_last_line(self):
    self.copy()
    process = self.run_train(RECIPE, f'--config.data.path={self.face_set}')
    self.assertEqual(process.returncode, 0, process.stderr)
    (line,) = process.stdout.splitlines()
    expected = json.dumps(self.trained.result)
    self.assertEqual(
      line, expected.replace(str(self.trained.workdir), str(self.workdir))
    )

  def test_a_full_disk_is_one_line_and_harms_nothing(self):
    self.copy()
    shutil.rmtree(self.workdir / 'checkpoints' / '6')
    process = self.run_train(
      RECIPE, f'--config.data.path={self.face_set}', limit=LIMIT_KB
    )
    self.assert_fails(process, 1, 'no space left to write')
    with CheckpointStore(self.workdir / 'checkpoints') as store:
      self.assertEqual(store.steps(), [2, 4])
    for name in ('model/model.json', 'model_float/model.json'):
      self.assertEqual(
        (self.workdir / name).read_bytes(),
        (self.trained.workdir / name).read_bytes(),
      )

  @parameterized.parameters(
    (['--config.data.path=/no/where'], 1, '/no/where is no folder'),
    (['--config.data.path=x', 'stray'], 2, "unexpected argument 'stray'"),
  )
  def test_what_cannot_be_is_one_line(self, arguments, code, message):
    process = self.run_train(RECIPE, *arguments)
    self.assert_fails(process, code, message)
    self.assertFalse(self.workdir.exists())

  def test_a_workdir_that_is_a_file_is_one_line(self):
    self.workdir.write_text('precious')
    process = self.run_train(RECIPE, f'--config.data.path={self.face_set}')
    self.assert_fails(process, 1, str(self.workdir))
    self.assertEqual(self.workdir.read_text(), 'precious')
