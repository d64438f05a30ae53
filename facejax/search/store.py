"""An index on disk: commits, the lock of its one writer, and generations.

  index.json       what is committed; replacing it is the commit
  generation_N/    append-only files, see `Manifest.columns`
  calibration_N    scores behind the thresholds for unknown people
  lock             held by the process that writes

A commit writes behind the committed part of the files, waits until that is on
the disk, and replaces `index.json`. Whatever ends the process before that
leaves bytes that nobody reads and that the next writer cuts off.
"""

import contextlib
import dataclasses
import errno
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike
from facejax.search import reading
from facejax.search.appending import (
  AppendedFiles,
  Content,
  sync_folder,
  write_durably,
)
from facejax.search.lock import take_lock
from facejax.search.manifest import (
  INDEX,
  FileState,
  read_manifest,
)

_LEFTOVER = re.compile(r'generation_\d+|calibration_\d+|\..*\.tmp')
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class IndexStore:
  """The files of an index: what is committed, and how more gets committed.

  Attributes:
    path: the folder.
    manifest: the commit that this process has seen last.
  """

  def __init__(self, path: PathLike, *, writable: bool = False):
    """Opens an index; one process at a time may write.

    Raises:
      DataError: no index, another version, or damage.
      UsageError: another process writes.
    """
    self.path = Path(path)
    self.manifest = read_manifest(self.path)
    self._lock: int | None = None
    self._files: AppendedFiles | None = None
    if writable:
      self._open_for_writing()

  def _open_for_writing(self) -> None:
    self._lock = take_lock(self.path)
    try:
      # The last writer may have committed before it let the lock go.
      self.manifest = manifest = read_manifest(self.path)
      reading.check_sizes(self.path, manifest)
      self._files = AppendedFiles(
        self.path / manifest.folder, manifest.file_names, create=False
      )
      self._tidy()
    except BaseException as error:
      self.close()
      if isinstance(error, FileNotFoundError):
        raise reading.missing(error) from None
      raise

  @property
  def writable(self) -> bool:
    """Whether this process may write."""
    return self._files is not None

  def arrays(self) -> dict[str, np.ndarray]:
    """All files mapped (`reading.map_files`), of the newest commit.

    Raises:
      DataError: a file is missing or cut short.
    """
    while True:
      try:
        return reading.map_files(self.path, self.manifest)
      except FileNotFoundError as error:
        # Another process may just have switched to a new generation.
        if not self.refresh():
          raise reading.missing(error) from None

  def calibration(self) -> bytes:
    """The content of the calibration's file.

    Raises:
      DataError: it is missing or damaged.
    """
    while True:
      try:
        return reading.read_calibration(self.path, self.manifest)
      except FileNotFoundError as error:
        if not self.refresh():
          raise reading.missing(error) from None

  def refresh(self) -> bool:
    """Looks for a newer commit; says whether there was one."""
    manifest = read_manifest(self.path)
    newer = manifest.commit != self.manifest.commit
    self.manifest = manifest
    return newer

  def check(self) -> None:
    """Reads every committed byte (`reading.check_contents`).

    Raises:
      DataError: names the file that is not what was written.
    """
    reading.check_contents(self.path, self.manifest)

  def _tidy(self) -> None:
    """Removes what commits that did not happen have left."""
    self._files.cut(self.manifest.files)
    keep = {self.manifest.folder, (self.manifest.calibration or {}).get('file')}
    for entry in list(os.scandir(self.path)):
      if entry.name in keep or not _LEFTOVER.fullmatch(entry.name):
        continue
      if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
      else:
        os.unlink(entry.path)

  @contextlib.contextmanager
  def _writing(self) -> Iterator[AppendedFiles]:
    """Leaves the last commit behind, whatever the block raises."""
    if self._files is None:
      raise UsageError(f'{self.path} is open for reading: open it writable')
    try:
      yield self._files
    except BaseException as error:
      try:
        # What the disk says, since the commit itself may have succeeded.
        self.manifest = read_manifest(self.path)
        if self._files.folder.name != self.manifest.folder:
          self.close()  # the switch to another generation has succeeded
        else:
          self._tidy()
      except (OSError, DataError):
        self.close()  # the next writer tidies up
      if isinstance(error, OSError) and error.errno in _NO_SPACE:
        raise DataError(
          f'no space left to write {self.path}: free some and run the command '
          'again; what was committed before is intact'
        ) from error
      raise

  def _publish(self, **changes: Any) -> None:
    """The commit itself: all that it speaks of is on the disk."""
    commit = self.manifest.commit + 1
    manifest = dataclasses.replace(self.manifest, commit=commit, **changes)
    write_durably(self.path / INDEX, manifest.to_bytes())
    self.manifest = manifest

  def commit(self, parts: Mapping[str, Content], **changes: Any) -> None:
    """Appends to files and commits all of it, or nothing.

    Args:
      parts: what each file gets.
      **changes: fields of the manifest that change with them.

    Raises:
      DataError: the disk is full; what was committed before is intact.
      UsageError: the index is open for reading.
    """
    with self._writing() as target:
      states = dict(self.manifest.files)
      for name, part in parts.items():
        states[name] = target.append(name, part, states[name])
      target.sync(n for n in parts if states[n] != self.manifest.files[n])
      self._publish(files=states, **changes)

  def commit_calibration(self, content: bytes, **about: Any) -> None:
    """Replaces the calibration and commits that.

    Args:
      content: of its file.
      **about: JSON values that stand in `index.json` beside the file's name.
    """
    with self._writing():
      name = f'calibration_{self.manifest.commit + 1}'
      write_durably(self.path / name, content)
      crc32 = zlib.crc32(content)
      self._publish(calibration={'file': name, 'crc32': crc32, **about})
      self._tidy()

  def commit_generation(
    self, parts: Iterable[tuple[str, Content]], **changes: Any
  ) -> None:
    """Writes all files anew into another generation and switches to it.

    Args:
      parts: (file, content) in any order; contents of a file add up.
      **changes: fields of the manifest, the counts among them.
    """
    with self._writing() as old:
      generation = self.manifest.generation + 1
      manifest = dataclasses.replace(self.manifest, generation=generation)
      new = AppendedFiles(
        self.path / manifest.folder, manifest.file_names, create=True
      )
      try:
        states = {name: FileState() for name in manifest.file_names}
        for name, part in parts:
          states[name] = new.append(name, part, states[name])
        new.sync(states)
        sync_folder(self.path)
        self._publish(generation=generation, files=states, **changes)
      except BaseException:
        new.close()
        raise
      self._files = new
      old.close()
      self._tidy()

  def close(self) -> None:
    """Closes the files and lets the lock go; further calls do nothing."""
    if self._files is not None:
      self._files.close()
      self._files = None
    if self._lock is not None:
      os.close(self._lock)
      self._lock = None
