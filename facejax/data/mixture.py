"""Several prepared sets as one source, each with a share of the images.

A set is shuffled and repeated on its own, so it has its own epochs, and which
image stands at a place of the whole order is arithmetic: nothing is drawn or
remembered, so any host can begin anywhere.
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, SupportsIndex

import grain
import numpy as np

from facejax import files
from facejax.data.names import NameTable
from facejax.data.records import FaceRecords, identities_checksum
from facejax.errors import UsageError
from facejax.files import PathLike

Number = int | float
_index_shuffle = grain.experimental.index_shuffle
_ROUNDS = 4  # of its cipher


def interleave(position: int, shares: Sequence[int]) -> tuple[int, int]:
  """Which set gives the image at a place of the mixture, and which of its own.

  The first set gets floor(n s_0 / S) of the first n places, spread evenly; the
  places left go to the other sets in the same way. Every cycle of
  S = sum(shares) places holds exactly `shares[k]` images of set k, and within
  a cycle none is ahead or behind by as many images as there are sets.

  Args:
    position: in the mixture, 0 or more.
    shares: of every set, positive whole numbers.

  Returns:
    The set, and the place in the order of that set.
  """
  total = sum(shares)
  for number, share in enumerate(shares[:-1]):
    before = position * share // total  # images of this set
    if (position + 1) * share // total > before:
      return number, before
    position, total = position - before, total - share
  return len(shares) - 1, position  # it takes every place that is left


def whole_shares(weights: Sequence[Number]) -> tuple[int, ...]:
  """Weights in the ratio of the smallest whole numbers: (0.5, 1.5) is (1, 3).

  Exact: 0.1 is taken as it is written, not as the nearest binary fraction.

  Raises:
    UsageError: one is not a positive number.
  """
  for weight in weights:
    if not (math.isfinite(weight) and weight > 0):
      raise UsageError(
        f'weights {tuple(weights)}: use a positive number for each set'
      )
  exact = [Fraction(str(weight)) for weight in weights]
  common = math.lcm(*(fraction.denominator for fraction in exact))
  whole = [int(fraction * common) for fraction in exact]
  divisor = math.gcd(*whole)
  return tuple(number // divisor for number in whole)


class MixedFaces:
  """Prepared sets one after the other, to be seen in given proportions.

  Invariants: images and identities are those of the sets, in their order; a
  label is offset by the identities of the sets before. A person in two sets
  counts as two: prepare such inputs as one set instead, where folders of one
  name are one person.

  Attributes:
    sources: the sets.
    weights: shares of images in lowest terms; by default the sizes, so that
      all epochs are equally long.
    identities: names in label order.
    is_checked: as of `FaceRecords`.
  """

  is_checked = True

  def __init__(
    self,
    sources: Sequence[FaceRecords],
    weights: Sequence[Number] | None = None,
  ):
    """Joins sets that have been opened.

    Raises:
      UsageError: none, or not one positive weight for each.
    """
    if not sources:
      raise UsageError('a mixture needs one set or more')
    if weights is None:
      weights = [len(source) for source in sources]
    if len(weights) != len(sources):
      raise UsageError(
        f'{len(weights)} weights for {len(sources)} sets: give one for each'
      )
    self.sources = tuple(sources)
    self.weights = whole_shares(weights)
    self.identities = NameTable.of(
      itertools.chain.from_iterable(source.identities for source in sources)
    )
    self.identities_checksum = identities_checksum(self.identities)
    # Of images and of people before every set, and at the end of all.
    self._starts = np.cumsum([0, *map(len, sources)])
    self._labels = np.cumsum([0, *(s.num_identities for s in sources)])

  def __repr__(self) -> str:
    return f'MixedFaces({", ".join(map(repr, self.sources))})'

  def __len__(self) -> int:
    return int(self._starts[-1])

  @property
  def num_identities(self) -> int:
    """Number of people, K; those of two sets count twice."""
    return len(self.identities)

  @property
  def checksums(self) -> dict[str, str]:
    """Of all files of all sets, 'SET/FILE' with the number of the set."""
    return {
      f'{number}/{name}': checksum
      for number, source in enumerate(self.sources)
      for name, checksum in source.checksums.items()
    }

  @property
  def shared_names(self) -> list[str]:
    """Names that stand in more than one set, sorted."""
    names = [set(source.identities) for source in self.sources]
    return sorted(
      set().union(*(a & b for a, b in itertools.combinations(names, 2)))
    )

  @property
  def spans(self) -> list[tuple[int, int]]:
    """The images of every set: the first, and one past the last."""
    return list(itertools.pairwise(self._starts.tolist()))

  def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
    """One record: `__getitems__` of a single index."""
    return self.__getitems__([int(index)])[0]

  def __getitems__(
    self, indices: Sequence[int] | np.ndarray
  ) -> list[dict[str, Any]]:
    """Records in the order asked for.

    Args:
      indices: positions 0 .. len - 1, any order, repeats allowed.

    Returns:
      Those of the sets, their labels offset.

    Raises:
      DataError: a record is corrupt; names its shard and position.
    """
    indices = np.asarray(indices, np.int64)
    for index in indices[(indices < 0) | (indices >= len(self))]:
      raise IndexError(f'record {index} of {len(self)}')
    owners = np.searchsorted(self._starts, indices, side='right') - 1
    records: list[Any] = [None] * len(indices)
    for number in np.unique(owners).tolist():
      slots = np.flatnonzero(owners == number)
      places = (indices[slots] - self._starts[number]).tolist()
      found = self.sources[number].__getitems__(places)
      offset = int(self._labels[number])
      for slot, record in zip(slots.tolist(), found, strict=True):
        records[slot] = record | {'label': record['label'] + offset}
    return records


def _set_seed(seed: int, number: int) -> int:
  """Of the order of a set: far from those of other seeds and sets."""
  return int(np.random.SeedSequence((seed, number)).generate_state(1)[0])


class FaceOrder:
  """The endless order in which images are seen, as places in the source.

  Element i is a pure function of (source, seed, i), found without those before
  it. Every epoch of every set is a permutation of its own, by Grain's index
  shuffle: its datasets would take twice the time to say the same.
  """

  def __init__(self, source: Any, *, seed: int):
    """Of any faces with a length, or of `MixedFaces`; seed 0 .. 2**32 - 1."""
    mixed = isinstance(source, MixedFaces)
    self._shares = source.weights if mixed else (1,)
    spans = source.spans if mixed else [(0, len(source))]
    self._sets = [
      (start, end - start, _set_seed(seed, number))
      for number, (start, end) in enumerate(spans)
    ]

  def __getitem__(self, position: int) -> int:
    """The place in the source of the image at a position, 0 or more."""
    number = 0
    if len(self._sets) > 1:
      number, position = interleave(position, self._shares)
    start, size, seed = self._sets[number]
    if size == 1:
      return start
    epoch, index = divmod(position, size)
    return start + _index_shuffle(
      index, max_index=size - 1, seed=(seed + epoch) % 2**32, rounds=_ROUNDS
    )


def open_faces(
  paths: Sequence[PathLike], weights: Sequence[Number] = ()
) -> FaceRecords | MixedFaces:
  """Opens prepared sets to train on; notes names that several of them share.

  Args:
    paths: their folders; a single one is opened as it is.
    weights: shares of images, one for each; none: by size.

  Raises:
    UsageError: not one positive weight for each set.
    DataError: no prepared set, or a damaged one.
  """
  sources = [FaceRecords(path) for path in paths]
  if len(sources) == 1:
    return sources[0]
  faces = MixedFaces(sources, weights or None)
  if shared := faces.shared_names:
    files.note(
      f'note: {len(shared)} names stand in several sets, such as {shared[0]}, '
      'and count as people of their own in each: if they are one, prepare the '
      'inputs together'
    )
  return faces
