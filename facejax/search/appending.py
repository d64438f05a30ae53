"""Files that only grow, and writing that survives a loss of power."""

import os
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facejax.files import Path
from facejax.search.manifest import FileState

_BLOCK = 1 << 24  # bytes that are written or summed up at a time
_THREADS = 8  # that wait for the disk

# What has bytes: bytes, or an array in C order.
Content = bytes | np.ndarray


def view_bytes(content: Content) -> memoryview:
  """The bytes of a content, uncopied where it is contiguous."""
  if isinstance(content, np.ndarray):
    content = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
  return memoryview(content)


def sync_folder(folder: Path) -> None:
  """Makes names that were created or replaced in a folder durable."""
  descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def write_durably(path: Path, content: bytes) -> None:
  """Writes a file atomically; when it returns, a loss of power cannot undo it.

  `files.write_bytes` leaves to the system when the bytes reach the disk, which
  is not enough for a file that others are to agree with.
  """
  temporary = path.parent / f'.{path.name}.tmp'
  with open(temporary, 'wb') as file:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())
  os.replace(temporary, path)
  sync_folder(path.parent)


class AppendedFiles:
  """The files of a generation, open for appending.

  Invariant: the bytes up to a file's committed size are never written again,
  so that readers may have them mapped.
  """

  def __init__(self, folder: Path, names: Iterable[str], *, create: bool):
    """Opens the files.

    Args:
      folder: of the generation; made with `create`.
      names: of the files.
      create: whether they are new; otherwise they must be there.
    """
    self.folder = folder
    self._open: dict[str, int] = {}
    self._pool = ThreadPoolExecutor(_THREADS, 'fsync')
    flags = os.O_RDWR | (os.O_CREAT | os.O_TRUNC if create else 0)
    if create:
      folder.mkdir(parents=True, exist_ok=True)
    try:
      for name in names:
        self._open[name] = os.open(folder / name, flags, 0o644)
    except BaseException:
      self.close()
      raise
    if create:
      sync_folder(folder)

  def append(self, name: str, content: Content, state: FileState) -> FileState:
    """Writes behind the committed part; returns the state to commit."""
    size, crc32 = state.size, state.crc32
    data = view_bytes(content)
    for start in range(0, len(data), _BLOCK):
      block = data[start : start + _BLOCK]
      crc32 = zlib.crc32(block, crc32)
      while block:
        written = os.pwrite(self._open[name], block, size)
        size += written
        block = block[written:]
    return FileState(size, crc32)

  def sync(self, names: Iterable[str]) -> None:
    """Waits until all that was appended to some files is on the disk."""
    # Together, since the file system can then make one journal entry of them:
    # a tenth of the time on ext4.
    descriptors = [self._open[name] for name in names]
    list(self._pool.map(os.fsync, descriptors))

  def cut(self, states: Mapping[str, FileState]) -> None:
    """Removes what stands behind the committed parts."""
    for name, descriptor in self._open.items():
      if os.fstat(descriptor).st_size > states[name].size:
        os.ftruncate(descriptor, states[name].size)

  def close(self) -> None:
    """Closes the files; further calls do nothing."""
    self._pool.shutdown()
    while self._open:
      os.close(self._open.popitem()[1])


def committed_crc32(path: Path, size: int) -> int:
  """CRC-32 of the first bytes of a file."""
  crc32 = 0
  with open(path, 'rb') as file:
    while size:
      block = file.read(min(size, _BLOCK))
      if not block:
        break
      crc32 = zlib.crc32(block, crc32)
      size -= len(block)
  return crc32
