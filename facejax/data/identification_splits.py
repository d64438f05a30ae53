"""Galleries and probes of identification on LFW, for lack of official lists.

Best-Rowden et al. enrol 4,249 people with one image each and look up 3,143
images of 596 of them (closed set); or enrol these 3,143 images and look up
10,090, one more image of each of the 596 and all 9,494 of the other people
(open set). Who the 596 are was never published. What follows from the counts:
they own 3,739 images.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from facejax.array_typing import Int
from facejax.errors import DataError

_TRIES, _ROUNDS = 256, 1000  # subsets drawn at a time, and how often at most


class Split(NamedTuple):
  """Images by their places in a list of names.

  Attributes:
    gallery: int [G], enrolled.
    probes: int [Q], looked up.
  """

  gallery: Int[np.ndarray, ' G']
  probes: Int[np.ndarray, ' Q']


@dataclasses.dataclass(frozen=True)
class Counts:
  """What a draw has to meet; the defaults are those of the published split.

  Attributes:
    people: with two images or more, that are enrolled and looked up.
    images: that they own together.
    singles: other people of whom the closed set enrols one image.
  """

  people: int = 596
  images: int = 3739
  singles: int = 3653


class Draw(NamedTuple):
  """A drawn division of all images; places in a list of names.

  Attributes:
    enrolled: int, one image of each of the people.
    rest: int, all other images of these people.
    singles: int, one image of each of some other people.
    others: int, all images of all other people.
  """

  enrolled: Int[np.ndarray, ' P']
  rest: Int[np.ndarray, ' R']
  singles: Int[np.ndarray, ' S']
  others: Int[np.ndarray, ' O']

  @property
  def closed(self) -> Split:
    """Looks the rest up among one image of everybody."""
    return Split(np.concatenate([self.enrolled, self.singles]), self.rest)

  @property
  def open(self) -> Split:
    """Looks everybody up among the rest."""
    return Split(self.rest, np.concatenate([self.enrolled, self.others]))


def first_images(labels: Int[np.ndarray, ' N']) -> Split:
  """Enrols everybody's first image and looks up all others.

  Args:
    labels: int [N], the person of every image, in the order of their names.

  Raises:
    DataError: nobody has a second image.
  """
  _, first = np.unique(labels, return_index=True)
  probes = np.setdiff1d(np.arange(len(labels)), first)
  if not len(probes):
    raise DataError(
      f'each of the {len(labels)} people has one image only: nobody is left '
      'to look up'
    )
  return Split(first, probes)


def _draw_people(
  images: Int[np.ndarray, ' K'], counts: Counts, rng: np.random.Generator
) -> Int[np.ndarray, ' P']:
  """People with exactly `counts.images` images: all such subsets alike.

  Subsets of the right number of people are drawn until one has the right
  number of images, about 1,800 for LFW. That gives every subset that fits the
  same chance, which filling up or exchanging people would not.
  """
  several = np.flatnonzero(images >= 2)
  sizes = np.sort(images[several])
  possible = (
    len(several) >= counts.people
    and len(images) - counts.people >= counts.singles
    and sizes[: counts.people].sum() <= counts.images
    and sizes[len(sizes) - counts.people :].sum() >= counts.images
  )
  for _ in range(_ROUNDS if possible else 0):
    order = rng.random((_TRIES, len(several)), np.float32)
    drawn = order.argpartition(counts.people - 1, axis=1)[:, : counts.people]
    fits = np.flatnonzero(images[several[drawn]].sum(axis=1) == counts.images)
    if len(fits):
      return np.sort(several[drawn[fits[0]]])
  raise DataError(
    f'{len(images)} people with {images.sum()} images: {counts.people} of them '
    f'with {counts.images} images and {counts.singles} others could not be '
    'drawn, as they can from LFW: use the full split or lists'
  )


def draw_split(
  labels: Int[np.ndarray, ' N'],
  *,
  seed: int,
  draw: int,
  counts: Counts | None = None,
) -> Draw:
  """Draws a surrogate of the published split, of the same counts.

  The people are one of all sets of 596 people with two or more images that
  own exactly 3,739 images together, each such set as likely as any other;
  which image of a person is enrolled, and which 3,653 of the others, is drawn
  evenly too.

  Args:
    labels: int [N], the person of every image.
    seed: the same seed and draw give the same split.
    draw: its number, from 0; no draw depends on how many there are.
    counts: to meet; None takes those of the published split.

  Returns:
    The division, its parts sorted.

  Raises:
    DataError: the images cannot meet the counts.

  References:
    spec 13.2; Best-Rowden et al., Unconstrained Face Recognition, 2014.
  """
  counts = Counts() if counts is None else counts
  rng = np.random.default_rng([seed, draw])
  people, place, images = np.unique(
    labels, return_inverse=True, return_counts=True
  )
  chosen = _draw_people(images, counts, rng)
  # The first image of everybody in a random order: one drawn evenly.
  shuffled = rng.permutation(len(labels))
  _, first = np.unique(place[shuffled], return_index=True)
  one_each = shuffled[first]
  is_chosen = np.isin(np.arange(len(people)), chosen)
  enrolled = np.sort(one_each[chosen])
  of_chosen = np.flatnonzero(is_chosen[place])
  singles = rng.choice(
    np.flatnonzero(~is_chosen), counts.singles, replace=False
  )
  return Draw(
    enrolled=enrolled,
    rest=np.setdiff1d(of_chosen, enrolled),
    singles=np.sort(one_each[singles]),
    others=np.flatnonzero(~is_chosen[place]),
  )


def draw_half(labels: Int[np.ndarray, ' N'], *, seed: int, draw: int) -> Split:
  """Draws an open set from any faces.

  Half of the people with two images or more, rounded up, are enrolled with
  all their images but one; that one and all images of everybody else are
  looked up.

  Args:
    labels: int [N], the person of every image.
    seed: the same seed and draw give the same split.
    draw: its number, from 0.

  Raises:
    DataError: fewer than two people, or nobody with two images.
  """
  people, place, images = np.unique(
    labels, return_inverse=True, return_counts=True
  )
  several = np.flatnonzero(images >= 2)
  if len(people) < 2 or not len(several):
    raise DataError(
      f'{len(people)} people, of whom {len(several)} have two images or more: '
      'an open set needs two people, and one with two images'
    )
  rng = np.random.default_rng([seed, draw])
  count = min(-(-len(several) // 2), len(people) - 1)
  enrolled = np.isin(place, rng.choice(several, count, replace=False))
  shuffled = rng.permutation(len(labels))
  _, first = np.unique(place[shuffled], return_index=True)
  is_probe = ~enrolled
  is_probe[shuffled[first]] = True
  return Split(np.flatnonzero(~is_probe), np.flatnonzero(is_probe))
