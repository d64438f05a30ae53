"""The trials of BLUFR on the images of a source."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax.array_typing import Int
from facejax.data.blufr import BlufrTrials, read_blufr
from facejax.data.identification_lists import folder_identities
from facejax.data.protocols import resolve_names
from facejax.errors import DataError
from facejax.evaluation.identification.blufr import blufr, check_trials
from facejax.evaluation.protocols.labelled_faces import read_faces
from facejax.evaluation.sources import EmbeddingSource
from facejax.files import PathLike


def _check_people(
  names: Sequence[str], labels: Int[np.ndarray, ' N'], path: PathLike
) -> None:
  """Refuses labels that tell people apart otherwise than folders do."""
  folders = folder_identities(names)
  folder_of: dict[int, str] = {}
  label_of: dict[str, int] = {}
  for name, folder, label in zip(names, folders, labels.tolist(), strict=True):
    one = folder_of.setdefault(label, folder)
    if one != folder or label_of.setdefault(folder, label) != label:
      raise DataError(
        f'{path}: its labels and the folders of the data disagree about whom '
        f'{name} shows: give the file that belongs to these images'
      )


class TrialsOnImages:
  """The trials of a file, with its images found in a source."""

  def __init__(self, path: PathLike, names: Sequence[str]):
    """Reads the file and finds its images; nothing is embedded.

    Args:
      path: `blufr_lfw_config.mat`.
      names: of all images of the source.

    Raises:
      DataError: the file cannot be used, or an image is missing or belongs to
        somebody else.
      UsageError: a trial is too small for the rates of BLUFR.
    """
    self.path = path
    self.trials: BlufrTrials = read_blufr(path)
    found = resolve_names(self.trials.names, names, where=f'{path}: the data')
    self.names = [found[name] for name in self.trials.names]
    _check_people(self.names, self.trials.labels, path)
    check_trials(self.trials.labels, self.trials.splits)

  def run(self, source: EmbeddingSource, *, mode: str) -> dict[str, Any]:
    """Rates of all trials, as JSON values.

    Args:
      source: gives the embeddings.
      mode: a name of `modes.MODES`.

    Raises:
      DataError: an embedding cannot be used.
    """
    faces = read_faces(source, mode=mode, names=self.names)
    return {
      'lists': str(self.path),
      'official': self.trials.is_published,
      **blufr(faces.features, self.trials.labels, self.trials.splits),
    }
