"""The training loop: the place where effects happen, in this order.

Restore; then, between any two steps, log, evaluate, checkpoint, take the next
batch, start the step, and log the one before while it runs. All that belongs
to a step is written before its checkpoint, so that a run which is killed at
any moment and goes on leaves the same files as one that never stopped.
"""

import contextlib
from typing import Any

import jax
from ml_collections import ConfigDict

from facejax import files
from facejax.checkpoint.manager import CheckpointStore
from facejax.errors import Interrupted, UsageError
from facejax.files import Path, PathLike
from facejax.parallel.multihost import StopSignal, peer_failure
from facejax.training.boundary import Boundary
from facejax.training.goodput import Goodput
from facejax.training.loop_changes import check_unchanged
from facejax.training.loop_setup import (
  FirstState,
  Run,
  build_run,
  make_batches,
  resume_or_start,
)
from facejax.training.overfitting import OverfittingWatch
from facejax.training.profiling import ProfileWindow, parse_window
from facejax.training.rounds import FILE as ROUNDS


def _stop(boundary: Boundary, steps_done: int) -> None:
  """Saves and ends the run before its end.

  Raises:
    Interrupted: always.
  """
  boundary.save(steps_done)
  boundary.store.wait_until_finished()
  raise Interrupted(
    f'stopped by SIGTERM after step {steps_done} of '
    f'{boundary.config.total_steps}, which is saved: run the same command '
    'again to go on'
  )


def _steps(
  config: ConfigDict,
  run: Run,
  boundary: Boundary,
  profile: ProfileWindow,
  start: int,
) -> int:
  """Runs the steps from `start` on; `run.state` ends up trained.

  Returns:
    The steps done: all, or fewer of a run that overfits.
  """
  if boundary.overfits:
    return start
  goodput = boundary.goodput
  bar = files.progress(
    range(start, config.total_steps),
    desc='train',
    unit='step',
    total=config.total_steps,
    initial=start,
    shown=jax.process_index() == 0,
  )
  with (
    contextlib.closing(bar),
    contextlib.closing(make_batches(config, run, start)) as batches,
    StopSignal() as stop,
  ):
    running = None
    for before in bar:
      with goodput.spend('data'):
        batch = next(batches)
      with profile.annotate(before + 1), jax.transfer_guard('disallow'):
        run.state, metrics = run.compiled_step(run.state, batch)
      profile.started(before + 1, metrics)
      if running is not None:
        boundary.finish_step(before, running, bar)
      running = metrics
      stops = stop.reached(before + 1)
      if stops or boundary.is_due(before + 1):
        boundary.finish_step(before + 1, running, bar)
        running = None
        boundary.visit(before + 1)
      is_last = before + 1 == config.total_steps
      # What follows a watched run must not begin.
      if stops and (boundary.is_watched or not is_last):
        _stop(boundary, before + 1)
      if boundary.overfits:
        boundary.save(before + 1)
        return before + 1
  return config.total_steps


def train(
  config: ConfigDict,
  workdir: PathLike,
  *,
  profile_steps: str = '',
  command: str = 'python -m launch.train ...',
  run: Run | None = None,
  first_state: FirstState | None = None,
  watch: OverfittingWatch | None = None,
) -> dict[str, Any]:
  """Trains, or continues, a run and writes its model directory.

  Writes below `workdir`: `checkpoints/`, `metrics.jsonl`, `tensorboard/`,
  `config.json`, `model/` at the end; `model_best/` whenever
  `checkpoint.best_metric` improves; where ternary training starts within the
  run, `model_float/` at that moment.

  Args:
    config: as `configs/base.py` defines it.
    workdir: folder of the run, shared by all processes.
    profile_steps: steps to profile, such as '10:15', into `profile/`.
    command: that started the run, for messages.
    run: built from `config` already; its state moves on.
    first_state: see `resume_or_start`.
    watch: ends the run at a check where it overfits; None never.

  Returns:
    step, loss, model_dir, images_per_second, goodput; `evaluation`, the last
    values of every evaluator; for a run that keeps its best model_best_dir;
    for one that turns ternary also model_float_dir and `evaluation_float`, the
    values just before it did.

  Raises:
    UserError: a config, data set or checkpoint that cannot be used, a loss
      that is not finite, a full disk; what was saved before stays.
    Interrupted: SIGTERM came; the step it came in is saved.
  """
  goodput, workdir = Goodput(), Path(workdir)
  window = parse_window(profile_steps) or (0, 0)
  if (workdir / ROUNDS).exists():
    raise UsageError(
      f'{workdir} holds a training in rounds: set rounds.max_rounds to go on '
      'with it, or choose another workdir'
    )
  if run is None:
    run = build_run(config)
  with contextlib.ExitStack() as stack:
    store = stack.enter_context(
      CheckpointStore(
        workdir / 'checkpoints',
        max_to_keep=config.checkpoint.keep,
        keep_best=config.checkpoint.best_metric or None,
        best_is=config.checkpoint.best_is,
      )
    )
    start = resume_or_start(config, run, store, first_state=first_state)
    if start:
      check_unchanged(config, workdir / 'config.json', start)
    if jax.process_index() == 0:
      files.write_json(workdir / 'config.json', config.to_dict())
    boundary = Boundary(
      config,
      run,
      store,
      workdir,
      start=start,
      goodput=goodput,
      command=command,
      watch=watch,
    )
    stack.callback(boundary.close)
    profile = ProfileWindow(workdir, *window, start_step=start)
    stack.callback(profile.close)
    # Before the store closes, which waits for a save unless a peer is lost.
    stack.enter_context(peer_failure())
    boundary.begin(start)
    steps_done = _steps(config, run, boundary, profile, start)
  run.exporter.write(workdir / 'model', run.state, steps_done)
  return _summary(run, boundary.writer.rows(), workdir, steps_done)


def _summary(
  run: Run, rows: list[dict], workdir: Path, steps_done: int
) -> dict[str, Any]:
  """The result of a run, from its rows of metrics."""

  def evaluation(step: int) -> dict[str, float]:
    return {
      name: value
      for row in rows
      if row['step'] == step
      for name, value in row.items()
      if name.startswith('evaluation/')
    }

  logged = [row for row in rows if 'loss' in row]
  last = logged[-1] if logged else {'loss': None}
  result = {
    'step': steps_done,
    'loss': last['loss'],
    'model_dir': str(workdir / 'model'),
    'images_per_second': round(last.get('images_per_second', 0.0), 1),
    'goodput': round(last.get('goodput', 0.0), 3),
    'evaluation': evaluation(steps_done),
  }
  if (workdir / 'model_best' / 'model.json').exists():
    result['model_best_dir'] = str(workdir / 'model_best')
  schedule = run.learner.ternary_schedule
  if schedule and 0 < schedule.from_step < steps_done:
    result['model_float_dir'] = str(workdir / 'model_float')
    result['evaluation_float'] = evaluation(schedule.from_step)
  return result
