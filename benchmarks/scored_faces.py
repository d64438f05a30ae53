"""Faces of LFW for the benchmark of evaluation: saved ones, or random."""

from typing import NamedTuple

import numpy as np

from facejax.data.identification_lists import folder_identities
from facejax.errors import DataError
from facejax.evaluation import modes, sources

IMAGES_PER_PERSON = 10
_DIMENSION = 128
# (images of a person, people): LFW has so many with 1 to 4, and as many images
# of those with 5 to 9 and with 10 or more.
LFW_PEOPLE = (
  (1, 4069),
  (2, 779),
  (3, 291),
  (4, 187),
  (6, 194),
  (7, 71),
  (27, 100),
  (28, 58),
)


class ScoredFaces(NamedTuple):
  """Features of all images, person by person.

  Attributes:
    features: float32 [N, D], unit norm.
    labels: int [N], never falling.
  """

  features: np.ndarray
  labels: np.ndarray

  def first_of_each(self, count: int = IMAGES_PER_PERSON) -> 'ScoredFaces':
    """At most `count` images of each person."""
    start = np.searchsorted(self.labels, self.labels)
    kept = np.arange(len(self.labels)) - start < count
    return ScoredFaces(self.features[kept], self.labels[kept])


def random_faces() -> ScoredFaces:
  """Random vectors around one for each person, with the counts of LFW."""
  images = np.repeat(*np.array(LFW_PEOPLE).T)
  labels = np.repeat(np.arange(len(images)), images)
  rng = np.random.default_rng(0)
  centres = rng.normal(size=(len(images), _DIMENSION)).astype(np.float32)
  features = centres[labels]
  features += rng.normal(size=features.shape).astype(np.float32)
  features /= np.linalg.norm(features, axis=1, keepdims=True)
  return ScoredFaces(features, labels)


def saved_faces(path: str) -> ScoredFaces:
  """Unit features of saved embeddings in mode plain.

  Raises:
    DataError: the file cannot be used, or its names are no IDENTITY/image.
  """
  source = sources.open_source(embeddings=path)
  names = sorted(source.names())
  labels = np.unique(folder_identities(names), return_inverse=True)[1]
  if (np.diff(labels) < 0).any():
    raise DataError(f'{path}: the images of a person must share a folder')
  embedded = source.embed(names, flip=False)
  return ScoredFaces(modes.unit_features(embedded, 'plain'), labels)


def read_faces(path: str | None) -> ScoredFaces:
  """Saved faces, or random ones where no file is given."""
  return random_faces() if path is None else saved_faces(path)
