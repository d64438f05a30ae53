"""Sources around another: they hold its embeddings, in memory or in a file."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.errors import UsageError
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.sources import EmbeddingSource


class HeldSource:
  """Embeds all images of another source when it is first asked for some.

  For protocols that ask for embeddings of one set several times. Satisfies
  `EmbeddingSource`; names are those of the other source, whole.
  """

  def __init__(self, source: EmbeddingSource):
    self._source = source
    self._held: dict[bool, Embeddings] = {}

  def __getattr__(self, name: str) -> Any:
    return getattr(self._source, name)

  def embed(self, names: Sequence[str], *, flip: bool) -> Embeddings:
    """Embeddings of these images, in this order, from memory."""
    if flip not in self._held:
      self._held[flip] = self._source.embed(self.names(), flip=flip)
    held = self._held[flip]
    row_of = {name: row for row, name in enumerate(held.names)}
    rows = np.array([row_of[name] for name in names], np.int64)
    return Embeddings(
      names=tuple(names),
      plain=held.plain[rows],
      flip=None if held.flip is None else held.flip[rows],
      training_mean=held.training_mean,
      logits=None if held.logits is None else held.logits[rows],
    )


class KeepingSource:
  """A source that writes the embeddings it gives to an .npz."""

  def __init__(self, source: EmbeddingSource, path: files.PathLike):
    """Takes a source.

    Args:
      source: gives the embeddings.
      path: of the .npz.

    Raises:
      UsageError: a folder stands there.
    """
    if files.Path(path).is_dir():
      raise UsageError(f'--save_embeddings={path} is a folder: name an .npz')
    self._source, self._path = source, path

  def __getattr__(self, name: str) -> Any:
    return getattr(self._source, name)

  def around(self, source: EmbeddingSource) -> 'KeepingSource':
    """Another source whose embeddings go to the same file."""
    return KeepingSource(source, self._path)

  def embed(self, names: Sequence[str], *, flip: bool) -> Embeddings:
    """Embeddings of these images, in this order; written, too."""
    embeddings = self._source.embed(names, flip=flip)
    embeddings.save(self._path, origin=self._source.describe())
    return embeddings
