"""Metrics on disk, one JSON object a line in the order of the steps; speed."""

import json
import math
import time
from typing import Any

import jax

from facejax import files
from facejax.files import Path, PathLike


class Clock:
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


class MetricsWriter:
  """Appends to `metrics.jsonl`; only the first process writes.

  Invariants: lines are ordered by step, and none is later than the checkpoint
  that a run continued from, so a resumed run leaves the same file as one that
  was never interrupted, but for the speeds.
  """

  def __init__(self, workdir: PathLike, *, start_step: int):
    """Opens the file and drops what an interrupted run wrote too much."""
    self._path = Path(workdir) / 'metrics.jsonl'
    self._is_writer = jax.process_index() == 0
    kept = [row for row in self.rows() if row['step'] <= start_step]
    if self._is_writer:
      text = ''.join(json.dumps(row) + '\n' for row in kept)
      files.write_bytes(self._path, text.encode())

  def rows(self) -> list[dict[str, Any]]:
    """All rows so far; a last line cut short by a crash is left out."""
    if not self._path.exists():
      return []
    rows = []
    for line in self._path.read_text().splitlines():
      try:
        rows.append(json.loads(line))
      except json.JSONDecodeError:
        break
    return rows

  def write(self, step: int, values: dict[str, float]) -> None:
    """Appends one row; a value that is not finite becomes null."""
    if not self._is_writer:
      return
    row = {'step': step} | {
      name: value if math.isfinite(value) else None
      for name, value in values.items()
    }
    with self._path.open('a') as file:
      file.write(json.dumps(row) + '\n')
