"""Event files of TensorBoard, by its own library and without TensorFlow."""

import socket
import time
from collections.abc import Mapping

from facejax.files import Path, PathLike


class EventFile:
  """One new event file; what `write` was given is there when it returns.

  Invariants: opens with a marker that makes TensorBoard drop the steps after
  `start_step` of the files before it, which a run that was interrupted wrote
  too much; its name sorts behind theirs.

  The protocol buffers and the framing are the library's. Its `EventFileWriter`
  is not used: it writes from a thread, and takes TensorFlow where there is one.
  """

  def __init__(self, folder: PathLike, *, start_step: int):
    """Creates the file.

    Args:
      folder: where TensorBoard looks; is created.
      start_step: steps done; the first to come is the next.
    """
    # Slow to import, and of use to the process alone that writes.
    from tensorboard.compat.proto import event_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    self._event = event_pb2.Event
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = f'events.out.tfevents.{time.time_ns()}.{socket.gethostname()}'
    self._file = (folder / name).open('wb')
    self._records = RecordWriter(self._file)
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._append(file_version='brain.Event:2')
    self._append(step=start_step + 1, session_log=start)

  def _append(self, **fields) -> None:
    event = self._event(wall_time=time.time(), **fields)
    self._records.write(event.SerializeToString())
    self._records.flush()

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Appends scalars by name, in float32; those not finite as they are."""
    scalars = [
      {'tag': name, 'simple_value': value} for name, value in values.items()
    ]
    self._append(step=step, summary={'value': scalars})

  def close(self) -> None:
    """Closes the file; a storage like gs:// shows it only from then on."""
    self._records.close()
