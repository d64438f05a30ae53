"""The training loop: the place where effects happen, in this order.

Restore; then, between any two steps, log, evaluate, checkpoint, take the next
batch, start the step, and log the one before while it runs. All that belongs
to a step is written before its checkpoint, so that a run which is killed at
any moment and goes on leaves the same files as one that never stopped.
"""

import contextlib
import math
from typing import Any

import jax
from ml_collections import ConfigDict

from facejax import files
from facejax.checkpoint.manager import CheckpointStore
from facejax.errors import UserError
from facejax.files import Path, PathLike
from facejax.training.evaluators import ScheduledEvaluator
from facejax.training.loop_checks import check_unchanged
from facejax.training.loop_setup import (
  Run,
  build_run,
  data_position,
  make_batches,
  resume_or_start,
)
from facejax.training.state import split_head
from facejax.training.step import deployed_rules
from facejax.training.writers import Clock, MetricsWriter


class _Boundary:
  """What happens between two steps: metrics, evaluation, checkpoint, model."""

  def __init__(
    self,
    config: ConfigDict,
    run: Run,
    store: CheckpointStore,
    workdir: Path,
    start: int,
  ):
    self.config, self.run, self.store = config, run, store
    self.workdir, self.clock = workdir, Clock()
    self.writer = MetricsWriter(workdir, start_step=start)

  def _is_last(self, steps_done: int) -> bool:
    return steps_done == self.config.total_steps

  def _turns(self, steps_done: int) -> bool:
    """Whether the next step is the first ternary one after float ones."""
    schedule = self.run.ternary_schedule
    return schedule is not None and steps_done == schedule.from_step > 0

  def _saves(self, steps_done: int) -> bool:
    every = self.config.checkpoint.every_steps
    return self._is_last(steps_done) or steps_done % every == 0

  def _evaluators(self, steps_done: int) -> list[ScheduledEvaluator]:
    always = self._is_last(steps_done) or self._turns(steps_done)
    return [e for e in self.run.evaluators if always or e.due(steps_done)]

  def is_due(self, steps_done: int) -> bool:
    """Whether anything but the next step is to be done."""
    return bool(
      self._saves(steps_done)
      or self._turns(steps_done)
      or self._evaluators(steps_done)
    )

  def visit(self, steps_done: int) -> None:
    """Evaluates and saves what is due after `steps_done` steps."""
    self.clock.pause()
    self._evaluate(steps_done)
    if self._turns(steps_done):
      self._write_float_model(steps_done)
    if self._saves(steps_done):
      self._save(steps_done)

  def begin(self, start: int) -> None:
    """Makes up for a float model that the run so far was not asked for."""
    folder = self.workdir / 'model_float'
    if self._turns(start) and not (folder / 'model.json').exists():
      self._evaluate(start)
      self._write_float_model(start)

  def _write_float_model(self, steps_done: int) -> None:
    folder = self.workdir / 'model_float'
    self.run.exporter.write(folder, self.run.state, steps_done)

  def _evaluate(self, steps_done: int) -> None:
    # On every process, each by itself: one that waited for the first could
    # run into the time limit of its next collective operation.
    due = self._evaluators(steps_done)
    if not due:
      return
    embed = self.run.exporter.embed_function(self.run.state, steps_done)
    for evaluator in due:
      measured = evaluator.run(embed)
      self.writer.write(steps_done, measured)
      if jax.process_index() == 0:
        text = ' '.join(f'{k}={v:.4f}' for k, v in measured.items())
        files.note(f'step {steps_done}: {text}')

  def _save(self, steps_done: int) -> None:
    rules = deployed_rules(self.run.ternary_schedule, steps_done)
    packed = None
    if rules is not None:
      packed = (split_head(self.run.state.params)[0], rules)
    self.store.save(
      steps_done,
      self.run.state,
      packed=packed,
      data_position=data_position(self.config, self.run, steps_done),
    )

  def finish_step(self, steps_done: int, metrics: Any, bar: Any) -> None:
    """Waits for a step; writes its metrics where they are due.

    Raises:
      UserError: its loss is not finite; nothing of it is saved.
    """
    jax.block_until_ready(metrics)
    self.clock.step_done(self.config.data.batch_size)
    logs = (
      self._is_last(steps_done) or steps_done % self.config.log_every_steps == 0
    )
    if not logs and not self.is_due(steps_done):
      return
    values = {name: float(value) for name, value in metrics.items()}
    rate = self.clock.rate()
    if logs:
      self.writer.write(steps_done, values | {'images_per_second': rate})
    bar.set_postfix_str(
      f'loss {values["loss"]:.3f}, {rate:.0f} images/s', refresh=False
    )
    # A gradient that is not finite spoils the parameters of this very step.
    if not all(math.isfinite(values[k]) for k in ('loss', 'gradient_norm')):
      raise UserError(
        f'the loss is not finite at step {steps_done}: lower '
        'learning_rate.peak or lengthen loss.warmup_steps and '
        'learning_rate.warmup_steps; the last checkpoint is intact'
      )


