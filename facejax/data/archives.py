"""Folders and zip files of images behind one interface."""

import os
import zipfile
import zlib
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from facejax.data.images import EXTENSIONS
from facejax.errors import DataError
from facejax.files import Path, PathLike


@runtime_checkable
class Archive(Protocol):
  """Named files that can be read in any order, from any thread."""

  def names(self) -> list[str]:
    """Names of all files, '/'-separated, sorted."""

  def read(self, name: str) -> bytes:
    """The content of one file."""


class FolderArchive:
  """The files below a folder; nothing outside it is ever read.

  A link to a folder is an error rather than followed: it may lead out of the
  tree or back into it without end. A link to a file inside the tree is read.
  """

  def __init__(self, root: PathLike):
    self.root = Path(root)
    self._is_local = '://' not in os.fspath(self.root)

  def names(self) -> list[str]:
    """Names of all files relative to the root, sorted.

    Raises:
      DataError: a folder cannot be listed, or is a link.
    """
    walk = self._walk_local if self._is_local else self._walk_remote
    return sorted(walk(self.root, ''))

  def _walk_local(self, folder: PathLike, prefix: str) -> Iterator[str]:
    try:
      with os.scandir(folder) as scan:
        entries = list(scan)
    except OSError as error:
      raise DataError(
        f'{folder}: cannot be listed ({error.strerror})'
      ) from None
    for entry in entries:
      if entry.is_dir(follow_symlinks=False):
        yield from self._walk_local(entry.path, f'{prefix}{entry.name}/')
      elif entry.is_symlink() and entry.is_dir():
        raise DataError(
          f'{entry.path}: is a link to a folder: give that folder as an input '
          'of its own'
        )
      else:
        yield prefix + entry.name

  def _walk_remote(self, folder: Path, prefix: str) -> Iterator[str]:
    for entry in folder.iterdir():
      if entry.is_dir():
        yield from self._walk_remote(entry, f'{prefix}{entry.name}/')
      else:
        yield prefix + entry.name

  def _check_place(self, path: Path) -> None:
    """Refuses what leads out of the root, and pipes that never end."""
    root = os.path.realpath(self.root)
    if os.path.commonpath([root, os.path.realpath(path)]) != root:
      raise DataError(f'{path}: leads out of {self.root}')
    if os.path.exists(path) and not os.path.isfile(path):
      raise DataError(f'{path}: is not a regular file')

  def read(self, name: str) -> bytes:
    """The content of one file.

    Raises:
      DataError: missing, unreadable, no regular file or outside the root.
    """
    path = self.root / name
    if self._is_local:
      self._check_place(path)
    try:
      return path.read_bytes()
    except OSError as error:
      raise DataError(f'{path}: cannot be read ({error.strerror})') from None


class ZipArchive:
  """The files of a zip, read without unpacking; picklable and thread-safe."""

  MAX_BYTES = 1 << 28  # of one unpacked member

  def __init__(self, path: PathLike):
    self.path = Path(path)
    self._zip = self._open()

  def _open(self) -> zipfile.ZipFile:
    try:
      return zipfile.ZipFile(self.path.open('rb'))
    except (zipfile.BadZipFile, OSError) as error:
      raise DataError(f'{self.path}: is no readable zip ({error})') from None

  def __getstate__(self):
    return {'path': self.path}

  def __setstate__(self, state):
    self.path = state['path']
    self._zip = self._open()

  def names(self) -> list[str]:
    """Names of all files, sorted.

    Raises:
      DataError: a member's name is absolute or climbs out of the archive.
    """
    names = {i.filename for i in self._zip.infolist() if not i.is_dir()}
    for name in names:
      if name.startswith('/') or '..' in name.split('/') or '\\' in name:
        raise DataError(f'{self.path}: unsafe member name {name!r}')
    return sorted(names)

  def read(self, name: str) -> bytes:
    """The content of one member.

    Raises:
      DataError: missing, corrupt, encrypted or far too large.
    """
    try:
      if self._zip.getinfo(name).file_size > self.MAX_BYTES:
        raise DataError(f'{self.path}: {name} unpacks to too many bytes')
      return self._zip.read(name)
    except KeyError:
      raise DataError(f'{self.path}: has no file {name}') from None
    except (
      zipfile.BadZipFile,
      zlib.error,
      RuntimeError,
      OSError,
      EOFError,
    ) as error:
      raise DataError(f'{self.path}: {name} is corrupt ({error})') from None


def open_archive(path: PathLike) -> Archive:
  """A folder or a zip file.

  Raises:
    DataError: there is nothing at `path`, or it is neither.
  """
  path = Path(path)
  if path.is_dir():
    return FolderArchive(path)
  if not path.exists():
    raise DataError(f'{path} does not exist: give a folder or a zip file')
  if path.suffix.lower() != '.zip':
    raise DataError(f'{path}: expected a folder or a .zip file')
  return ZipArchive(path)


def is_hidden(name: str) -> bool:
  """Whether a name belongs to the system: '.' files and macOS resources."""
  return any(part.startswith(('.', '__MACOSX')) for part in name.split('/'))


def image_names(archive: Archive) -> list[str]:
  """Names that end like an image; hidden and system files are left out."""
  return [
    name
    for name in archive.names()
    if name.lower().endswith(EXTENSIONS) and not is_hidden(name)
  ]
