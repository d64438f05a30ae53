"""Verification pairs drawn from labelled faces."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from facejax.array_typing import Bool, Int
from facejax.data.protocols import NUM_FOLDS
from facejax.errors import DataError, UsageError


@runtime_checkable
class Faces(Protocol):
  """Labelled faces by index: dicts with 'image' and 'label'."""

  def __len__(self) -> int:
    """Number of faces."""

  def __getitem__(self, index: int) -> dict[str, Any]:
    """One face."""


def _draw(
  rng: np.random.Generator,
  images: Int[np.ndarray, ' N'],
  labels: Int[np.ndarray, ' N'],
  count: int,
) -> Int[np.ndarray, 'P 2']:
  """`count` genuine and as many impostor pairs, none twice."""
  first, second = np.triu_indices(len(images), 1)
  genuine = labels[first] == labels[second]
  chosen = []
  for kind, name in ((genuine, 'genuine'), (~genuine, 'impostor')):
    candidates = np.flatnonzero(kind)
    if len(candidates) < count:
      raise DataError(
        f'{len(images)} images of {len(np.unique(labels))} people in a fold '
        f'give {len(candidates)} {name} pairs, not {count}: ask for fewer '
        'pairs or bring more people'
      )
    chosen.append(rng.choice(candidates, count, replace=False))
  chosen = np.concatenate(chosen)
  return np.stack([images[first[chosen]], images[second[chosen]]], axis=1)


def sample_pairs(
  labels: Int[np.ndarray, ' N'],
  *,
  num_pairs: int,
  seed: int,
  num_folds: int = NUM_FOLDS,
) -> tuple[
  Int[np.ndarray, ' P'],
  Int[np.ndarray, ' P'],
  Bool[np.ndarray, ' P'],
  Int[np.ndarray, ' P'],
]:
  """Draws pairs as LFW's View 2 has them: nobody is in two folds.

  Args:
    labels: int [N], the person of every image.
    num_pairs: pairs over all folds, half of them genuine; rounded down to a
      multiple of 2 * num_folds.
    seed: the same seed draws the same pairs.
    num_folds: folds, over which the people are dealt out at random; with
      fewer than two people a fold there are fewer, at least two.

  Returns:
    index_a, index_b (int [P], places in `labels`), same (bool [P]) and folds
    (int [P]), fold by fold, genuine pairs first; no pair is drawn twice.

  Raises:
    UsageError: fewer pairs than two a fold.
    DataError: the people of a fold have too few pairs.
  """
  rng = np.random.default_rng(seed)
  people = rng.permutation(np.unique(labels))
  num_folds = max(2, min(num_folds, len(people) // 2))
  count = num_pairs // (2 * num_folds)
  if count < 1:
    raise UsageError(
      f'{num_pairs} pairs do not fill {num_folds} folds: ask for at least '
      f'{2 * num_folds}'
    )
  drawn = []
  for fold in range(num_folds):
    images = np.flatnonzero(np.isin(labels, people[fold::num_folds]))
    drawn.append(_draw(rng, images, labels[images], count))
  pairs = np.concatenate(drawn)
  place = np.arange(len(pairs))
  same = place % (2 * count) < count
  return pairs[:, 0], pairs[:, 1], same, place // (2 * count)
