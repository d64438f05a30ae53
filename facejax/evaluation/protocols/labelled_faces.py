"""All images of an identification protocol: features, and whom they show."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from facejax.array_typing import Float, Int
from facejax.data.identification_lists import (
  folder_identities,
  read_gallery_and_probes,
)
from facejax.data.identification_splits import Split
from facejax.errors import DataError
from facejax.evaluation.embeddings import Embeddings
from facejax.evaluation.modes import (
  MODES,
  check_embeddings,
  check_mode,
  unit_features,
)
from facejax.evaluation.sources import EmbeddingSource
from facejax.files import PathLike


@dataclasses.dataclass(frozen=True)
class LabelledFaces:
  """Embedded images of known people.

  Attributes:
    names: of the N images.
    labels: int [N], the person of each.
    features: float32 [N, D], unit norm; inner products are scores.
    split: what lists enrol and look up; None without lists.
    logits: float32 [N, L], hash logits of the images as they are, whatever
      the mode; None without a hash layer.
  """

  names: tuple[str, ...]
  labels: Int[np.ndarray, ' N']
  features: Float[np.ndarray, 'N D']
  split: Split | None
  logits: Float[np.ndarray, 'N L'] | None = None


def _check_logits(embeddings: Embeddings) -> Float[np.ndarray, 'N L'] | None:
  """Hash logits as float32, if there are any and all are finite."""
  if embeddings.logits is None:
    return None
  check_embeddings(embeddings.logits, embeddings.names)
  return np.asarray(embeddings.logits, np.float32)


def read_faces(
  source: EmbeddingSource,
  *,
  mode: str,
  names: Sequence[str] | None = None,
  gallery: PathLike | None = None,
  probes: PathLike | None = None,
) -> LabelledFaces:
  """Embeds all images of a source, some of them, or those of lists.

  Args:
    source: gives the embeddings. Without lists an image's folder is its
      identity, and a person's images count in the order of their names.
    mode: a name of `modes.MODES`.
    names: the images wanted, where it is not all and there are no lists.
    gallery: list of enrolled images.
    probes: list of images to look up, given together with `gallery`.

  Raises:
    DataError: a list, an image or an embedding cannot be used.
    UsageError: the mode is unknown or lacks what it needs.
  """
  check_mode(
    mode,
    has_flip=source.has_flip,
    has_mean=source.training_mean is not None,
  )
  split = None
  if gallery is None or probes is None:
    names = tuple(source.names() if names is None else names)
    identities = folder_identities(names)
  else:
    enrolled, looked_up = read_gallery_and_probes(gallery, probes)
    names = enrolled.names + looked_up.names
    identities = enrolled.identities + looked_up.identities
    places = np.arange(len(names))
    split = Split(places[: len(enrolled.names)], places[len(enrolled.names) :])
  if not names:
    raise DataError('there are no images: give IDENTITY/image files')
  embeddings = source.embed(names, flip=MODES[mode].needs_flip)
  return LabelledFaces(
    names=names,
    labels=np.unique(identities, return_inverse=True)[1],
    features=unit_features(embeddings, mode),
    split=split,
    logits=_check_logits(embeddings),
  )
