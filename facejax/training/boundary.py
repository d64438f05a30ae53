"""What happens between two steps: metrics, evaluation, checkpoints, models."""

import math
from collections.abc import Mapping
from typing import Any

import jax
from ml_collections import ConfigDict

from facejax import files
from facejax.checkpoint.manager import CheckpointStore
from facejax.data.pipeline import batch_records
from facejax.errors import UsageError, UserError
from facejax.files import Path
from facejax.training.deployed import deployed_rules, float_variables
from facejax.training.evaluators import ScheduledEvaluator
from facejax.training.goodput import Goodput, progress_text
from facejax.training.loop_setup import Run, data_position
from facejax.training.overfitting import OverfittingWatch
from facejax.training.writers import MetricsWriter

# What is not finite once the parameters are spoilt.
_WATCHED = ('loss', 'gradient_norm', 'head_gradient_norm')
_SHOWN_KEYS = 3


def _numbers(metrics: Mapping[str, jax.Array]) -> dict[str, float]:
  """Metrics from the devices, in one transfer."""
  return {k: float(v) for k, v in jax.device_get(dict(metrics)).items()}


class Boundary:
  """The effects of a run between its steps, on every process alike."""

  def __init__(
    self,
    config: ConfigDict,
    run: Run,
    store: CheckpointStore,
    workdir: Path,
    *,
    start: int,
    goodput: Goodput,
    command: str,
    watch: OverfittingWatch | None = None,
  ):
    """Takes up the metrics after `start` steps; `command` is for messages."""
    self.config, self.run, self.store = config, run, store
    self.workdir, self.goodput, self.command = workdir, goodput, command
    self.writer = MetricsWriter(workdir, start_step=start)
    self._measured: dict[str, float] = {}
    # Other processes may still see what the first is about to drop.
    rows = [row for row in self.writer.rows() if row['step'] <= start]
    name = config.checkpoint.best_metric
    self._best = self._better(
      row[name] for row in rows if row.get(name) is not None
    )
    self._improved = False
    self._watch = watch
    for row in rows if watch else ():
      watch.add(row)

  @property
  def _ternary(self) -> Any:
    return self.run.learner.ternary_schedule

  def _better(self, values: Any) -> float | None:
    choose = max if self.config.checkpoint.best_is == 'max' else min
    return choose(values, default=None)

  def _is_last(self, steps_done: int) -> bool:
    return steps_done == self.config.total_steps

  def _turns(self, steps_done: int) -> bool:
    """Whether the next step is the first ternary one after float ones."""
    schedule = self._ternary
    return schedule is not None and steps_done == schedule.from_step > 0

  def _saves(self, steps_done: int) -> bool:
    every = self.config.checkpoint.every_steps
    return self._is_last(steps_done) or steps_done % every == 0

  def _evaluators(self, steps_done: int) -> list[ScheduledEvaluator]:
    always = self._is_last(steps_done) or self._turns(steps_done)
    return [e for e in self.run.evaluators if always or e.due(steps_done)]

  @property
  def is_watched(self) -> bool:
    """Whether the run is one of several, and may end before its last step."""
    return self._watch is not None

  @property
  def overfits(self) -> bool:
    """Whether the run is to end here, since it overfits."""
    return self._watch is not None and self._watch.overfits

  def _write(self, steps_done: int, values: dict[str, float]) -> None:
    """Writes metrics, and looks at them."""
    self.writer.write(steps_done, values)
    if self._watch is not None:
      self._watch.add(values)

  def is_due(self, steps_done: int) -> bool:
    """Whether anything but the next step is to be done."""
    return bool(
      self._saves(steps_done)
      or self._turns(steps_done)
      or self._evaluators(steps_done)
    )

  def visit(self, steps_done: int) -> None:
    """Evaluates and saves what is due after `steps_done` steps."""
    with self.goodput.spend('evaluation'):
      self._evaluate(steps_done)
    with self.goodput.spend('checkpoint'):
      if self._improved:
        self._write_model('model_best', steps_done)
      if self._turns(steps_done):
        self._write_model('model_float', steps_done)
      if self._saves(steps_done) or self._improved:
        self.save(steps_done)

  def begin(self, start: int) -> None:
    """Makes up for a float model that the run so far was not asked for."""
    folder = self.workdir / 'model_float'
    if self._turns(start) and not (folder / 'model.json').exists():
      self._evaluate(start)
      self._write_model('model_float', start)

  def _write_model(self, name: str, steps_done: int) -> None:
    self.run.exporter.write(self.workdir / name, self.run.state, steps_done)

  def _evaluate(self, steps_done: int) -> None:
    # On every process, each by itself: one that waited for the first could
    # run into the time limit of its next collective operation.
    self._measured, self._improved = {}, False
    due = self._evaluators(steps_done)
    if not due:
      return
    outputs = self.run.exporter.outputs_function(self.run.state, steps_done)
    for evaluator in due:
      measured = evaluator.run(outputs)
      self._measured |= measured
      self._write(steps_done, measured)
      if jax.process_index() == 0:
        text = ' '.join(f'{k}={v:.4f}' for k, v in measured.items())
        files.note(f'step {steps_done}: {text}')
    self._compare()

  def _compare(self) -> None:
    """Notes whether the model is the best so far."""
    name = self.config.checkpoint.best_metric
    evaluator = name.rpartition('/')[0] + '/'
    if not name or not any(k.startswith(evaluator) for k in self._measured):
      return
    if name not in self._measured:
      raise UsageError(
        f'checkpoint.best_metric={name!r}: that evaluator measures '
        + ', '.join(k for k in self._measured if k.startswith(evaluator))
      )
    value = self._measured[name]
    if math.isfinite(value):
      known = [value] if self._best is None else [self._best, value]
      self._improved = self._better(known) == value != self._best
      self._best = self._better(known)

  def save(self, steps_done: int) -> None:
    """Starts to save a checkpoint, if that step is not saved already."""
    rules = deployed_rules(self._ternary, steps_done)
    packed = None
    if rules is not None:
      packed = (float_variables(self.run.state)['params'], rules)
    self.store.save(
      steps_done,
      self.run.state,
      packed=packed,
      data_position=data_position(self.config, self.run, steps_done),
      metrics=self._measured,
    )

  def finish_step(self, steps_done: int, metrics: Any, bar: Any) -> None:
    """Waits for a step; writes its metrics where they are due.

    Raises:
      UserError: its loss is not finite; nothing of it is saved.
    """
    self.goodput.wait(metrics)
    self.goodput.step_done(self.config.data.batch_size)
    if (
      self._is_last(steps_done) or not steps_done % self.config.log_every_steps
    ):
      values = _numbers(metrics) | self.goodput.metrics()
      self._write(steps_done, values)
      bar.set_postfix_str(progress_text(values), refresh=False)
    watched = _numbers({name: metrics[name] for name in _WATCHED})
    if not all(map(math.isfinite, watched.values())):
      raise UserError(self._not_finite(steps_done, watched))

  def _not_finite(self, step: int, found: Mapping[str, float]) -> str:
    """What to do about it; the images of the batch are listed in a file."""
    records = batch_records(
      self.run.source,
      step=step - 1,
      batch_size=self.config.data.batch_size,
      seed=self.config.seed,
    )
    path = self.workdir / f'not_finite_step_{step}.json'
    found = {name: repr(found[name]) for name in _WATCHED}
    images = [
      {'index': index, 'key': key, 'label': label}
      for index, key, label in records
    ]
    if jax.process_index() == 0:
      files.write_json(path, {'step': step, **found, 'images': images})
    keys = ', '.join(key for _, key, _ in records[:_SHOWN_KEYS])
    unnamed = max(0, len(records) - _SHOWN_KEYS)
    return (
      f'the loss or its gradient is not finite at step {step} ('
      + ', '.join(f'{name} {value}' for name, value in found.items())
      + f'), with the images {keys} and {unnamed} more '
      f'({path} lists them); look closer by: {self.command} '
      f'--replay_step={step}; to train on, lower learning_rate.peak, set '
      'optimizer.clip_norm, or lengthen loss.warmup_steps and '
      'learning_rate.warmup_steps; the last checkpoint is intact'
    )

  def close(self) -> None:
    """Closes the files."""
    self.writer.close()
