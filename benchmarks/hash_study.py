"""What the experiments of the hashing paper share: one form, trained, measured.

References:
  Zeng et al., Deep Face Recognition Algorithm Based on Weighted Hashing, 2019.
"""

import dataclasses
import itertools
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

import facejax
from benchmarks.rounds import time_rounds
from facejax import files, trees
from facejax.data.identification_lists import folder_identities
from facejax.data.identification_splits import first_images
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.modes import unit_features
from facejax.evaluation.sources import ModelSource
from facejax.evaluation.two_stage import search
from facejax.evaluation.two_stage.codes import describe_bytes
from facejax.evaluation.two_stage.result import HAMMING
from facejax.files import Path
from facejax.training import loop
from facejax.training.loop_setup import build_run, make_batches
from facejax.training.writers import read_rows

HELD_OUT = 'held_out'
CANDIDATES = 100  # of the second stage
MODE = 'plain'
_RESULT = 'result.json'
_FLOAT_BYTES = 4


@dataclasses.dataclass(frozen=True)
class Study:
  """What all forms of an experiment have in common.

  Attributes:
    data: prepared set that is trained on.
    held_out: prepared set, or crops, of other people.
    lfw: crops of LFW; the last model alone is measured on them.
    folder: of the runs, one below it for each.
    steps: of every run.
    batch_size: images in a step.
    evaluations: how often the held-out people are looked up, evenly over the
      run; the last time is its end.
    log_every_steps: period of the training loss.
  """

  data: str
  held_out: str
  lfw: str
  folder: str
  steps: int
  batch_size: int
  evaluations: int
  log_every_steps: int = 5


def complete(config: Any, study: Study, seed: int) -> Any:
  """Makes a run of the study of a recipe; changes and returns it."""
  config.seed = seed
  config.total_steps = study.steps
  config.log_every_steps = study.log_every_steps
  config.data.path = study.data
  config.data.batch_size = study.batch_size
  config.checkpoint.every_steps = max(1, study.steps // 4)
  config.checkpoint.keep = 1
  config.evaluators = {
    HELD_OUT: {
      'kind': 'identification',
      'data': study.held_out,
      'every_steps': max(1, study.steps // study.evaluations),
    }
  }
  return config


def run_form(name: str, config: Any, study: Study) -> dict[str, Any]:
  """Trains one form and measures it, unless that has been done.

  Args:
    name: folder of the run below that of the study. A run that was interrupted
      there goes on.
    config: of `complete`.
    study: that it is part of.

  Returns:
    JSON values: `config`, `rows` of metrics in order of steps, `model_dir`; of
    a net with a hash layer also `lfw` and `model`, see `measure_lfw`.

  Raises:
    UserError: data that cannot be read, a run of another recipe in that
      folder, or one that diverges.
  """
  workdir = Path(study.folder, name)
  recipe = json.loads(json.dumps(config.to_dict()))
  if (workdir / _RESULT).exists():
    found = files.read_json(workdir / _RESULT)
    if (found['config'], found['crops']) == (recipe, study.lfw):
      files.note(f'{workdir} is done')
      return found
  files.note(f'{name}: {config.total_steps} steps into {workdir}')
  trained = loop.train(config, workdir)
  found = {
    'config': recipe,
    'crops': study.lfw,
    'rows': read_rows(workdir),
    'model_dir': trained['model_dir'],
  }
  if config.model.hash_bits:
    found |= measure_lfw(trained['model_dir'], study.lfw)
  files.write_json(workdir / _RESULT, found)
  return found


def measure_lfw(model_dir: str, lfw: str) -> dict[str, Any]:
  """Looks LFW up by a model: closed set, first images enrolled, mode plain.

  Args:
    model_dir: a model with a hash layer.
    lfw: crops, IDENTITY/image.jpg.

  Returns:
    `lfw`: Rank-1 as `float`, `hamming` and `two_stage`, ties as errors; the
    interval of `float` that the number of probes alone gives; counts. `model`:
    parameters without classifier, their bytes, and bytes a template.
  """
  model = facejax.load_model(model_dir)
  source = ModelSource(model, lfw)
  names = source.names()
  embeddings = source.embed(names, flip=False)
  labels = np.unique(folder_identities(names), return_inverse=True)[1]
  split = first_images(labels)
  found = search.search_closed_set(
    unit_features(embeddings, MODE),
    embeddings.logits,
    labels,
    *split,
    candidates=CANDIDATES,
  )
  by_codes = found.shares.by_stage[HAMMING]
  size = embeddings.plain.shape[1]
  parameters = sum(
    leaf.size for leaf in trees.named_leaves(model.variables['params']).values()
  )
  return {
    'lfw': {
      'float': found.shares.rank1,
      'hamming': by_codes.rank1,
      'two_stage': float(by_codes.two_stage[found.candidates - 1]),
      'interval_95': list(
        wilson_interval(found.shares.rank1, len(split.probes))
      ),
      'candidates': found.candidates,
      'num_gallery': len(split.gallery),
      'num_probes': len(split.probes),
    },
    'model': {
      'parameters': parameters,
      'bytes': _FLOAT_BYTES * parameters,
      'embedding_size': size,
      **describe_bytes(model.hash_bits, size, 1)['bytes_per_template'],
    },
  }


def curve(rows: list[dict[str, Any]], name: str) -> dict[str, list[float]]:
  """A metric over the steps it was measured at: 'steps' and 'values'."""
  found = [row for row in rows if row.get(name) is not None]
  return {
    'steps': [row['step'] for row in found],
    'values': [row[name] for row in found],
  }


def wall_seconds(rows: list[dict[str, Any]], batch_size: int) -> float:
  """Seconds in training steps, whatever else the machine did meanwhile."""
  logged = [row for row in rows if row.get('images_per_second')]
  spent = [
    (after['step'] - before['step']) * batch_size / after['images_per_second']
    for before, after in itertools.pairwise(logged)
  ]
  return sum(spent)


def time_steps(
  configs: Mapping[str, Any], rounds: int
) -> dict[str, list[float]]:
  """Seconds of a training step of each form, in turns in one process.

  Curves are drawn over these seconds: those that passed while a form trained
  depend on what else the machine did.

  Args:
    configs: of the forms.
    rounds: how often each is timed, see `rounds.time_rounds`.
  """
  return time_rounds(
    {name: _make_step(config) for name, config in configs.items()}, rounds
  )


def _make_step(config: Any) -> Callable[[], Any]:
  """A step of a run on its first batch, again and again."""
  run = build_run(config)
  batch = next(make_batches(config, run, 0))

  def step() -> None:
    run.state, metrics = run.compiled_step(run.state, batch)
    jax.block_until_ready(metrics)

  return step
