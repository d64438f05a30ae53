"""Flags of all scripts: one process may hold them all."""

import importlib
import pathlib

import chex
from absl.testing import absltest, flagsaver

from facejax.errors import UsageError
from tests.conftest import REPOSITORY

# Of benchmarks alone; make test does without them.
PEERS = ('torch', 'onnxruntime', 'sklearn')


class FlagsTest(chex.TestCase):
  def test_all_scripts_live_in_one_process(self):
    for folder in ('launch', 'benchmarks'):
      for path in sorted(pathlib.Path(REPOSITORY, folder).glob('*.py')):
        try:
          importlib.import_module(f'{folder}.{path.stem}')
        except ModuleNotFoundError as error:
          if error.name not in PEERS:
            raise

  def test_a_verdict_has_one_false_accept_rate(self):
    from launch import verify

    with (
      flagsaver.flagsaver(model='out/model', far=[1e-3, 1e-4]),
      self.assertRaisesRegex(UsageError, '--far is given 2 times'),
    ):
      verify.main(['a.jpg', 'b.jpg'])


if __name__ == '__main__':
  absltest.main()
