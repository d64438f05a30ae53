"""Folders, zips and tars of images behind one interface."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from facejax.data.bin_pairs import BinPairs
from facejax.data.images import EXTENSIONS
from facejax.data.names import NameTable
from facejax.data.remote import check_reachable, is_remote
from facejax.data.tar_archive import TarArchive
from facejax.data.zip_archive import ZipArchive
from facejax.errors import DataError
from facejax.files import Path, PathLike, progress


@runtime_checkable
class Archive(Protocol):
  """Named files that can be read in any order, from any thread."""

  def names(self) -> Sequence[str]:
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
    self._is_local = not is_remote(root)
    self._real_root = os.path.realpath(root) if self._is_local else ''

  def names(self) -> NameTable:
    """Names of all files relative to the root, sorted; lists them anew.

    Raises:
      DataError: a folder cannot be listed, or is a link.
    """
    names = progress(
      self._walk(), desc=f'listing {self.root.name}', unit='file', delay=1
    )
    return NameTable.of(iter(names))

  def _walk(self) -> Iterator[str]:
    """Files in sorted order; no more names are held than a folder has.

    Names of folders end with '/', by which they sort as the paths below them.
    """
    children = self._local_children if self._is_local else self._remote_children
    waiting = ['']
    while waiting:
      name = waiting.pop()
      if name and not name.endswith('/'):
        yield name
        continue
      try:
        below = sorted(children(name), reverse=True)
      except OSError as error:
        raise DataError(
          f'{self.root / name}: cannot be listed ({error.strerror or error})'
        ) from None
      waiting += [name + child for child in below]

  def _local_children(self, folder: str) -> Iterator[str]:
    with os.scandir(os.path.join(self.root, folder)) as entries:
      for entry in entries:
        if entry.is_dir(follow_symlinks=False):
          yield entry.name + '/'
        elif entry.is_symlink() and entry.is_dir():
          raise DataError(
            f'{entry.path}: is a link to a folder: give that folder as an '
            'input of its own'
          )
        else:
          yield entry.name

  def _remote_children(self, folder: str) -> Iterator[str]:
    """From one listing: asking for each file what it is would cost a call."""

    def fail(error: OSError) -> None:
      raise error

    for _, folders, names in (self.root / folder).walk(on_error=fail):
      yield from (name.rstrip('/') + '/' for name in folders)
      yield from names
      return

  def _check_place(self, path: str) -> None:
    """Refuses what leads out of the root, and pipes that never end."""
    real = os.path.realpath(path)
    if os.path.commonpath([self._real_root, real]) != self._real_root:
      raise DataError(f'{path}: leads out of {self.root}')
    try:
      mode = os.stat(real).st_mode
    except OSError as error:
      raise DataError(f'{path}: cannot be read ({error.strerror})') from None
    if not stat.S_ISREG(mode):
      raise DataError(f'{path}: is not a regular file')

  def read(self, name: str) -> bytes:
    """The content of one file.

    Raises:
      DataError: missing, unreadable, no regular file or outside the root.
    """
    path = self.root / name
    if self._is_local:
      self._check_place(os.fspath(path))
    elif name.startswith('/') or '..' in name.split('/'):
      raise DataError(f'{path}: leads out of {self.root}')
    try:
      return path.read_bytes()
    except OSError as error:
      raise DataError(
        f'{path}: cannot be read ({error.strerror or error})'
      ) from None


_ZIP_SUFFIXES = ('.zip',)
_TAR_SUFFIXES = (
  '.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tbz2', '.tar.xz', '.txz',
)  # fmt: skip
ARCHIVE_SUFFIXES = _ZIP_SUFFIXES + _TAR_SUFFIXES

_KINDS: dict[tuple[str, ...], Callable[[PathLike], Archive]] = {
  _ZIP_SUFFIXES: ZipArchive,
  _TAR_SUFFIXES: TarArchive,
  ('.bin',): BinPairs,
}


def open_archive(path: PathLike) -> Archive:
  """A folder, a zip or a tar, local or remote.

  Raises:
    DataError: there is nothing at `path`, or it is none of them.
    UsageError: a remote path of a kind that cannot be read here.
  """
  path = check_reachable(path)
  if path.is_dir():
    return FolderArchive(path)
  if not path.exists():
    raise DataError(f'{path} does not exist: give a folder, a zip or a tar')
  for suffixes, kind in _KINDS.items():
    if path.name.lower().endswith(suffixes):
      return kind(path)
  known = ', '.join(suffix for suffixes in _KINDS for suffix in suffixes)
  raise DataError(f'{path}: expected a folder or a {known} file')


def is_hidden(name: str) -> bool:
  """Whether a name belongs to the system: '.' files and macOS resources."""
  return any(part.startswith(('.', '__MACOSX')) for part in name.split('/'))


def is_image(name: str) -> bool:
  """Whether a name ends like an image; hidden and system files do not."""
  return name.lower().endswith(EXTENSIONS) and not is_hidden(name)


def image_names(archive: Archive) -> NameTable:
  """Names that end like an image; hidden and system files are left out."""
  names: Iterable[str] = archive.names()
  return NameTable.of(filter(is_image, names))
