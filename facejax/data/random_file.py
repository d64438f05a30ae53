"""A file read at any place, from any thread, local or remote."""

import os
import threading
import weakref

from facejax.data.remote import check_reachable, is_remote
from facejax.errors import DataError
from facejax.files import PathLike


class RandomFile:
  """Reads spans of one file; picklable and thread-safe.

  A local file is read through one descriptor without a lock, since a read
  names its place. A remote one is a stream whose place the threads share.

  Attributes:
    path: the file.
    size: its bytes when it was opened.
  """

  def __init__(self, path: PathLike):
    """Opens the file.

    Raises:
      DataError: it is missing, unreadable or no regular file.
      UsageError: a remote path of a kind that cannot be read here.
    """
    self.path = check_reachable(path)
    self._open()

  def _open(self) -> None:
    self._descriptor, self._stream = None, None
    try:
      if not self.path.is_file():
        problem = 'is not a file' if self.path.exists() else 'does not exist'
        raise DataError(f'{self.path} {problem}')
      if is_remote(self.path):
        self._stream = self.path.open('rb')
        self._lock = threading.Lock()
        self.size = self.path.stat().length
        self._finalizer = weakref.finalize(self, self._stream.close)
      else:
        self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        self.size = os.fstat(self._descriptor).st_size
    except OSError as error:
      raise DataError(
        f'{self.path}: cannot be opened ({error.strerror or error})'
      ) from None

  def __getstate__(self):
    return {'path': self.path}

  def __setstate__(self, state):
    self.path = state['path']
    self._open()

  def read(self, offset: int, length: int) -> bytes:
    """`length` bytes from the byte `offset` on.

    Raises:
      DataError: the file ends before, or the disk fails.
    """
    if offset < 0 or length < 0 or offset + length > self.size:
      raise DataError(
        f'{self.path}: is cut short: it ends at byte {self.size}, but bytes '
        f'{offset} to {offset + length} are needed; copy the file again'
      )
    try:
      read = self._read_local if self._stream is None else self._read_remote
      data = read(offset, length)
    except OSError as error:
      raise DataError(
        f'{self.path}: cannot be read at byte {offset} '
        f'({error.strerror or error})'
      ) from None
    if len(data) < length:
      raise DataError(
        f'{self.path}: shrank while it was read: nothing stands at byte '
        f'{offset + len(data)} any more'
      )
    return data

  def _read_local(self, offset: int, length: int) -> bytes:
    """One call of the system, several where it gives less than asked for."""
    data = os.pread(self._descriptor, length, offset)
    while len(data) < length:
      more = os.pread(self._descriptor, length - len(data), offset + len(data))
      if not more:
        break
      data += more
    return data

  def _read_remote(self, offset: int, length: int) -> bytes:
    with self._lock:
      self._stream.seek(offset)
      return self._stream.read(length)

  def close(self) -> None:
    """Gives the descriptor back; without a call, the last reference does."""
    self._finalizer()
