"""Divides a prepared set by people: some to train on, others to measure on."""

from typing import Any

import numpy as np

from facejax.data.manifest import IDENTITIES, read_manifest
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike, note
from facejax.preparation import opening, prepare
from facejax.preparation.exclusion import Exclusion

TRAINING, HELD_OUT = 'training', 'held_out'


def choose_people(names: list[str], count: int) -> list[str]:
  """Every so many of the sorted names, the middle one of each stretch.

  Raises:
    UsageError: nobody would be left on one of the sides.
  """
  if not 2 <= count < len(names):
    raise UsageError(
      f'--num_held_out={count}: of {len(names)} people leave out two or more, '
      'and not all'
    )
  places = (np.arange(count) + 0.5) * len(names) / count
  return [sorted(names)[int(place)] for place in places]


def divide(data: PathLike, output: PathLike, count: int) -> dict[str, Any]:
  """Prepares both sides from what a set was prepared from.

  What the set itself leaves out is left out of both.

  Args:
    data: a prepared set of folders or archives, which are still there.
    output: folder of both sets, `training` and `held_out`; a side that stands
      there already stays as it is.
    count: people to hold out.

  Returns:
    The folder of each side by its name, and `held_out_people`.

  Raises:
    DataError: no such set, or its manifest does not say what it was made of.
    UsageError: a count that cannot be.
  """
  manifest = read_manifest(data)
  missing = [key for key in ('inputs', 'excluded') if key not in manifest]
  if missing or manifest.get('alignment') is not None:
    raise DataError(
      f'{data}: was not prepared from aligned crops in folders or archives: '
      'divide its sources by launch.prepare_data --exclude'
    )
  names = Path(data, IDENTITIES).read_text(encoding='utf-8').splitlines()
  held_out = choose_people(names, count)
  others = sorted(set(names) - {*held_out})
  for side, left_out in ((TRAINING, held_out), (HELD_OUT, others)):
    folder = Path(output, side)
    if folder.exists():
      note(f'{folder} stands there already and is taken')
      continue
    prepare.prepare(
      opening.open_source('folder', manifest['inputs']),
      folder,
      exclusion=Exclusion([*manifest['excluded'], *left_out]),
      image_size=tuple(manifest['image_size']),
      min_images=manifest['min_images'],
    )
  return {
    TRAINING: str(Path(output, TRAINING)),
    HELD_OUT: str(Path(output, HELD_OUT)),
    'held_out_people': held_out,
  }
