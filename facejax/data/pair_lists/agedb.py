"""The official folds of AgeDB, a MATLAB file."""

from typing import Any

import numpy as np

from facejax.data.mat_file import read_mat
from facejax.data.pair_lists.pair_list import PairList
from facejax.errors import DataError
from facejax.files import PathLike

_FORM = (
  "a MATLAB file whose 'splits' has for every fold the names of pairs, two "
  'rows, and their labels 1 or -1'
)


def _struct(array: Any) -> Any:
  """The fields, in order, of a struct: an array of one record."""
  if array.dtype.names is None:
    raise ValueError(f'found {array.dtype} for a struct')
  return np.ravel(array)[0]


def _fold(split: Any) -> tuple[list[str], list[str], list[bool]]:
  """First names, second names and kinds of a fold."""
  pairs, labels = _struct(split)[0], np.ravel(_struct(split)[1])
  if not set(labels.tolist()) <= {-1, 0, 1} or pairs.shape != (2, len(labels)):
    raise ValueError(f'{pairs.shape} names for {len(labels)} labels')
  first, second = (
    [str(np.ravel(_struct(image)[0])[0]) for image in row] for row in pairs
  )
  return first, second, (labels == 1).tolist()


def read_agedb_pairs(path: PathLike) -> PairList:
  """Reads the file of official folds that comes with the images of AgeDB.

  Args:
    path: the .mat; a cell for each fold, a struct of the pairs (a cell
      [2, pairs] of structs that begin with the image's name) and the labels.

  Returns:
    Pairs of names 'IMAGE.jpg', fold by fold; the protocol of thirty years has
    ten folds of 300 genuine and 300 impostor pairs.

  Raises:
    DataError: the file does not hold this.

  References:
    Moschoglou et al., AgeDB, 2017; the layout as FaceX-Zoo's pairs_parser.py
    reads it.
  """
  variables = read_mat(path, form=_FORM)
  if 'splits' not in variables:
    raise DataError(f"{path}: expected {_FORM} (it has no 'splits')")
  names_a, names_b, same, folds = [], [], [], []
  for fold, split in enumerate(np.ravel(variables['splits'])):
    try:
      first, second, kinds = _fold(split)
    except (ValueError, TypeError, IndexError, AttributeError) as error:
      raise DataError(
        f'{path}, fold {fold + 1}: expected {_FORM} ({error})'
      ) from None
    names_a += [f'{name}.jpg' for name in first]
    names_b += [f'{name}.jpg' for name in second]
    same += kinds
    folds += [fold] * len(kinds)
  if not same:
    raise DataError(f'{path}: the pair list is empty')
  return PairList(
    tuple(names_a), tuple(names_b), np.array(same), np.array(folds)
  )
