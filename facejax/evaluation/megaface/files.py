"""Features of probes and distractors as the devkit's own programs read them."""

from collections.abc import Iterable, Sequence

import numpy as np

from facejax import files
from facejax.array_typing import Float
from facejax.data.megaface import write_features
from facejax.data.megaface_lists import write_template_list
from facejax.data.remote import is_remote
from facejax.errors import UsageError
from facejax.evaluation.megaface.distractors import Distractors
from facejax.evaluation.megaface.refined import FAR_AWAY

SUFFIX = '_facejax.bin'
_PROBE_LIST = 'facescrub_features_list.json'
_DISTRACTOR_LIST = 'megaface_features_list.json_{}_1'


def check_folder(path: files.PathLike) -> None:
  """Refuses a place for features before they are computed.

  Raises:
    UsageError: it is remote, a file, or has content.
  """
  if is_remote(path):
    raise UsageError(f'--save_features={path}: give a local folder')
  files.check_new_directory(path)


def _with_distance(
  features: Float[np.ndarray, 'N D'], distance: Float[np.ndarray, ' N']
) -> Float[np.ndarray, 'N E']:
  """Features with a further dimension."""
  return np.concatenate(
    [features, distance[:, None].astype(np.float32)], axis=1
  )


def write_devkit_folder(
  folder: files.Path,
  probes: Float[np.ndarray, 'Q D'],
  probe_names: Sequence[str],
  identities: Iterable[str],
  distractors: Distractors,
) -> None:
  """Writes what a run of the devkit needs into an empty folder.

  probes/ and distractors/ hold a file NAME_facejax.bin for each image,
  templatelists/ the lists. Where distractors are out of reach (rule
  'insightface' of a refined list), all features have a further dimension: 100
  for those, 0 for all others.

  Args:
    folder: local.
    probes: float32 [Q, D], unit norm.
    probe_names: of the Q probes.
    identities: whom they show.
    distractors: M images.
  """
  further = distractors.num_out_of_reach > 0
  if further:
    probes = _with_distance(probes, np.zeros(len(probes)))
  write_features(folder / 'probes', probe_names, probes, suffix=SUFFIX)
  blocks = files.progress(
    distractors.blocks(), desc='writing features', unit='block', delay=2
  )
  place = 0
  for features, labels in blocks:
    if further:
      features = _with_distance(features, np.where(labels < 0, FAR_AWAY, 0.0))
    stop = place + len(features)
    write_features(
      folder / 'distractors',
      distractors.names[place:stop],
      features,
      suffix=SUFFIX,
    )
    place = stop
  lists = folder / 'templatelists'
  lists.mkdir(parents=True, exist_ok=True)
  write_template_list(lists / _PROBE_LIST, probe_names, identities)
  write_template_list(
    lists / _DISTRACTOR_LIST.format(len(distractors)), distractors.names
  )


def devkit_command(folder: files.PathLike, count: int) -> str:
  """The devkit's command for a folder of `write_devkit_folder`.

  To be run in its folder `experiments`.

  Args:
    folder: what was written.
    count: number of distractors.
  """
  return (
    f'python run_experiment.py {folder}/distractors {folder}/probes {SUFFIX} '
    f'{folder}/results -s {count} '
    f'-p {folder}/templatelists/{_PROBE_LIST} -dlp {folder}/templatelists'
  )