def _steps(
  config: ConfigDict, run: Run, boundary: _Boundary, start: int
) -> None:
  """Runs the steps from `start` on; `run.state` ends up trained."""
  bar = files.progress(
    range(start, config.total_steps), desc='train', unit='step'
  )
  with (
    contextlib.closing(bar),
    contextlib.closing(make_batches(config, run, start)) as batches,
  ):
    running = None
    for before in bar:
      batch = next(batches)
      with jax.transfer_guard('disallow'):
        run.state, metrics = run.compiled_step(run.state, batch)
      if running is not None:
        boundary.finish_step(before, running, bar)
      running = metrics
      if boundary.is_due(before + 1):
        boundary.finish_step(before + 1, running, bar)
        running = None
        boundary.visit(before + 1)


def train(config: ConfigDict, workdir: PathLike) -> dict[str, Any]:
  """Trains, or continues, a run and writes its model directory.

  Writes below `workdir`: `checkpoints/`, `metrics.jsonl`, `config.json`,
  `model/` at the end and, where ternary training starts within the run,
  `model_float/` at that moment.

  Args:
    config: as `configs/base.py` defines it.
    workdir: folder of the run, shared by all processes.

  Returns:
    step, loss, model_dir, images_per_second; `evaluation`, the last values of
    every evaluator; for a run that turns ternary also model_float_dir and
    `evaluation_float`, the values just before it did.

  Raises:
    UserError: a config, data set or checkpoint that cannot be used, a loss
      that is not finite, a full disk; what was saved before stays.
  """
  workdir = Path(workdir)
  run = build_run(config)
  with CheckpointStore(
    workdir / 'checkpoints', max_to_keep=config.checkpoint.keep
  ) as store:
    start = resume_or_start(config, run, store)
    if start:
      check_unchanged(config, workdir / 'config.json', start)
    if jax.process_index() == 0:
      files.write_json(workdir / 'config.json', config.to_dict())
    boundary = _Boundary(config, run, store, workdir, start)
    boundary.begin(start)
    _steps(config, run, boundary, start)
  run.exporter.write(workdir / 'model', run.state, config.total_steps)
  return _summary(config, run, boundary.writer.rows(), workdir)


def _summary(
  config: ConfigDict, run: Run, rows: list[dict], workdir: Path
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
  last = logged[-1] if logged else {'loss': None, 'images_per_second': 0.0}
  result = {
    'step': config.total_steps,
    'loss': last['loss'],
    'model_dir': str(workdir / 'model'),
    'images_per_second': round(last['images_per_second'], 1),
    'evaluation': evaluation(config.total_steps),
  }
  schedule = run.ternary_schedule
  if schedule and 0 < schedule.from_step < config.total_steps:
    result['model_float_dir'] = str(workdir / 'model_float')
    result['evaluation_float'] = evaluation(schedule.from_step)
  return result
