"""A source for protocols that ask for embeddings of one set several times."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.sources import EmbeddingSource


class HeldSource:
  """Embeds all images of another source when it is first asked for some.

  Satisfies `EmbeddingSource`; names are those of the other source, whole.
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
    )
