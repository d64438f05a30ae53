"""Policy of the whole suite: devices, strictness, shared expensive things."""

import json
import os
import subprocess
import sys

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['XLA_FLAGS'] = (
  os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'
)

from jaxtyping import install_import_hook

# Shapes in signatures are promises: the hook checks every call of the suite.
_HOOK = install_import_hook('facejax', 'beartype.beartype')

import jax  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARED = os.path.join(os.path.dirname(REPOSITORY), 'shared')
CACHE = os.path.join(REPOSITORY, '.cache', 'jax')


def pytest_configure():
  """Settings that must precede the first import of a test."""
  flags.FLAGS.mark_as_parsed()
  jax.config.update('jax_numpy_rank_promotion', 'raise')
  jax.config.update('jax_compilation_cache_dir', CACHE)
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 1.0)
  # Child processes of the suite share the cache.
  os.environ['JAX_COMPILATION_CACHE_DIR'] = CACHE
  # Not the user's, for the converted weights of MTCNN.
  os.environ['FACEJAX_CACHE'] = os.path.join(REPOSITORY, '.cache', 'facejax')


@pytest.fixture(scope='session')
def shared():
  """The folder of real faces and weights; tests that need it skip."""
  if not os.path.isdir(SHARED):
    pytest.skip('the folder ../shared with real faces is not here')
  return SHARED


@pytest.fixture(scope='session')
def face_set(tmp_path_factory):
  """A prepared set: 11 people, 4 images of each; read, do not change it."""
  from tests.preparation.face_sets import write_set

  root = tmp_path_factory.mktemp('faces')
  return write_set(root, {f'p{person:02d}': 4 for person in range(11)})


@pytest.fixture(scope='session')
def trained(tmp_path_factory, face_set):
  """The one run that the suite trains; read its folder, do not change it."""
  from tests.training import tiny_recipe

  return tiny_recipe.train(face_set, tmp_path_factory.mktemp('run'), 'ternary')


@pytest.fixture(scope='session')
def imported_net(tmp_path_factory, shared):
  """A trained MobileFaceNet of others, with thresholds from 50 real people.

  About ten seconds on two cores; 11,025 impostor pairs resolve rates of 1e-2
  and 1e-3.
  """
  import facejax
  from facejax.importing.importer import import_weights
  from tests.importing.people import write_people

  root = tmp_path_factory.mktemp('imported')
  weights = 'weights/xiaoccer_mobilefacenet_112x96/068.ckpt'
  import_weights(
    os.path.join(shared, weights),
    format='pytorch',
    architecture='mobilefacenet',
    output=root / 'model',
    calibration=write_people(shared, root, people=50, images=3),
    batch_size=50,
  )
  return facejax.load_model(root / 'model', verify=False)


@pytest.fixture(scope='session')
def listed_models(tmp_path_factory):
  """What `launch.list_models` prints and writes: (result, page).

  By a child process, since the checks of every call here make tracing three
  times slower.
  """
  output = tmp_path_factory.mktemp('listed') / 'models.md'
  child = subprocess.run(
    [sys.executable, '-m', 'launch.list_models', f'--output={output}'],
    cwd=REPOSITORY,
    capture_output=True,
    text=True,
    check=True,
  )
  return json.loads(child.stdout.splitlines()[-1]), output.read_text()
