"""Pairs of images by name, and folds for lists that come without any."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from facejax.array_typing import Bool, Int
from facejax.errors import DataError

NUM_FOLDS = 10


@dataclasses.dataclass(frozen=True)
class PairList:
  """Pairs of images by name, in the order of their list.

  Attributes:
    names_a: first image of every pair, '/'-separated.
    names_b: second image of every pair.
    same: bool [P], whether a pair shows one person.
    folds: int [P], the fold of every pair, 0 .. F-1; no fold is empty.
  """

  names_a: tuple[str, ...]
  names_b: tuple[str, ...]
  same: Bool[np.ndarray, ' P']
  folds: Int[np.ndarray, ' P']

  def images(self) -> list[str]:
    """Every image once, sorted."""
    return sorted(set(self.names_a) | set(self.names_b))

  def index(
    self, images: Sequence[str]
  ) -> tuple[Int[np.ndarray, ' P'], Int[np.ndarray, ' P']]:
    """The places of the two images of every pair in `images`.

    Raises:
      DataError: an image of the list is not there.
    """
    place = {name: i for i, name in enumerate(images)}
    try:
      first = [place[name] for name in self.names_a]
      second = [place[name] for name in self.names_b]
    except KeyError as error:
      raise DataError(f'no image {error.args[0]} for the pair list') from None
    return np.array(first, np.int64), np.array(second, np.int64)


def balanced_folds(
  same: Bool[np.ndarray, ' P'], *, num_folds: int = NUM_FOLDS
) -> Int[np.ndarray, ' P']:
  """Folds for a list that comes without any.

  Genuine and impostor pairs are each cut into blocks of nearly equal size, in
  the order of the list. Blocks rather than a shuffle, because lists are sorted
  by person and a block keeps a person's pairs together; class by class, so
  that a list of all genuine pairs first still gets balanced folds. On LFW's
  View 2 this gives the official folds.

  Args:
    same: bool [P].
    num_folds: folds wanted; a list with fewer pairs of a kind gets fewer, at
      least one.

  Returns:
    Int [P], 0 .. F-1.
  """
  kinds = [np.flatnonzero(same), np.flatnonzero(~same)]
  counts = [len(kind) for kind in kinds if len(kind)]
  num_folds = max(1, min([num_folds, *counts]))
  folds = np.zeros(len(same), np.int64)
  for kind in kinds:
    folds[kind] = np.arange(len(kind)) * num_folds // max(1, len(kind))
  return folds
