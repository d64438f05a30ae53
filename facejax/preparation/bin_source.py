"""People of verification sets (`.bin`) as items of a preparation."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax.array_typing import Int
from facejax.data.bin_pairs import BinPairs
from facejax.data.names import NameTable
from facejax.data.remote import absolute
from facejax.errors import UsageError
from facejax.files import PathLike
from facejax.preparation.components import components


class BinSource:
  """The distinct images of `.bin` files, with what is known of their people.

  A `.bin` has no names. Two images show one person if a pair says so, or if
  other pairs join them; an image that stands in several pairs, or files, is
  known by its bytes and taken once. People are called by their first image,
  'pair_000042', counted over all inputs. Two of them may still be one person:
  no pair need have said so. A set made of them is one for testing, or for
  distillation without labels; as classes to learn they contradict each other.
  """

  num_ignored = 0

  def __init__(self, paths: Sequence[PathLike]):
    """Reads the files.

    Raises:
      DataError: one is missing, damaged or no verification set.
      UsageError: none is given, or one twice.
    """
    if not paths:
      raise UsageError('no input: name .bin files with --input')
    self.inputs = [str(path) for path in paths]
    if len({absolute(path) for path in paths}) < len(paths):
      raise UsageError(f'--input names a file twice: {",".join(self.inputs)}')
    self._files = [BinPairs(path) for path in paths]
    counts = [len(file.names()) for file in self._files]
    self._starts = np.cumsum([0, *counts])
    self._digests, distinct = self._number_images()
    self._places = np.flatnonzero(distinct == np.arange(len(distinct)))
    same = np.concatenate([file.same for file in self._files])
    pairs = distinct.reshape(-1, 2)
    people = components(len(distinct), pairs[same])
    first, labels = np.unique(people[self._places], return_inverse=True)
    self.identities = NameTable.of(f'pair_{image:06d}' for image in first)
    self.labels = labels.astype(np.int32)
    impostors = people[pairs[~same]]
    self._contradictions = int((impostors[:, 0] == impostors[:, 1]).sum())

  def _number_images(self) -> tuple[bytes, Int[np.ndarray, ' N']]:
    """A hash over all images, and of each the first that has its bytes."""
    seen, first, digest = {}, [], hashlib.sha256()
    for file in self._files:
      for name in file.names():
        value = hashlib.sha256(file.read(name)).digest()
        digest.update(value)
        first.append(seen.setdefault(value, len(first)))
      digest.update(np.packbits(file.same))
    return digest.digest(), np.array(first, np.int64)

  def path(self, item: int) -> str:
    """'IDENTITY/PLACE.jpg', the place counted over all inputs."""
    name = f'{self._places[item]:06d}.jpg'
    return f'{self.identities[self.labels[item]]}/{name}'

  def input_of(self, item: int) -> int:
    """The place in `inputs` of the file that an item stands in first."""
    place = self._places[item]
    return int(np.searchsorted(self._starts, place, side='right')) - 1

  def read(self, item: int) -> bytes:
    """The encoded image of an item."""
    source = self.input_of(item)
    file = self._files[source]
    place = int(self._places[item] - self._starts[source])
    return file.read(file.names()[place])

  def why_nameless(self, item: int) -> str:
    """Never asked: every image is in a component."""
    del item
    return 'is in no pair'

  def claims(self) -> dict[str, Any]:
    """By input its pairs; over all what the pairs say about the images."""
    notes = []
    if self._contradictions:
      notes.append(
        f'{self._contradictions} pairs are of two people whom other pairs make '
        'one'
      )
    return {
      'inputs': {
        name: {'pairs': len(file.same)}
        for name, file in zip(self.inputs, self._files, strict=True)
      },
      'notes': notes,
      'images': int(self._starts[-1]),
      'repeated_images': int(self._starts[-1]) - len(self._places),
      'components': len(self.identities),
      'contradictory_pairs': self._contradictions,
    }

  def fingerprint(self) -> str:
    """Of the bytes of every image and all pairs."""
    return self._digests.hex()
