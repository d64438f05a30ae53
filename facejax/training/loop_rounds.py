"""The training schedule of spec 7.1: rounds of runs, one after the other.

A round is an ordinary run in `round_K/`, which a watch may end early; what
rounds are and when they end is in `rounds`. A round after the first begins
with the parameters, class weights and statistics of the best checkpoint so far,
which every round keeps, and without momentum. A round counts as ended when
`rounds.json` says so, which is written last of all; a training that is killed
at any moment therefore goes on within its round, or does its end again.
"""

import dataclasses
from typing import Any

import jax
from ml_collections import ConfigDict

from facejax import files
from facejax.errors import UsageError
from facejax.files import Path, PathLike
from facejax.training import loop, replay, rounds
from facejax.training.loop_changes import check_unchanged
from facejax.training.loop_checks import check_config
from facejax.training.loop_round_best import (
  beginning,
  find_best_step,
  write_best,
)
from facejax.training.loop_round_config import (
  held_out_evaluator,
  held_out_loss,
  round_config,
  round_settings,
)
from facejax.training.loop_setup import build_run
from facejax.training.overfitting import OverfittingWatch
from facejax.training.rounds import RoundRecord, round_folder
from facejax.training.writers import read_rows

PICTURE = 'rounds.png'


def _check_workdir(
  config: ConfigDict, workdir: Path, records: list[RoundRecord]
) -> None:
  """Refuses a folder of another run, or of rounds by another recipe."""
  if (workdir / 'checkpoints').exists():
    raise UsageError(
      f'{workdir} holds a run without rounds: choose another workdir, and '
      'init_from to begin with its model'
    )
  if records:
    # Rounds that have ended were of that length, and ended by these metrics.
    held = (
      'total_steps',
      'log_every_steps',
      'init_from',
      f'evaluators.{held_out_evaluator(config)}',
      'checkpoint.best_metric',
      'checkpoint.best_is',
    )
    check_unchanged(config, workdir / 'config.json', 1, held=held)


def _train_round(
  config: ConfigDict,
  workdir: Path,
  records: list[RoundRecord],
  **options: str,
) -> RoundRecord:
  """Trains the round after some others, or what is left of it."""
  number, settings = len(records), round_settings(config)
  best = rounds.best_round(records, settings.best_is)
  current, folder = round_config(config, number), round_folder(workdir, number)
  run = build_run(current)
  steps = loop.train(
    current,
    folder,
    run=run,
    first_state=beginning(workdir, best),
    watch=OverfittingWatch(held_out_loss(config), config.rounds.patience),
    **options,
  )['step']
  best_step, value = find_best_step(current, folder)
  is_early = steps < current.total_steps
  record = RoundRecord(
    round=number,
    from_round=None if best is None else best.round,
    learning_rate=current.learning_rate.peak,
    weight_decay=[list(rule) for rule in current.weight_decay],
    steps=steps,
    stopped=rounds.OVERFITTING if is_early else rounds.TOTAL_STEPS,
    best_step=best_step,
    metric=value,
    evaluation={},
  )
  if rounds.best_round([*records, record], settings.best_is) is record:
    evaluation = write_best(run, workdir, number, best_step)
    record = dataclasses.replace(record, evaluation=evaluation)
  return record


def _write(
  config: ConfigDict, workdir: Path, records: list[RoundRecord]
) -> None:
  """Notes the end of a round on disk; by the first process alone."""
  # Slow to import, and of use to trainings in rounds alone.
  from facejax.training.rounds_picture import write_picture

  settings, last = round_settings(config), records[-1]
  files.note(
    f'round {last.round}: {last.steps} steps, ended by {last.stopped}; '
    f'{settings.metric} {last.metric:.4f} at step {last.best_step}'
  )
  write_picture(
    workdir / PICTURE,
    records,
    [read_rows(round_folder(workdir, record.round)) for record in records],
    held_out_loss=held_out_loss(config),
    metric=settings.metric,
  )
  rounds.write_records(workdir, records)


def train(
  config: ConfigDict,
  workdir: PathLike,
  *,
  profile_steps: str = '',
  command: str = 'python -m launch.train ...',
) -> dict[str, Any]:
  """Trains in rounds, or goes on with them.

  Writes below `workdir`: `round_0/`, `round_1/`, ... as `loop.train` does;
  `model/`, the best of all rounds so far, `rounds.json` and `rounds.png` after
  each of them; `config.json`.

  Args:
    config: as `configs/base.py` defines it, with `rounds.max_rounds` above 0.
    workdir: folder of the training, shared by all processes.
    profile_steps: of every round, see `loop.train`.
    command: that started the training, for messages.

  Returns:
    step, of all rounds together; loss and images_per_second, of the last one;
    model_dir and `evaluation`, of the best; best_round, metric (its name) and
    best, the value; stopped, 'converged' or 'max_rounds'; rounds, a record of
    each; picture.

  Raises:
    UserError, Interrupted: as `loop.train`; the same command goes on.
  """
  check_config(config)
  workdir, settings = Path(workdir), round_settings(config)
  records = rounds.read_records(workdir)
  _check_workdir(config, workdir, records)
  if jax.process_index() == 0:
    files.write_json(workdir / 'config.json', config.to_dict())
  while rounds.why_over(records, settings) is None:
    record = _train_round(
      config, workdir, records, profile_steps=profile_steps, command=command
    )
    records.append(record)
    if jax.process_index() == 0:
      _write(config, workdir, records)
  return _summary(config, workdir, records)


def _summary(
  config: ConfigDict, workdir: Path, records: list[RoundRecord]
) -> dict[str, Any]:
  """The result of all rounds, from what is on disk."""
  settings = round_settings(config)
  best = rounds.best_round(records, settings.best_is)
  rows = read_rows(round_folder(workdir, records[-1].round))
  logged = [row for row in rows if 'loss' in row] or [{'loss': None}]
  return {
    'step': sum(record.steps for record in records),
    'loss': logged[-1]['loss'],
    'model_dir': str(workdir / 'model'),
    'images_per_second': round(logged[-1].get('images_per_second', 0.0), 1),
    'evaluation': best.evaluation,
    'best_round': best.round,
    'metric': settings.metric,
    'best': best.metric,
    'stopped': rounds.why_over(records, settings),
    'rounds': [record.to_json() for record in records],
    'picture': str(workdir / PICTURE),
  }


def replay_step(
  config: ConfigDict, workdir: PathLike, step: int
) -> dict[str, Any]:
  """`replay.replay` of a step of the round that a training is in.

  Of the last one if it has come to its end.

  Raises:
    UserError: as there.
  """
  check_config(config)
  workdir, settings = Path(workdir), round_settings(config)
  before = rounds.read_records(workdir)
  _check_workdir(config, workdir, before)
  if rounds.why_over(before, settings) is not None:
    before.pop()
  number, best = len(before), rounds.best_round(before, settings.best_is)
  return replay.replay(
    round_config(config, number),
    round_folder(workdir, number),
    step,
    first_state=beginning(workdir, best),
  )
