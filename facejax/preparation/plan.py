"""The order in which the images of a source come into a set."""

from collections.abc import Iterator, Sequence

import numpy as np

from facejax.array_typing import Bool
from facejax.preparation.exclusion import Exclusion
from facejax.preparation.sources import FaceSource


class Plan:
  """A source person by person, without the images to leave out.

  Place 0 has the images that belong to nobody; places 1 .. K are the people,
  sorted by name. Within a place images are sorted by file name, input, path.
  It takes 13 bytes an image.
  """

  def __init__(self, source: FaceSource, exclusion: Exclusion):
    """Orders the items; only their names are looked at."""
    self._source = source
    names: Sequence[str] = source.identities
    by_name = sorted(range(len(names)), key=names.__getitem__)
    self._label_at = np.array([-1, *by_name], np.int64)
    self._items = np.argsort(source.labels, kind='stable')
    counts = np.bincount(source.labels + 1, minlength=len(names) + 1)
    self._ends = np.cumsum(counts)
    self._excluded = self._find_excluded(exclusion)

  def _find_excluded(self, exclusion: Exclusion) -> Bool[np.ndarray, ' N']:
    source = self._source
    excluded = np.zeros(len(source.labels), bool)
    if exclusion.counts:
      for item, label in enumerate(source.labels.tolist()):
        name = source.identities[label] if label >= 0 else ''
        excluded[item] = exclusion.excludes(name, source.path(item))
    return excluded

  @property
  def num_places(self) -> int:
    """One more than there are people."""
    return len(self._label_at)

  @property
  def num_excluded(self) -> int:
    """Images to leave out."""
    return int(self._excluded.sum())

  def name(self, place: int) -> str | None:
    """The person of a place, None for nobody."""
    return self._source.identities[self._label_at[place]] if place else None

  def items(self, place: int) -> list[int]:
    """The images of a place in the order of the set."""
    group = int(self._label_at[place]) + 1
    start = self._ends[group - 1] if group else 0
    items = self._items[start : self._ends[group]]
    return sorted(items[~self._excluded[items]].tolist(), key=self._sort_key)

  def _sort_key(self, item: int) -> tuple[str, int, str]:
    path = self._source.path(item)
    return path.rsplit('/', 1)[-1], self._source.input_of(item), path

  def count_from(self, place: int) -> int:
    """Images of a place and all after it."""
    groups = self._label_at[place:] + 1
    ends = self._ends[groups]
    total = int((ends - np.where(groups, self._ends[groups - 1], 0)).sum())
    if not self._excluded.any():
      return total
    later = np.zeros(self.num_places, bool)
    later[groups] = True
    labels = self._source.labels[self._excluded]
    return total - int(later[labels + 1].sum())

  def walk(self, place: int) -> Iterator[tuple[int, int]]:
    """(place, item) of all images from a place on."""
    for at in range(place, self.num_places):
      for item in self.items(at):
        yield at, item
