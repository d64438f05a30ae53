"""Which images are enrolled and which looked up: named splits, draws, lists."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Int
from facejax.data.identification_splits import Draw, draw_split
from facejax.errors import UsageError
from facejax.files import PathLike

FULL, SURROGATE, LISTS = 'full', 'surrogate', 'lists'
NUM_DRAWS = 20
# People, images and probes of all of LFW, one image a person enrolled.
LFW_COUNTS = (5749, 13233, 7484)
_NOTES = {
  FULL: (
    'the first image of everybody enrolled, all others looked up; the '
    'published split of 4,249 people and 3,143 probes is another one: do not '
    'compare with tables made on it'
  ),
  SURROGATE: (
    'random splits with the counts of the published one, whose people were '
    'never listed: do not compare with tables made on it as if equal'
  ),
  LISTS: "a user's own lists: compare only with results on the same",
}


def choose_split(
  split: str | None,
  default: str,
  *,
  gallery: PathLike | None,
  probes: PathLike | None,
  draws: int | None,
  seed: int | None,
) -> str:
  """Which split is meant; options that do not go together are refused.

  Args:
    split: as asked for, if it was.
    default: the protocol's own.
    gallery: list of enrolled images, if one was given.
    probes: list of images to look up, if one was given.
    draws: of the surrogate, if given.
    seed: of the draws, if given.

  Returns:
    FULL, SURROGATE or LISTS.

  Raises:
    UsageError: says which options contradict each other.
  """
  if (gallery is None) != (probes is None):
    raise UsageError('give --gallery and --probes together')
  if gallery is not None:
    if split is not None:
      raise UsageError(
        f'--closed_split={split} has images of its own: leave it out, or leave '
        '--gallery and --probes out'
      )
    chosen = LISTS
  else:
    chosen = default if split is None else split
    if chosen not in (FULL, SURROGATE):
      raise UsageError(
        f'--closed_split={chosen}: use {FULL} or {SURROGATE}, or give '
        '--gallery and --probes'
      )
  for name, value, least in (('draws', draws, 1), ('seed', seed, 0)):
    if value is None:
      continue
    if chosen != SURROGATE:
      raise UsageError(
        f'--{name} is for the draws of the {SURROGATE} split, not for {chosen}'
      )
    if value < least:
      raise UsageError(f'--{name}={value}: give {least} or more')
  return chosen


def describe_split(split: str, *, official: bool = False) -> dict[str, Any]:
  """JSON values that say what a result may be compared with.

  Args:
    split: FULL, SURROGATE or LISTS.
    official: whether its counts are those of all of LFW.
  """
  return {
    'split': split,
    'official': official,
    'surrogate': split == SURROGATE,
    'note': _NOTES[split],
  }


def is_all_of_lfw(protocol: str, people: int, images: int, probes: int) -> bool:
  """Whether a full split is that of all of LFW; another one is noted.

  Args:
    protocol: its name, for the note.
    people: in the gallery.
    images: in all.
    probes: looked up.
  """
  counts = people, images, probes
  if counts != LFW_COUNTS:
    files.note(
      f'protocol {protocol}: {people:,} people, {images:,} images and '
      f'{probes:,} probes; all of LFW has {{:,}}, {{:,}} and {{:,}}'.format(
        *LFW_COUNTS
      )
    )
  return counts == LFW_COUNTS


def draw_splits(
  labels: Int[np.ndarray, ' N'], *, seed: int | None, draws: int | None
) -> Iterator[Draw]:
  """The drawn splits, one after the other, 20 with seed 0 unless given.

  Raises:
    DataError: the images cannot meet the counts of the published split.
  """
  count = NUM_DRAWS if draws is None else draws
  for draw in files.progress(range(count), desc='draws', unit='draw', delay=5):
    yield draw_split(labels, seed=seed or 0, draw=draw)


def over_draws(values: list[Any]) -> tuple[Any, Any]:
  """Mean and sample standard deviation; a single draw has none (None).

  Args:
    values: of each draw: numbers, or arrays of one shape.
  """
  mean = np.mean(values, axis=0).tolist()
  if len(values) == 1:
    return mean, None
  return mean, np.std(values, axis=0, ddof=1).tolist()
