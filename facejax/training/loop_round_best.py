"""The best checkpoint of a round: found, begun from, written as a model."""

import functools
import math

import jax
from ml_collections import ConfigDict

from facejax import files
from facejax.checkpoint.manager import CheckpointStore
from facejax.errors import CheckpointError
from facejax.files import Path
from facejax.training.loop_setup import FirstState, Run, restore_state
from facejax.training.rounds import RoundRecord, round_folder
from facejax.training.state import TrainState


def _read_best(
  run: Run, workdir: Path, number: int, best_step: int
) -> TrainState:
  """The state of a round at its best step, on the mesh of a run.

  Raises:
    CheckpointError: it is not there any more, or cannot be read.
  """
  folder = round_folder(workdir, number) / 'checkpoints'
  with CheckpointStore(folder, read_only=True) as store:
    found = restore_state(run, store, before=best_step)
  if found is None or found[2] != best_step:
    raise CheckpointError(
      f'{folder / str(best_step)}, the best of round {number}, cannot be read: '
      'restore it from a copy'
    )
  return found[0]


def _first_state(workdir: Path, best: RoundRecord, run: Run) -> TrainState:
  """What a round begins with: the best so far, no step done, no momentum."""
  if jax.process_index() == 0:
    files.note(f'from step {best.best_step} of round {best.round}')
  taken = _read_best(run, workdir, best.round, best.best_step)
  return run.state.replace(
    params=taken.params, batch_stats=taken.batch_stats, ema=taken.ema
  )


def beginning(workdir: Path, best: RoundRecord | None) -> FirstState | None:
  """The `first_state` of a round; None of round 0."""
  return best and functools.partial(_first_state, workdir, best)


def find_best_step(config: ConfigDict, workdir: Path) -> tuple[int, float]:
  """Where a round's metric was best, and its value there.

  Raises:
    CheckpointError: no checkpoint has it.
  """
  name = config.checkpoint.best_metric
  with CheckpointStore(
    workdir / 'checkpoints',
    keep_best=name,
    best_is=config.checkpoint.best_is,
    read_only=True,
  ) as store:
    step = store.best_step()
    if step is None:
      raise CheckpointError(
        f'{store.directory}: no checkpoint has a number for {name}, by which '
        'rounds are compared'
      )
    return step, store.metrics_of(step)[name]


def write_best(
  run: Run, workdir: Path, number: int, best_step: int
) -> dict[str, float | None]:
  """Writes the model of a round's best step as that of the whole training.

  Returns:
    What all evaluators say of it.
  """
  run.state = _read_best(run, workdir, number, best_step)
  run.exporter.write(workdir / 'model', run.state, best_step)
  outputs = run.exporter.outputs_function(run.state, best_step)
  return {
    name: value if math.isfinite(value) else None
    for evaluator in run.evaluators
    for name, value in evaluator.run(outputs).items()
  }
