"""The lock of an index's one writer."""

import fcntl
import os

from facejax.errors import UsageError
from facejax.files import Path

LOCK = 'lock'


def take_lock(path: Path) -> int:
  """Takes the lock of an index; the system drops it when the process ends.

  Args:
    path: of the index.

  Returns:
    A file descriptor; closing it lets the lock go.

  Raises:
    UsageError: another process, or another object of this one, has it.
  """
  descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    owner = os.pread(descriptor, 20, 0).decode('ascii', 'replace').strip()
    os.close(descriptor)
    raise UsageError(
      f'{path} is being written by process {owner or "unknown"}: wait for it, '
      'or open the index for reading'
    ) from None
  os.ftruncate(descriptor, 0)
  os.pwrite(descriptor, str(os.getpid()).encode(), 0)
  return descriptor
