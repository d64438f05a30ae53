"""One commit of an index, mapped."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from facejax.array_typing import Bool, Int, Int32, Shaped, UInt8
from facejax.errors import DataError
from facejax.search.device import DeviceCodes, DeviceVectors
from facejax.search.manifest import Manifest
from facejax.search.names import StoredNames
from facejax.search.store import IndexStore
from facejax.search.vectors import StoredVectors


@dataclasses.dataclass(frozen=True)
class Snapshot:
  """The T rows of an index at one commit; later commits do not change it.

  Attributes:
    manifest: of the commit.
    codes: uint8 [T, L // 8], or None.
    vectors: `StoredVectors` of T rows, or None.
    person: int32 [T], a number of `people`.
    names: of the templates.
    people: names of the people, among them those without templates now.
    name_keys: uint64 [T].
    people_keys: uint64 [P].
    removed_rows: int64 [R].
  """

  manifest: Manifest
  codes: UInt8[np.ndarray, 'T _'] | None
  vectors: Any
  person: Int32[np.ndarray, ' T']
  names: StoredNames
  people: StoredNames
  name_keys: Shaped[np.ndarray, ' T']
  people_keys: Shaped[np.ndarray, ' P']
  removed_rows: Int[np.ndarray, ' R']

  @property
  def num_rows(self) -> int:
    """T, removed rows included."""
    return self.manifest.templates

  @property
  def num_living(self) -> int:
    """Rows that are not removed."""
    return self.manifest.templates - self.manifest.removed

  @functools.cached_property
  def removed(self) -> Bool[np.ndarray, ' T'] | None:
    """Which rows no longer count; None where all do."""
    if not len(self.removed_rows):
      return None
    removed = np.zeros(self.num_rows, bool)
    removed[self.removed_rows] = True
    return removed

  @functools.cached_property
  def code_gallery(self) -> Any:
    """What codes are searched in: on GPU and TPU a copy on the devices."""
    if jax.default_backend() == 'cpu':
      return self.codes
    return DeviceCodes(self.codes, removed=self.removed)

  @functools.cached_property
  def vector_gallery(self) -> Any:
    """What all vectors are searched in, likewise."""
    if jax.default_backend() == 'cpu':
      return self.vectors
    return DeviceVectors(self.vectors, removed=self.removed)

  @functools.cached_property
  def num_people(self) -> int:
    """People who have a template."""
    living = self.person if self.removed is None else self.person[~self.removed]
    return int(np.count_nonzero(np.bincount(living)))

  def living_rows(self) -> Int[np.ndarray, ' n']:
    """Numbers of the rows that are not removed, rising."""
    if self.removed is None:
      return np.arange(self.num_rows)
    return np.flatnonzero(~self.removed)

  def check(self) -> None:
    """Looks at all that refers to something else.

    Raises:
      DataError: says what does not fit, though the checksums do.
    """
    for what, names in (('names', self.names), ('people', self.people)):
      ends = np.concatenate([[0], names.ends])
      size = self.manifest.files[what].size
      if ends[-1] != size or (np.diff(ends) < 0).any():
        raise DataError(f'the ends of {what} do not fit its {size} bytes')
    for what, numbers, limit in (
      ('person', self.person, len(self.people)),
      ('removed', self.removed_rows, self.num_rows),
    ):
      if len(numbers) and not 0 <= numbers.min() <= numbers.max() < limit:
        raise DataError(f'{what} has a number outside of 0 .. {limit - 1}')
    if len(np.unique(self.removed_rows)) != len(self.removed_rows):
      raise DataError('a row is removed twice')


def take_snapshot(store: IndexStore) -> Snapshot:
  """Maps the newest commit that a store has seen.

  Raises:
    DataError: a file is missing or cut short.
  """
  arrays = store.arrays()
  vectors = None
  if 'vectors' in arrays:
    vectors = StoredVectors(arrays['vectors'], arrays.get('factors'))
  return Snapshot(
    manifest=store.manifest,
    codes=arrays.get('codes'),
    vectors=vectors,
    person=arrays['person'],
    names=StoredNames(arrays['names'], arrays['name_ends']),
    people=StoredNames(arrays['people'], arrays['people_ends']),
    name_keys=arrays['name_keys'],
    people_keys=arrays['people_keys'],
    removed_rows=arrays['removed'],
  )
