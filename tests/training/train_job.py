"""Training by true processes, to be signalled, killed and looked at."""

import contextlib
import json
import pathlib
import sys
import time

import jax
import numpy as np
import optax

from facejax import trees
from facejax.checkpoint.manager import CheckpointStore
from facejax.data.mixture import open_faces
from facejax.parallel import mesh as mesh_lib
from facejax.training.loop_checks import data_paths
from facejax.training.loop_setup import build_run, data_position
from facejax.training.recipe import make_learner
from facejax.training.state import abstract_state
from tests.parallel import jobs
from tests.training.tiny_recipe import metric_rows

# Of a sum in another order, in every step anew, as a share of the whole.
ROUNDING = 1e-5
# Of a run that stays as close as that to another.
SMOOTH = {'learning_rate__peak': 0.01, 'frozen': ('.*slope',)}
SMOOTH_FLAGS = (
  '--config.learning_rate.peak=0.01',
  '--config.frozen=(".*slope",)',
)
# For what takes as long as a machine, busy with other tests, makes it.
PATIENCE = 240


class TrainJob(jobs.Job):
  """`launch.train` of the tiny recipe: one command, or one for each process."""

  def __init__(
    self,
    face_set,
    workdir,
    *flags,
    count=2,
    local=True,
    script='launch.train',
    recipe='tests/training/tiny_recipe.py',
  ):
    self.workdir, self.count, self.local = workdir, count, local
    command = [
      sys.executable,
      '-m',
      script,
      f'--config={recipe}',
      f'--config.data.path={face_set}',
      f'--workdir={workdir}',
      *flags,
    ]
    port = jobs.free_port()
    commands = [[*command, f'--local_processes={count}']]
    if not local:
      commands = [
        [
          *command,
          f'--coordinator=127.0.0.1:{port}',
          f'--num_processes={count}',
          f'--process_id={i}',
          '--cpu_devices=1',
        ]
        for i in range(count)
      ]
    self.processes = [jobs.start(command) for command in commands]

  def steps(self):
    """Steps in the metrics so far."""
    path = self.workdir / 'metrics.jsonl'
    if not path.exists():
      return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line)['step'] for line in lines if line.endswith('\n')]

  def wait_for_step(self, step):
    deadline = time.monotonic() + PATIENCE
    while max(self.steps(), default=0) < step:
      ended = any(process.poll() is not None for process in self.processes)
      if ended or time.monotonic() > deadline:
        raise AssertionError(self.ends(5))
      time.sleep(0.02)

  def pids(self):
    """Process numbers of those that train, in their order."""
    (parent,) = (process.pid for process in self.processes)
    children = pathlib.Path(f'/proc/{parent}/task/{parent}/children')
    pids = {}
    for pid in children.read_text().split():
      arguments = pathlib.Path(f'/proc/{pid}/cmdline').read_text().split('\0')
      for i in range(self.count):
        if f'--process_id={i}' in arguments:
          pids[i] = int(pid)
    return [pids[i] for i in range(self.count)]


@contextlib.contextmanager
def train_job(*args, **options):
  """A job; all its processes are killed at the end."""
  job = TrainJob(*args, **options)
  try:
    yield job
  finally:
    job.kill()


def train(*args, **options):
  """Runs a job to its end; returns what process 0 says: (result, stderr)."""
  with train_job(*args, **options) as job:
    ends = job.ends(PATIENCE)
  for code, _, stderr in ends:
    assert code == 0, stderr
  ((_, stdout, stderr), *others) = ends
  assert not any('{' in out for _, out, _ in others), others
  line = stdout.splitlines()[-1]  # gloo may speak before
  return json.loads(line), stderr


def read_checkpoint(config, workdir, *, step, data=1, model=1):
  """(state, data position) of a step, as NumPy arrays.

  On a mesh of data x model devices of this process.
  """
  mesh = mesh_lib.make_mesh(data, model, devices=jax.devices()[: data * model])
  source = open_faces(data_paths(config), config.data.weights)
  learner = make_learner(
    config, num_identities=source.num_identities, mesh=mesh
  )
  shapes, shardings = abstract_state(learner)
  abstract = jax.tree.map(
    lambda x, sharding: jax.ShapeDtypeStruct(
      x.shape, x.dtype, sharding=sharding
    ),
    shapes,
    shardings,
  )
  with CheckpointStore(workdir / 'checkpoints', read_only=True) as store:
    state, position, found = store.restore_latest(
      abstract, padded=mesh_lib.PER_IDENTITY, before=step
    )
  assert found == step
  return jax.tree.map(np.asarray, state), position


def rows_by_step(workdir):
  """Metrics by step; every step must be there once."""
  rows = metric_rows(workdir)
  by_step = {row['step']: row for row in rows}
  assert len(by_step) == len(rows), rows
  return by_step


def save_smooth_start(config, workdir):
  """Saves a step 0 in which each PReLU is the identity; returns the run.

  Where a PReLU has a kink rounding decides on which side of it an activation
  is, and so on a part of the gradient: equal runs part within some steps.
  """
  run = build_run(config, devices=jax.devices()[:1])
  params = trees.map_named(
    lambda name, leaf: leaf * 0 + 1 if name.endswith('slope') else leaf,
    run.state.params,
  )
  run.state = run.state.replace(params=params)
  with CheckpointStore(workdir / 'checkpoints') as store:
    store.save(0, run.state, data_position=data_position(config, run, 0))
  return run


def distances(found, expected):
  """By parameters, statistics and momentum: |found - expected| / |expected|.

  Of all arrays of a part together: a bias before BatchNorm has a gradient of
  zero, of which rounding leaves nothing but noise.
  """
  return {
    part: float(
      optax.tree.norm(
        jax.tree.map(np.subtract, getattr(found, part), getattr(expected, part))
      )
      / optax.tree.norm(getattr(expected, part))
    )
    for part in ('params', 'batch_stats', 'opt_state')
  }
