"""Millions of names on disk: read by place, found by a key of 64 bits."""

import hashlib
import os
from collections.abc import Iterator, Sequence

import numpy as np

from facejax.array_typing import Int, Shaped

_RECENT = 1 << 16  # keys that are found one by one before they are sorted in


def encode_names(names: Sequence[str]) -> tuple[bytes, Int[np.ndarray, ' N']]:
  """The bytes of names, one after the other, and the place behind each."""
  encoded = [os.fsencode(name) for name in names]
  ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
  return b''.join(encoded), ends


def name_keys(names: Sequence[str]) -> Shaped[np.ndarray, ' N']:
  """Keys of names, uint64: two names have one by chance in 2^64."""
  digests = b''.join(
    hashlib.blake2b(os.fsencode(name), digest_size=8).digest() for name in names
  )
  return np.frombuffer(digests, '<u8')


class StoredNames(Sequence[str]):
  """An unchanging list of names, read from the disk when they are asked for.

  Names are kept as file systems keep them, so those that are not UTF-8 come
  back as they went in (`os.fsencode`).

  Attributes:
    ends: int64 [N], the place behind the bytes of every name.
  """

  def __init__(
    self, content: Shaped[np.ndarray, ' n'], ends: Int[np.ndarray, ' N']
  ):
    """Wraps names that stand one after the other.

    Args:
      content: uint8, the bytes of all names.
      ends: int64 [N], the place in `content` behind every name.
    """
    self._content, self.ends = content, ends

  def __len__(self) -> int:
    return len(self.ends)

  def __getitem__(self, index):
    """The name at a place; a slice is a list of names."""
    if isinstance(index, slice):
      return [self[place] for place in range(*index.indices(len(self)))]
    place = int(index) + (len(self) if index < 0 else 0)
    if not 0 <= place < len(self):
      raise IndexError(f'name {index} of {len(self)}')
    start = int(self.ends[place - 1]) if place else 0
    return os.fsdecode(self._content[start : int(self.ends[place])].tobytes())

  def encoded(self, places: Int[np.ndarray, ' n']) -> tuple[bytes, np.ndarray]:
    """The bytes of some names, one after the other, and their lengths.

    Args:
      places: rising.
    """
    if not len(places):
      return b'', np.empty(0, np.int64)
    stops = self.ends[places]
    starts = np.where(places > 0, self.ends[places - 1], 0)
    # Neighbours are copied together.
    breaks = np.flatnonzero(np.diff(places) > 1)
    firsts = starts[np.concatenate([[0], breaks + 1])].tolist()
    lasts = stops[np.concatenate([breaks, [len(places) - 1]])].tolist()
    parts = zip(firsts, lasts, strict=True)
    content = b''.join(self._content[a:b].tobytes() for a, b in parts)
    return content, stops - starts

  def __iter__(self) -> Iterator[str]:
    return map(self.__getitem__, range(len(self)))


class KeyTable:
  """Places of keys: all that was there in one sorted array, new ones apart.

  Takes 16 bytes a key, and looks a thousand keys up in ten million in less
  than a millisecond.
  """

  def __init__(self, keys: Shaped[np.ndarray, ' N']):
    """Takes the keys of places 0 .. N - 1, uint64."""
    self._order = np.argsort(keys, kind='stable')
    self._sorted = keys[self._order]
    self._recent: dict[int, list[int]] = {}
    self._num_recent = 0

  def __len__(self) -> int:
    return len(self._sorted) + self._num_recent

  def append(self, keys: Shaped[np.ndarray, ' N']) -> None:
    """Takes the keys of the next places."""
    if len(keys) > _RECENT:
      self._merge()
      self._insert(keys, np.arange(len(self), len(self) + len(keys)))
      return
    for place, key in enumerate(keys.tolist(), len(self)):
      self._recent.setdefault(key, []).append(place)
    self._num_recent += len(keys)
    # In proportion to the size, so that each key is moved a few times at most.
    if self._num_recent > max(_RECENT, len(self._sorted) // 8):
      self._merge()

  def _merge(self) -> None:
    """Sorts the recent keys in."""
    keys = [key for key, at in self._recent.items() for _ in at]
    places = [place for at in self._recent.values() for place in at]
    self._recent, self._num_recent = {}, 0
    self._insert(np.array(keys, np.uint64), np.array(places, np.int64))

  def _insert(
    self, keys: Shaped[np.ndarray, ' N'], places: Int[np.ndarray, ' N']
  ) -> None:
    """Sorts keys in; the places of equal ones rise, above those there."""
    order = np.argsort(keys, kind='stable')
    at = np.searchsorted(self._sorted, keys[order], side='right')
    self._sorted = np.insert(self._sorted, at, keys[order])
    self._order = np.insert(self._order, at, places[order])

  def find(self, keys: Shaped[np.ndarray, ' M']) -> list[list[int]]:
    """All places of each key, rising."""
    starts = np.searchsorted(self._sorted, keys, side='left')
    stops = np.searchsorted(self._sorted, keys, side='right')
    return [
      self._order[start:stop].tolist() + self._recent.get(key, [])
      for key, start, stop in zip(keys.tolist(), starts, stops, strict=True)
    ]
