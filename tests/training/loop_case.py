"""What tests of the loop share."""

import contextlib
import io
import shutil

import chex
import pytest

from facejax.checkpoint.manager import CheckpointStore


def saved_steps(workdir):
  with CheckpointStore(workdir / 'checkpoints') as store:
    return store.steps()


@contextlib.contextmanager
def quiet():
  """Collects stderr."""
  stderr = io.StringIO()
  with contextlib.redirect_stderr(stderr):
    yield stderr


class LoopTestCase(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, trained, short, tmp_path):
    self.face_set, self.trained, self.short = face_set, trained, short
    self.workdir = tmp_path / 'run'

  def copy(self, run):
    shutil.copytree(run.workdir, self.workdir)

  def config_of(self, run, **overrides):
    config = run.config.copy_and_resolve_references()
    config.update_from_flattened_dict(
      {name.replace('__', '.'): value for name, value in overrides.items()}
    )
    return config
