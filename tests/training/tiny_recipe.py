"""A recipe whose step compiles in seconds, and short cuts to run it."""

import dataclasses
import itertools
import json
import pathlib
from typing import Any

import ml_collections
import numpy as np

from configs import base

STAGES = ((2, 64, 1, 2), (2, 64, 1, 1))
TERNARY_FROM = 3


def get_config(arg: str = '') -> ml_collections.ConfigDict:
  """Six steps; 'ternary' trains the last three of them ternary."""
  config = base.get_base()
  config.unlock()
  config.model.stages = STAGES
  config.lock()
  config.total_steps = 6
  config.log_every_steps = 1
  config.model.image_size = (32, 32)
  config.model.width = 0.25
  config.model.embedding_size = 16
  config.data.batch_size = 16
  config.data.augmentation.shift = 2
  config.loss.scale = 16.0
  config.loss.margin = 0.3
  config.loss.warmup_steps = 4
  config.learning_rate.kind = 'constant'
  config.learning_rate.warmup_steps = 2
  config.checkpoint.every_steps = 2
  if arg == 'ternary':
    config.ternary.from_step = TERNARY_FROM
    config.evaluators = {
      'drawn': {
        'kind': 'synthetic',
        'every_steps': 2,
        'num_identities': 20,
        'images_per_identity': 3,
        'seed': 0,
        'first_identity': 1000,
        'num_pairs': 20,
      }
    }
  return config


def make_config(face_set: pathlib.Path, arg: str = '', **overrides: Any):
  """The recipe on a prepared set; `x__y=v` sets config.x.y."""
  config = get_config(arg)
  config.data.path = str(face_set)
  config.update_from_flattened_dict(
    {name.replace('__', '.'): value for name, value in overrides.items()}
  )
  return config


@dataclasses.dataclass(frozen=True)
class TrainedRun:
  """A finished run of the recipe."""

  config: Any
  workdir: pathlib.Path
  result: dict[str, Any]


def train(
  face_set: pathlib.Path, workdir: pathlib.Path, arg: str = '', **overrides: Any
) -> TrainedRun:
  """Trains by the recipe in this process."""
  from facejax.training import loop

  config = make_config(face_set, arg, **overrides)
  return TrainedRun(config, workdir, loop.train(config, workdir))


def take_steps(config, run, count: int, start: int = 0) -> list[dict]:
  """Runs a few steps of a built run without a loop; returns their metrics."""
  from facejax.training.loop_setup import make_batches

  batches = make_batches(config, run, start)
  metrics = []
  for batch in itertools.islice(batches, count):
    run.state, values = run.compiled_step(run.state, batch)
    metrics.append({name: float(value) for name, value in values.items()})
  batches.close()
  return metrics


def saved_state(run, workdir: pathlib.Path):
  """(state, steps done) of the newest checkpoint, on the mesh of a run."""
  import jax

  from facejax.checkpoint.manager import CheckpointStore

  abstract = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding),
    run.state,
  )
  with CheckpointStore(workdir / 'checkpoints') as store:
    state, _, step = store.restore_latest(abstract)
  return jax.tree.map(np.asarray, state), step


def metric_rows(workdir: pathlib.Path) -> list[dict[str, float]]:
  """metrics.jsonl without what depends on speed."""
  from facejax.training.goodput import is_timing

  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  return [
    {name: v for name, v in json.loads(line).items() if not is_timing(name)}
    for line in lines
  ]
