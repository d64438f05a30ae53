"""Embeddings of labelled faces, kept as they came and used as unit vectors."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Float, Int, Int32
from facejax.errors import DataError
from facejax.inference.embedding import normalize_rows

_BLOCK = 1 << 13  # images that are held as float32 at a time


def no_images(places: Sequence[int]) -> list[np.ndarray] | None:
  """What faces without pictures answer."""
  del places
  return None


@dataclasses.dataclass(frozen=True)
class EmbeddedFaces:
  """Embeddings of faces whose identities are known.

  Invariants: labels rise; every identity has an image. Rows are normalised and
  centred whenever they are read, so that `vectors` can stay on the disk, in
  whatever type, and is never changed.

  Attributes:
    vectors: float [N, D], of any norm, in memory or mapped.
    labels: int32 [N], the identity of every image.
    identities: K names.
    keys: gives 'IDENTITY/file' of the images at some places.
    images: gives their crops, uint8 RGB, or None where there are none.
    mean: float32 [D], subtracted from the unit vectors, or None.
  """

  vectors: Any
  labels: Int32[np.ndarray, ' N']
  identities: Sequence[str]
  keys: Callable[[Sequence[int]], list[str]]
  images: Callable[[Sequence[int]], list[np.ndarray] | None] = no_images
  mean: Float[np.ndarray, ' D'] | None = None

  def __len__(self) -> int:
    return len(self.labels)

  @property
  def num_identities(self) -> int:
    """Number of people, K."""
    return len(self.identities)

  @property
  def embedding_size(self) -> int:
    """Length D of an embedding."""
    return self.vectors.shape[1]

  @property
  def sizes(self) -> Int[np.ndarray, ' K']:
    """Images of every identity."""
    return np.bincount(self.labels, minlength=self.num_identities)

  def members(self, label: int) -> slice:
    """The images of an identity."""
    start, stop = np.searchsorted(self.labels, [label, label + 1])
    return slice(int(start), int(stop))

  def rows(
    self, places: slice | Int[np.ndarray, ' B']
  ) -> Float[np.ndarray, 'B D']:
    """Unit vectors, float32, less the mean and of unit norm again."""
    vectors = normalize_rows(np.asarray(self.vectors[places], np.float32))
    if self.mean is None:
      return vectors
    return normalize_rows(vectors - self.mean)

  def blocks(self, size: int = _BLOCK) -> Iterator[tuple[slice, np.ndarray]]:
    """All rows in order, `size` at a time, each part with its place."""
    for start in range(0, len(self), size):
      place = slice(start, min(start + size, len(self)))
      yield place, self.rows(place)

  def sums(self, keep: Bool[np.ndarray, ' N']) -> Float[np.ndarray, 'K D']:
    """Sum of the kept unit vectors of every identity, float32."""
    sums = np.zeros((self.num_identities, self.embedding_size), np.float32)
    for place, rows in self.blocks():
      labels = self.labels[place]
      rows = rows * keep[place, None]
      # Labels rise, so an identity is one run of rows.
      starts = np.flatnonzero(np.diff(labels, prepend=-1))
      sums[labels[starts]] += np.add.reduceat(rows, starts)
    return sums

  def centred_on(self, mean: Float[np.ndarray, ' D'] | None) -> 'EmbeddedFaces':
    """The same faces, less another mean."""
    return dataclasses.replace(self, mean=mean)


def mean_identity(faces: EmbeddedFaces) -> Float[np.ndarray, ' D']:
  """Mean of the unit centroids of all identities, float32.

  Identities count alike, so that those of many images do not draw it.
  """
  sums = faces.centred_on(None).sums(np.ones(len(faces), bool))
  return normalize_rows(sums).mean(0)


def check_finite(faces: EmbeddedFaces, where: str) -> None:
  """Refuses embeddings that are no numbers.

  Raises:
    DataError: names the first such image.
  """
  for place, rows in faces.blocks():
    bad = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(bad):
      key = faces.keys([place.start + int(bad[0])])[0]
      raise DataError(
        f'{where}: the embedding of {key} is not finite: is the model sound?'
      )
