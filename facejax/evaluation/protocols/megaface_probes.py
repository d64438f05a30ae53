"""The probes of MegaFace, and which images of its sets are noise."""

import dataclasses
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Bool, Float, Int
from facejax.data.identification_lists import folder_identities
from facejax.data.megaface_lists import (
  mark_noise,
  read_noise_list,
  read_probe_list,
)
from facejax.evaluation.megaface.distractors import Distractors
from facejax.evaluation.megaface.refined import (
  refine_distractors,
  refine_probes,
)
from facejax.evaluation.modes import MODES, unit_features
from facejax.evaluation.sources import EmbeddingSource


@dataclasses.dataclass(frozen=True)
class Probes:
  """Images that are looked for.

  Attributes:
    names: of the Q images.
    identities: Q names of people.
    labels: int [Q], number of the person of each.
    features: float32 [Q, D], unit norm.
  """

  names: tuple[str, ...]
  identities: tuple[str, ...]
  labels: Int[np.ndarray, ' Q']
  features: Float[np.ndarray, 'Q D']

  def to_json(self) -> dict[str, Any]:
    """Their counts as JSON values."""
    images = np.bincount(self.labels)
    return {
      'num_probes': len(self.names),
      'num_people': len(images),
      'num_people_with_one_image': int((images == 1).sum()),
    }


def read_probes(
  source: EmbeddingSource, mode: str, probe_list: files.PathLike | None
) -> Probes:
  """Embeds the probes of a list, or all images of a source.

  Raises:
    DataError: the list, an image or an embedding cannot be used.
  """
  if probe_list is None:
    names = tuple(source.names())
    identities = tuple(folder_identities(names))
  else:
    found = read_probe_list(probe_list)
    names = tuple(found.names)
    identities = tuple(found.identities or folder_identities(names))
  embeddings = source.embed(names, flip=MODES[mode].needs_flip)
  probes = Probes(
    names,
    identities,
    np.unique(identities, return_inverse=True)[1],
    unit_features(embeddings, mode),
  )
  single = probes.to_json()['num_people_with_one_image']
  if single:
    files.note(
      f'{single} people have one probe image, and no mate to find: they count '
      'in verification only'
    )
  return probes


@dataclasses.dataclass(frozen=True)
class Noise:
  """Which images are noise, and entries of the lists that name none."""

  probes: Bool[np.ndarray, ' Q']
  distractors: Bool[np.ndarray, ' M']
  unknown: int

  def to_json(self) -> dict[str, Any]:
    """Their counts as JSON values."""
    return {
      'num_probe_noise': int(self.probes.sum()),
      'num_distractor_noise': int(self.distractors.sum()),
      'num_unknown_noise': self.unknown,
    }


def read_noise(
  probes: Probes,
  distractors: Distractors,
  probe_noise: files.PathLike | None,
  distractor_noise: files.PathLike | None,
) -> Noise:
  """Matches the noise lists with the images; a list may stand alone.

  Raises:
    DataError: a list cannot be read, or names no image.
  """
  marks, unknown = [], 0
  for names, path in (
    (probes.names, probe_noise),
    (distractors.names, distractor_noise),
  ):
    entries = [] if path is None else read_noise_list(path)
    marked, missing = mark_noise(names, entries)
    if entries and not marked.any():
      files.note(f'{path}: none of its {len(entries)} images is here')
    marks.append(marked)
    unknown += len(missing)
  return Noise(*marks, unknown)


def refine(
  probes: Probes, crowd: Distractors, noise: Noise, rule: str
) -> tuple[Probes, Distractors]:
  """Probes and distractors of the refined lists.

  Args:
    probes: the original ones.
    crowd: the original distractors.
    noise: which of both are noise.
    rule: of `megaface.refined.RULES`.

  Raises:
    DataError: nothing can stand for an image that is noise.
  """
  features = refine_probes(
    probes.features, probes.labels, noise.probes, rule=rule, names=probes.names
  )
  return (
    dataclasses.replace(probes, features=features),
    refine_distractors(crowd, noise.distractors, rule=rule),
  )
