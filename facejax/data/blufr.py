"""The trials of BLUFR, a MATLAB file: galleries and probes drawn from LFW."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Int
from facejax.data.identification_splits import Split
from facejax.data.mat_file import read_mat
from facejax.errors import DataError
from facejax.files import Path, PathLike

_VARIABLES = ('imageList', 'labels', 'testIndex', 'galIndex', 'probIndex')
_FORM = (
  'blufr_lfw_config.mat of the BLUFR toolkit, a MATLAB file with the '
  'variables ' + ', '.join(_VARIABLES)
)
_LARGEST = 1 << 52  # up to here floats tell all whole numbers apart
# Of the published trials: images and people of LFW, people of a gallery, and
# for each trial the images of its test set and those of enrolled people among
# its probes.
_NUM_IMAGES, _NUM_PEOPLE, _NUM_ENROLLED = 13233, 5749, 1000
_NUM_TESTED = (
  10281, 9805, 9388, 9447, 9470, 9858, 9952, 9511, 9452, 9919,
)  # fmt: skip
_NUM_GENUINE = (
  4832, 3943, 4105, 4244, 4417, 4826, 4396, 4249, 3907, 4587,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class BlufrTrials:
  """Images, whom they show, and the draws of BLUFR.

  Attributes:
    names: of the N images, 'NAME_0001.jpg', without folders.
    labels: int [N], the person of each, 0 .. P - 1.
    splits: for each trial the images enrolled, one a person, and looked up,
      by their places in `names`; together they are its test set.
  """

  names: tuple[str, ...]
  labels: Int[np.ndarray, ' N']
  splits: tuple[Split, ...]

  def _is_genuine(self, split: Split) -> Bool[np.ndarray, ' Q']:
    return np.isin(self.labels[split.probes], self.labels[split.gallery])

  @property
  def is_published(self) -> bool:
    """Whether all counts are those of the published trials."""
    sizes = (len(self.names), int(self.labels.max()) + 1)
    found = [
      (
        len(split.gallery),
        len(split.gallery) + len(split.probes),
        int(self._is_genuine(split).sum()),
      )
      for split in self.splits
    ]
    expected = [
      (_NUM_ENROLLED, *counts)
      for counts in zip(_NUM_TESTED, _NUM_GENUINE, strict=True)
    ]
    return sizes == (_NUM_IMAGES, _NUM_PEOPLE) and found == expected


def _numbers(array: Any) -> Int[np.ndarray, ' n']:
  """A vector of whole numbers; MATLAB keeps them as floats or integers.

  Raises:
    ValueError: it holds something else.
  """
  flat = np.ravel(array)
  if flat.dtype.kind not in 'iuf' or not len(flat):
    raise ValueError(f'found {len(flat)} {flat.dtype} values for numbers')
  if not ((flat == np.floor(flat)) & (abs(flat) <= _LARGEST)).all():
    raise ValueError('found values that are no whole numbers')
  return flat.astype(np.int64)


def _names(cells: Any) -> tuple[str, ...]:
  """The texts of a cell array.

  Raises:
    ValueError: a cell holds no text, or one stands there twice.
  """
  names = [np.ravel(cell) for cell in np.ravel(cells)]
  for number, name in enumerate(names, 1):
    if len(name) != 1 or name.dtype.kind != 'U':
      raise ValueError(f'imageList {number} is no name')
  names = tuple(str(name[0]) for name in names)
  if len(set(names)) != len(names):
    raise ValueError('imageList names an image twice')
  return names


def _places(cell: Any, key: str, num_images: int) -> Int[np.ndarray, ' n']:
  """Images of a cell, from 0; MATLAB counts from 1.

  Raises:
    ValueError: a number is none of an image, or stands there twice.
  """
  numbers = _numbers(cell)
  if numbers.min() < 1 or numbers.max() > num_images:
    raise ValueError(
      f'{key} has numbers {numbers.min()} to {numbers.max()}, of '
      f'{num_images} images'
    )
  if len(np.unique(numbers)) != len(numbers):
    raise ValueError(f'{key} names an image twice')
  return numbers - 1


def _split(
  variables: Mapping[str, Any], trial: int, labels: Int[np.ndarray, ' N']
) -> Split:
  """Gallery and probes of a trial.

  Raises:
    ValueError: they are no division of its test set.
  """
  test, gallery, probes = (
    _places(np.ravel(variables[key])[trial], key, len(labels))
    for key in ('testIndex', 'galIndex', 'probIndex')
  )
  if not np.array_equal(np.sort(test), np.sort(np.append(gallery, probes))):
    raise ValueError('galIndex and probIndex do not divide testIndex')
  if len(np.unique(labels[gallery])) != len(gallery):
    raise ValueError('galIndex has two images of one person')
  return Split(gallery, probes)


def read_blufr(path: PathLike) -> BlufrTrials:
  """Reads the configuration file of BLUFR.

  Args:
    path: `blufr_lfw_config.mat`: cells of image names, the number of each
      image's person, and for each trial a cell of the test images, of the
      enrolled and of the looked up ones among them, counted from 1. What it
      says of training is for methods that learn on LFW, and not read.

  Raises:
    DataError: the file cannot be read or does not hold this; says the trial.

  References:
    S. Liao, Z. Lei, D. Yi, S. Z. Li, A Benchmark Study of Large-scale
    Unconstrained Face Recognition, 2014; the readme of its toolkit.
  """
  path = Path(path)
  variables = read_mat(path, form=_FORM)
  missing = [key for key in _VARIABLES if key not in variables]
  if missing:
    raise DataError(f'{path}: expected {_FORM}; it has no {missing[0]}')
  where = ''
  try:
    names = _names(variables['imageList'])
    labels = np.unique(_numbers(variables['labels']), return_inverse=True)[1]
    if len(labels) != len(names):
      raise ValueError(f'{len(names)} images have {len(labels)} labels')
    trials = {np.size(variables[key]) for key in _VARIABLES[2:]}
    if len(trials) > 1 or not max(trials):
      raise ValueError(f'the indexes are of {sorted(trials)} trials')
    splits = []
    for trial in range(max(trials)):
      where = f', trial {trial + 1}'
      splits.append(_split(variables, trial, labels))
  except (ValueError, TypeError) as error:
    raise DataError(f'{path}{where}: expected {_FORM} ({error})') from None
  return BlufrTrials(names, labels, tuple(splits))
