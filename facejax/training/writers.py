"""Metrics on disk: one JSON object a line, and event files of TensorBoard."""

import json
import math
from typing import Any

import jax

from facejax import files
from facejax.checkpoint import disk
from facejax.files import Path, PathLike
from facejax.training.event_file import EventFile


def read_rows(workdir: PathLike) -> list[dict[str, Any]]:
  """All rows of a run so far; a last line cut short by a crash is left out."""
  path = Path(workdir) / 'metrics.jsonl'
  if not path.exists():
    return []
  rows = []
  for line in path.read_text().splitlines():
    try:
      rows.append(json.loads(line))
    except json.JSONDecodeError:
      break
  return rows


class MetricsWriter:
  """Appends to `metrics.jsonl` and, for TensorBoard, to an event file.

  Invariants: lines are ordered by step, and none is later than the checkpoint
  that a run continued from, so a resumed run leaves the same file as one that
  was never interrupted, but for the speeds; TensorBoard shows the same steps.
  Only the first process writes. What `write` was given is on disk when it
  returns.
  """

  def __init__(
    self, workdir: PathLike, *, start_step: int, tensorboard: bool = True
  ):
    """Opens the files and drops what an interrupted run wrote too much.

    Args:
      workdir: folder of the run; the event files go to `tensorboard/` in it.
      start_step: of the checkpoint that the run goes on from, or 0.
      tensorboard: whether event files are written.
    """
    self._path = Path(workdir) / 'metrics.jsonl'
    self._is_writer = jax.process_index() == 0
    self._events = None
    kept = [row for row in self.rows() if row['step'] <= start_step]
    if self._is_writer:
      text = ''.join(json.dumps(row) + '\n' for row in kept)
      files.write_bytes(self._path, text.encode())
      if tensorboard:
        folder = Path(workdir) / 'tensorboard'
        self._events = EventFile(folder, start_step=start_step)

  def rows(self) -> list[dict[str, Any]]:
    """All rows so far, see `read_rows`."""
    return read_rows(self._path.parent)

  def write(self, step: int, values: dict[str, float]) -> None:
    """Appends one row; a value that is not finite becomes null in JSON.

    Raises:
      CheckpointError: the disk is full.
    """
    if not self._is_writer:
      return
    row = {'step': step} | {
      name: value if math.isfinite(value) else None
      for name, value in values.items()
    }
    with disk.full_disk_is_an_error(self._path):
      with self._path.open('a') as file:
        file.write(json.dumps(row) + '\n')
      if self._events is not None:
        self._events.write(step, values)

  def close(self) -> None:
    """Closes the event file; nothing may be written after it."""
    if self._events is not None:
      self._events.close()
