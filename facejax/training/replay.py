"""Runs up to a step again, and looks at it closely."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from facejax import files, trees
from facejax.array_typing import PyTree
from facejax.checkpoint.manager import CheckpointStore
from facejax.data.pipeline import batch_records
from facejax.data.preprocessing import normalize
from facejax.errors import UsageError
from facejax.files import Path, PathLike
from facejax.ops.norms import squared_norm
from facejax.training.gradients import DROPOUT, Batch, quantised, step_key
from facejax.training.learner import Learner
from facejax.training.loop_changes import check_unchanged
from facejax.training.loop_setup import (
  FirstState,
  Run,
  build_run,
  make_batches,
  resume_or_start,
)
from facejax.training.state import TrainState, split_head
from facejax.training.step import step_gradients

_SHOWN_IMAGES = 8


def _examine(learner: Learner, state: TrainState, batch: Batch) -> PyTree:
  """Metrics and gradients of a step, and the length of every embedding."""
  seen, _, (gradients, _, metrics) = step_gradients(learner, state, batch)
  net, _ = split_head(seen.params)
  stats, _ = split_head(seen.batch_stats)
  embeddings, _ = learner.model.apply(
    {'params': quantised(learner, net, state.step), 'batch_stats': stats},
    normalize(batch['image'], learner.preprocessing),
    True,
    mutable=['batch_stats'],
    rngs={'dropout': step_key(learner, state.step, DROPOUT)},
  )
  norms = jnp.sqrt(squared_norm(embeddings.astype(jnp.float32)))
  return metrics, gradients, norms


def _not_finite(tree: PyTree) -> list[str]:
  """Names of the arrays with a value that is no number."""
  return [
    name
    for name, leaf in trees.named_leaves(tree).items()
    if jnp.issubdtype(leaf.dtype, jnp.floating)
    and not bool(jnp.isfinite(leaf).all())
  ]


def _advance(config: ConfigDict, run: Run, start: int, steps: int) -> Batch:
  """Runs the steps before the one in question; returns its batch."""
  batches = make_batches(config, run, start)
  try:
    ahead = files.progress(
      itertools.islice(batches, steps - 1 - start),
      desc='replay',
      unit='step',
      total=steps - 1 - start,
    )
    for batch in ahead:
      run.state, _ = run.compiled_step(run.state, batch)
    return next(batches)
  finally:
    batches.close()


def replay(
  config: ConfigDict,
  workdir: PathLike,
  step: int,
  *,
  first_state: FirstState | None = None,
) -> dict[str, Any]:
  """Goes from the last checkpoint before a step to that step, and reports.

  Nothing in the workdir changes.

  Args:
    config: of the run.
    workdir: of the run.
    step: counted from 1, as in its messages.
    first_state: see `resume_or_start`.

  Returns:
    step, restored_from, the metrics of its loss (null where not finite); the
    names of parameters, statistics and gradients that are not finite; of the
    images whose embeddings are the longest, or not finite, key, label and
    length.

  Raises:
    UsageError: a step that the run cannot have, or several processes.
    CheckpointError: the run's recipe is another one.
  """
  if jax.process_count() > 1:
    raise UsageError('a replay runs in one process: leave out the others')
  if not 1 <= step <= config.total_steps:
    raise UsageError(
      f'replay_step={step}: the run has steps 1 to {config.total_steps}'
    )
  workdir = Path(workdir)
  run = build_run(config)
  with CheckpointStore(workdir / 'checkpoints', read_only=True) as store:
    start = resume_or_start(
      config, run, store, before=step - 1, first_state=first_state
    )
  check_unchanged(config, workdir / 'config.json', start)
  batch = _advance(config, run, start, step)
  learner = run.learner
  metrics, gradients, norms = jax.jit(
    lambda state, batch: _examine(learner, state, batch)
  )(run.state, batch)
  records = batch_records(
    run.source,
    step=step - 1,
    batch_size=config.data.batch_size,
    seed=config.seed,
  )
  # Not numbers are sorted behind infinity, so they come first.
  longest = jnp.argsort(norms)[::-1][:_SHOWN_IMAGES]
  return {
    'step': step,
    'restored_from': start,
    **{name: _number(value) for name, value in metrics.items()},
    'not_finite_parameters': _not_finite(run.state.params),
    'not_finite_statistics': _not_finite(run.state.batch_stats),
    'not_finite_gradients': _not_finite(gradients),
    'images': [
      {
        'key': records[row][1],
        'label': records[row][2],
        'embedding_norm': _number(norms[row]),
      }
      for row in longest.tolist()
    ],
  }


def _number(value: jax.Array) -> float | None:
  """A float, or None for what JSON cannot say."""
  return float(value) if bool(jnp.isfinite(value)) else None
