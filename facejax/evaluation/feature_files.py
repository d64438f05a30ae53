"""Features that lie in the files of MegaFace's devkit, as a source."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.data.archives import is_hidden, open_archive
from facejax.data.megaface import find_features, read_features
from facejax.data.protocols import PairList, resolve_names
from facejax.errors import DataError
from facejax.evaluation.crops import read_pictures
from facejax.evaluation.embeddings import Embeddings

_BLOCK = 1 << 14


def holds_features(path: files.PathLike) -> bool:
  """Whether a folder, zip or tar holds feature files, by the first file."""
  names = open_archive(path).names()
  first = next((name for name in names if not is_hidden(name)), '')
  return first.endswith('.bin')


class FeatureFolderSource:
  """Features in the devkit's files, NAME/IMAGE_ALGORITHM.bin.

  They are what their algorithm compares, so there are no mirrored images and
  no mean of training faces: mode 'plain' takes them as they are.
  """

  has_flip = False
  hash_bits = 0
  training_mean = None

  def __init__(
    self,
    path: files.PathLike,
    *,
    suffix: str | None = None,
    images: files.PathLike | None = None,
  ):
    """Lists the files.

    Args:
      path: folder, zip or tar of feature files.
      suffix: how they end, '_facejax.bin'; None takes the only ending that
        there is.
      images: folder, zip or tar of the images, for reports that show some.

    Raises:
      DataError: there are no feature files.
      UsageError: there are those of several algorithms, and none was chosen.
    """
    self.path = files.Path(path)
    self.name = str(path).rstrip('/')
    self._images = None if images is None else open_archive(images)
    self._where = str(images)
    self._archive = open_archive(path)
    self._names, self._suffix = find_features(
      self._archive.names(), where=str(path), suffix=suffix
    )
    self._known: set[str] | None = None

  def names(self) -> Sequence[str]:
    """Names of all images, sorted as their files are."""
    return self._names

  def _resolve(self, names: Sequence[str]) -> list[str]:
    """The names by which the files are found, whatever folder is on top."""
    if self._known is None:
      self._known = set(self._names)
    if self._known.issuperset(names):
      return list(names)
    found = resolve_names(names, self._names, where=str(self.path))
    return [found[name] for name in names]

  def embed(self, names: Sequence[str], *, flip: bool) -> Embeddings:
    """Reads the features of these images, in this order.

    Raises:
      DataError: a file is missing, damaged, or of another dimension; names it.
    """
    del flip  # there are none of mirrored images
    if not len(names):
      raise DataError(f'{self.path}: no image was asked for')
    found = self._resolve(names)
    plain = None
    for start in files.progress(
      range(0, len(found), _BLOCK), desc='reading', unit='block', delay=2
    ):
      part = read_features(
        self._archive,
        found[start : start + _BLOCK],
        suffix=self._suffix,
        where=str(self.path),
        dimension=None if plain is None else plain.shape[1],
      )
      if plain is None:
        plain = np.empty((len(found), part.shape[1]), np.float32)
      plain[start : start + len(part)] = part
    return Embeddings(names=tuple(names), plain=plain)

  def pictures(self, names: Sequence[str]) -> list[bytes] | None:
    """Encoded images, if the images were given."""
    if self._images is None:
      return None
    return read_pictures(self._images, names, where=self._where)

  def pair_list(self) -> PairList | None:
    """None: features bring no pairs."""
    return None

  def describe(self) -> dict[str, Any]:
    """JSON values for a report; nothing is known about the model."""
    return {
      'model': None,
      'packed': None,
      'preprocessing': None,
      'embeddings': str(self.path),
      'feature_suffix': self._suffix,
    }

  def beside(self, name: str) -> files.Path | None:
    """The file `name` in the folder of the features, if there is one."""
    path = self.path.parent / name
    return path if path.exists() else None
