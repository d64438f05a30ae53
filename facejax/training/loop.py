"""The training loop: the place where effects happen, in this order.

Restore; then, between any two steps, evaluate, checkpoint, take the next
batch, start the step, and log the one before while it runs.
"""

import math
import sys
import time
from typing import Any

import jax
from ml_collections import ConfigDict

from facejax import files
from facejax.checkpoint.manager import CheckpointStore
from facejax.errors import UserError
from facejax.files import Path, PathLike
from facejax.training.evaluators import ScheduledEvaluator
from facejax.training.loop_setup import (
  Run,
  build_run,
  data_position,
  make_batches,
  resume_or_start,
)
from facejax.training.state import split_head
from facejax.training.writers import MetricsWriter


class _Clock:
  """Seconds spent on steps: compilation and pauses do not count."""

  def __init__(self):
    self._seconds, self._images, self._since = 0.0, 0, None

  def pause(self) -> None:
    """Stops until the next step is done."""
    if self._since is not None:
      self._seconds += time.perf_counter() - self._since
    self._since = None

  def step_done(self, images: int) -> None:
    """Counts a step; the first after a pause only starts the clock."""
    if self._since is None:
      self._since = time.perf_counter()
    else:
      self._images += images

  def rate(self) -> float:
    """Images per second so far; 0 before the second step."""
    running = time.perf_counter() - self._since if self._since else 0.0
    seconds = self._seconds + running
    return self._images / seconds if self._images else 0.0


class _Boundary:
  """What happens between two steps: evaluation, checkpoint, model."""

  def __init__(
    self,
    config: ConfigDict,
    run: Run,
    store: CheckpointStore,
    writer: MetricsWriter,
    workdir: Path,
  ):
    self.config, self.run, self.store = config, run, store
    self.writer, self.workdir = writer, workdir

  def visit(self, steps_done: int, clock: _Clock) -> None:
    """Evaluates and saves what is due after `steps_done` steps."""
    last = steps_done == self.config.total_steps
    schedule = self.run.ternary_schedule
    turns = schedule is not None and steps_done == schedule.from_step > 0
    due = [e for e in self.run.evaluators if e.due(steps_done) or last or turns]
    saves = last or steps_done % self.config.checkpoint.every_steps == 0
    if not (due or saves or turns):
      return
    jax.block_until_ready(self.run.state)
    clock.pause()
    if due and jax.process_index() == 0:
      self._evaluate(due, steps_done)
    if saves:
      self._save(steps_done)
    if turns and not last:
      self.run.exporter.write(
        self.workdir / 'model_float', self.run.state, steps_done
      )

  def _evaluate(self, due: list[ScheduledEvaluator], steps_done: int) -> None:
    embed = self.run.exporter.embed_function(self.run.state, steps_done)
    for evaluator in due:
      measured = evaluator.run(embed)
      self.writer.write(steps_done, measured)
      text = ' '.join(f'{k}={v:.4f}' for k, v in measured.items())
      print(f'step {steps_done}: {text}', file=sys.stderr)

  def _save(self, steps_done: int) -> None:
    schedule = self.run.ternary_schedule
    packed = None
    if schedule is not None and schedule.active(steps_done):
      packed = (split_head(self.run.state.params)[0], schedule.rules)
    self.store.save(
      steps_done,
      self.run.state,
      packed=packed,
      data_position=data_position(self.config, self.run, steps_done),
    )


def _log(
  writer: MetricsWriter, clock: _Clock, bar: Any, steps_done: int, metrics: Any
) -> None:
  """Fetches and writes the metrics of a finished step."""
  values = {name: float(value) for name, value in metrics.items()}
  writer.write(steps_done, values | {'images_per_second': clock.rate()})
  bar.set_postfix_str(
    f'loss {values["loss"]:.3f}, {clock.rate():.0f} images/s', refresh=False
  )
  if not math.isfinite(values['loss']):
    raise UserError(
      f'the loss is not finite at step {steps_done}: lower learning_rate.peak '
      'or lengthen loss.warmup_steps, and start from the last checkpoint'
    )


def _steps(
  config: ConfigDict, run: Run, boundary: _Boundary, start: int
) -> _Clock:
  """Runs the steps from `start` on; `run.state` ends up trained."""
  clock, waiting = _Clock(), None
  batches = make_batches(config, run, start)
  bar = files.progress(
    range(start, config.total_steps), desc='train', unit='step'
  )
  for number in bar:
    batch = next(batches)
    with jax.transfer_guard('disallow'):
      run.state, metrics = run.compiled_step(run.state, batch)
    if waiting is not None:
      jax.block_until_ready(waiting)
      clock.step_done(config.data.batch_size)
      if number % config.log_every_steps == 0:
        _log(boundary.writer, clock, bar, number, waiting)
    waiting = metrics
    boundary.visit(number + 1, clock)
  if waiting is not None:
    _log(boundary.writer, clock, bar, config.total_steps, waiting)
  batches.close()
  return clock


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
    if jax.process_index() == 0:
      files.write_json(workdir / 'config.json', config.to_dict())
    writer = MetricsWriter(workdir, start_step=start)
    boundary = _Boundary(config, run, store, writer, workdir)
    clock = _steps(config, run, boundary, start)
  run.exporter.write(workdir / 'model', run.state, config.total_steps)
  return _summary(config, run, writer.rows(), workdir, clock)


def _summary(
  config: ConfigDict, run: Run, rows: list[dict], workdir: Path, clock: _Clock
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

  losses = [row['loss'] for row in rows if 'loss' in row]
  result = {
    'step': config.total_steps,
    'loss': losses[-1] if losses else None,
    'model_dir': str(workdir / 'model'),
    'images_per_second': round(clock.rate(), 1),
    'evaluation': evaluation(config.total_steps),
  }
  schedule = run.ternary_schedule
  if schedule and 0 < schedule.from_step < config.total_steps:
    result['model_float_dir'] = str(workdir / 'model_float')
    result['evaluation_float'] = evaluation(schedule.from_step)
  return result
