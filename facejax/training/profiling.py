"""A profile of some steps of a run, on request."""

import re
from typing import Any

import jax

from facejax import files
from facejax.errors import UsageError
from facejax.files import Path, PathLike


def parse_window(text: str) -> tuple[int, int] | None:
  """The steps that a setting like '10:15' asks for; None for ''.

  Returns:
    (first, last), counted from 1 as in the metrics, both profiled.

  Raises:
    UsageError: no two numbers, or a window without a step.
  """
  if not text:
    return None
  match = re.fullmatch(r'([0-9]+):([0-9]+)', text)
  if match is None:
    raise UsageError(
      f'profile {text!r}: give the first and the last step, for example 10:15'
    )
  first, last = map(int, match.groups())
  if not 1 <= first <= last:
    raise UsageError(
      f'profile {text!r}: use a first step from 1 on and a last one that is '
      'not before it'
    )
  return first, last


class ProfileWindow:
  """Traces a window of steps into `profile/` of a run, once.

  Each step is started within `annotate(step)` and then told to `started`; in
  the end there is `close`. With several processes the first one traces, and
  with it the devices of its host.
  """

  def __init__(
    self,
    workdir: PathLike,
    first: int,
    last: int,
    *,
    start_step: int = 0,
  ):
    """Gets ready; notes where the run goes on too late for it.

    Args:
      workdir: folder of the run, on a local disk.
      first: step, counted from 1, before which the trace starts; 0 for no
        profile at all.
      last: step after which it stops.
      start_step: steps that were done before this process.
    """
    self._folder = Path(workdir) / 'profile'
    self._first, self._last = first, last
    self._is_due = first > start_step and jax.process_index() == 0
    self._is_running = False
    if 0 < first <= start_step and jax.process_index() == 0:
      files.note(
        f'no profile of steps {first} to {last}: the run goes on after step '
        f'{start_step}'
      )

  def annotate(self, step: int) -> jax.profiler.StepTraceAnnotation:
    """A context in which a step is started, by its number in the trace."""
    if self._is_due and step >= self._first:
      self._is_due, self._is_running = False, True
      jax.profiler.start_trace(self._folder, create_perfetto_trace=True)
    return jax.profiler.StepTraceAnnotation('train', step_num=step)

  def started(self, step: int, result: Any) -> None:
    """Stops after the last step, for whose arrays `result` it waits."""
    if self._is_running and step >= self._last:
      jax.block_until_ready(result)
      self._stop()

  def close(self) -> None:
    """Stops a trace that is running; notes one that never began."""
    if self._is_running:
      self._stop()
    if self._is_due:
      self._is_due = False
      files.note(f'no profile: the run ended before step {self._first}')

  def _stop(self) -> None:
    self._is_running = False
    jax.profiler.stop_trace()
    files.note(
      f'profile of steps {self._first} to {self._last}: open '
      f'{self._folder}/plugins/profile/*/perfetto_trace.json.gz at '
      'https://ui.perfetto.dev, or pip install xprof and run '
      f'xprof --logdir={self._folder}'
    )
