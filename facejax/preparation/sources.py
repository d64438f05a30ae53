"""Where the faces of a new set come from, behind one interface."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from facejax.data.archives import Archive, is_hidden, open_archive
from facejax.data.images import EXTENSIONS, encode_jpeg
from facejax.data.synthetic import SyntheticFaces
from facejax.errors import UsageError
from facejax.files import Path, PathLike


@dataclasses.dataclass(frozen=True, slots=True)
class FaceFile:
  """One file of a source.

  Attributes:
    identity: name of the person, None where the file belongs to none.
    path: of the file within its input, '/'-separated.
    source: index of the input it lies in.
  """

  identity: str | None
  path: str
  source: int = 0

  @property
  def key(self) -> str:
    """'IDENTITY/file', the name of the image in the set."""
    return f'{self.identity}/{self.path.rsplit("/", 1)[-1]}'


@runtime_checkable
class FaceSource(Protocol):
  """Encoded images of named identities."""

  names: list[str]  # of the inputs, for the manifest
  num_ignored: int  # files that do not claim to be images

  def files(self) -> list[FaceFile]:
    """All its images, in any order."""

  def read(self, file: FaceFile) -> bytes:
    """The bytes of one of them; callable from any thread."""


def _identity(path: str) -> str | None:
  """The folder that a file lies in names its person."""
  folders = path.split('/')[:-1]
  return folders[-1] if folders else None


class FolderSource:
  """Folders and zip files of `[.../]IDENTITY/image.jpg`.

  Identities of the same name are one person over all inputs.
  """

  def __init__(self, paths: Sequence[PathLike]):
    """Opens the inputs.

    Raises:
      DataError: one is missing, or neither a folder nor a zip file.
      UsageError: none is given, or one twice.
    """
    if not paths:
      raise UsageError('no input: name folders or zip files with --input')
    self.names = [str(path) for path in paths]
    if len({str(Path(path).resolve()) for path in paths}) < len(paths):
      raise UsageError(f'--input names a place twice: {",".join(self.names)}')
    self._archives: list[Archive] = [open_archive(path) for path in paths]
    self.num_ignored = 0

  def files(self) -> list[FaceFile]:
    """All files that end like an image; counts the others.

    Raises:
      DataError: a folder cannot be listed, or a zip has unsafe names.
    """
    found, others = [], 0
    for source, archive in enumerate(self._archives):
      for path in archive.names():
        if is_hidden(path):
          continue
        if path.lower().endswith(EXTENSIONS):
          found.append(FaceFile(_identity(path), path, source))
        else:
          others += 1
    self.num_ignored = others
    return found

  def read(self, file: FaceFile) -> bytes:
    """The bytes of one file.

    Raises:
      DataError: it is unreadable, corrupt or leads out of its folder.
    """
    return self._archives[file.source].read(file.path)


class SyntheticSource:
  """Drawn faces, encoded as JPEG."""

  def __init__(
    self, num_identities: int, images_per_identity: int, *, seed: int = 0
  ):
    """Raises UsageError where `SyntheticFaces` does."""
    self._faces = SyntheticFaces(num_identities, images_per_identity, seed=seed)
    self.names = [repr(self._faces)]
    self.num_ignored = 0
    count = images_per_identity
    self._index_of = {
      f'{identity}/{image:04d}.jpg': label * count + image
      for label, identity in enumerate(self._faces.identities)
      for image in range(count)
    }

  def files(self) -> list[FaceFile]:
    """All images, by label."""
    return [FaceFile(_identity(path), path) for path in self._index_of]

  def read(self, file: FaceFile) -> bytes:
    """Draws and encodes one."""
    image = self._faces[self._index_of[file.path]]['image']
    return encode_jpeg(image)
