"""What a hash layer is fitted to: embeddings of the training faces."""

import dataclasses

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.data.records import FaceRecords
from facejax.errors import DataError
from facejax.evaluation.crops import embed_batches
from facejax.evaluation.record_crops import read_record_crops
from facejax.inference import FaceModel
from facejax.inference.embedding import normalize_rows


@dataclasses.dataclass(frozen=True)
class HashFeatures:
  """Embeddings of training faces and of their mirror images.

  Invariants: rows have unit norm; labels are sorted, 0 .. K - 1.

  Attributes:
    plain: float32 [N, D].
    flip: float32 [N, D], of the mirrored images.
    labels: int [N].
  """

  plain: Float[np.ndarray, 'N D']
  flip: Float[np.ndarray, 'N D']
  labels: Int[np.ndarray, ' N']

  @property
  def num_identities(self) -> int:
    """K."""
    return int(self.labels[-1]) + 1 if len(self.labels) else 0

  def both(self) -> Float[np.ndarray, 'twice D']:
    """Plain and mirrored images, one after the other."""
    return np.concatenate([self.plain, self.flip])

  def take(self, chosen: Bool[np.ndarray, ' K']) -> 'HashFeatures':
    """The faces of some people, numbered anew in the same order."""
    kept = chosen[self.labels]
    numbers = np.cumsum(chosen) - 1
    return HashFeatures(
      self.plain[kept], self.flip[kept], numbers[self.labels[kept]]
    )


def make_hash_features(
  plain: Float[np.ndarray, 'N D'],
  flip: Float[np.ndarray, 'N D'],
  labels: Int[np.ndarray, ' N'],
) -> HashFeatures:
  """Checks, sorts and scales raw embeddings.

  Args:
    plain: raw embeddings of the images.
    flip: those of the mirrored images.
    labels: of any numbers.

  Raises:
    DataError: an embedding is zero or not finite.
  """
  rows = [np.asarray(x, np.float32) for x in (plain, flip)]
  if not all(np.isfinite(x).all() and x.any(axis=1).all() for x in rows):
    raise DataError(
      'hash layer: an embedding of a training face is zero or not finite: the '
      'model is of no use'
    )
  order = np.argsort(labels, kind='stable')
  numbers = np.unique(labels, return_inverse=True)[1]
  unit = [normalize_rows(x)[order] for x in rows]
  return HashFeatures(*unit, numbers[order])


def choose_faces(records: FaceRecords, max_faces: int) -> Int[np.ndarray, ' N']:
  """Places of all faces, or of whole people evenly spread over the set.

  Args:
    records: the training faces.
    max_faces: about so many; at least two people are taken.
  """
  labels = records.labels()
  if len(labels) <= max_faces:
    return np.arange(len(labels))
  people = max(2, round(records.num_identities * max_faces / len(labels)))
  spread = np.linspace(0, records.num_identities - 1, people).round()
  return np.flatnonzero(np.isin(labels, spread))


def embed_training_faces(
  model: FaceModel,
  records: FaceRecords,
  *,
  batch_size: int = 128,
  max_faces: int = 200_000,
) -> HashFeatures:
  """Embeds a prepared set once, plain and mirrored; shows a progress bar.

  Args:
    model: stays as it is.
    records: the training faces.
    batch_size: images in one call of the model.
    max_faces: of a larger set, people evenly spread over it are taken.

  Raises:
    DataError: an image cannot be read, or an embedding is of no use.
  """
  places = choose_faces(records, max_faces)
  plain, flip = embed_batches(
    lambda images: model.embed(images, normalize=False),
    read_record_crops(records, places, batch_size=batch_size),
    count=len(places),
    batch_size=batch_size,
    flip=True,
  )
  return make_hash_features(plain, flip, records.labels()[places])
