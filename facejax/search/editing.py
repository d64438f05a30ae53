"""Adding, removing and compacting: what each file of an index gets."""

from collections.abc import Sequence

import numpy as np

from facejax.array_typing import Bool, Float, Int, Int32, UInt8
from facejax.errors import UsageError
from facejax.search import vectors
from facejax.search.appending import Content
from facejax.search.compacting import compacted_files
from facejax.search.names import KeyTable, encode_names, name_keys
from facejax.search.snapshot import Snapshot
from facejax.search.store import IndexStore
from facejax.search.templates import check_templates


class Editor:
  """Changes an index; every call is one commit.

  The keys of names and people are held in memory, 16 bytes each, from the
  first change on; so an object must be the only one that changes its index,
  which the lock of the store sees to.
  """

  def __init__(self, store: IndexStore):
    self._store = store
    self._names: KeyTable | None = None
    self._people: KeyTable | None = None

  def find_rows(
    self, snapshot: Snapshot, names: Sequence[str]
  ) -> Int[np.ndarray, ' N']:
    """Row of every name, -1 where no template has it (any more).

    Args:
      snapshot: of the newest commit.
      names: N of them.
    """
    if self._names is None:
      self._names = KeyTable(snapshot.name_keys)
    removed = snapshot.removed
    rows = np.full(len(names), -1, np.int64)
    for i, places in enumerate(self._names.find(name_keys(names))):
      for row in places:
        living = removed is None or not removed[row]
        if living and snapshot.names[row] == names[i]:
          rows[i] = row
    return rows

  def find_people(
    self, snapshot: Snapshot, people: Sequence[str]
  ) -> Int[np.ndarray, ' N']:
    """Number of every person, -1 for one who never had a template."""
    if self._people is None:
      self._people = KeyTable(snapshot.people_keys)
    numbers = np.full(len(people), -1, np.int64)
    for i, places in enumerate(self._people.find(name_keys(people))):
      for number in places:
        if snapshot.people[number] == people[i]:
          numbers[i] = number
    return numbers

  def rows_of(
    self, snapshot: Snapshot, people: Sequence[str]
  ) -> tuple[Int[np.ndarray, ' R'], Bool[np.ndarray, ' N']]:
    """Rows of all templates of some people, and which people have any."""
    if not len(people):
      return np.empty(0, np.int64), np.empty(0, bool)
    numbers = self.find_people(snapshot, people)
    living = snapshot.living_rows()
    rows = living[np.isin(snapshot.person[living], numbers)]
    return rows, np.isin(numbers, snapshot.person[rows])

  def add(
    self,
    snapshot: Snapshot,
    names: Sequence[str],
    people: Sequence[str],
    codes: UInt8[np.ndarray, '_ _'] | None,
    embeddings: Float[np.ndarray, '_ _'] | None,
    *,
    replace: bool,
  ) -> Int[np.ndarray, ' N']:
    """See `FaceIndex.add`."""
    manifest = self._store.manifest
    check_templates(manifest, names, people, codes, embeddings)
    if not len(names):
      return np.empty(0, np.int64)
    old = self._replaced(snapshot, names, replace)
    person, new_people = self._number(snapshot, people)
    parts, keys = self._parts(names, new_people)
    parts['person'] = person
    parts['removed'] = old
    if codes is not None:
      parts['codes'] = codes
    if embeddings is not None:
      stored = vectors.store_vectors(embeddings, manifest.vectors)
      parts['vectors'] = stored.values
      if stored.factors is not None:
        parts['factors'] = stored.factors
    self._store.commit(
      parts,
      templates=manifest.templates + len(names),
      people=manifest.people + len(new_people),
      removed=manifest.removed + len(old),
    )
    self._names.append(keys[0])
    self._people.append(keys[1])
    return np.arange(len(names)) + manifest.templates

  def _replaced(
    self, snapshot: Snapshot, names: Sequence[str], replace: bool
  ) -> Int[np.ndarray, ' R']:
    """Rows that give way to new ones."""
    if len(set(names)) != len(names):
      seen = set()
      twice = next(n for n in names if n in seen or seen.add(n))
      raise UsageError(f'{twice} is given twice: a name is one template')
    rows = self.find_rows(snapshot, names)
    if (rows >= 0).any() and not replace:
      known = names[int(np.argmax(rows >= 0))]
      raise UsageError(
        f'{known} is in the index already: leave it out, or replace it'
      )
    return rows[rows >= 0]

  def _number(
    self, snapshot: Snapshot, people: Sequence[str]
  ) -> tuple[Int32[np.ndarray, ' N'], list[str]]:
    """Number of every person, and those that are new."""
    distinct = list(dict.fromkeys(people))
    numbers = self.find_people(snapshot, distinct)
    new = [p for p, number in zip(distinct, numbers, strict=True) if number < 0]
    first = self._store.manifest.people
    numbers[numbers < 0] = np.arange(len(new)) + first
    by_name = dict(zip(distinct, numbers.tolist(), strict=True))
    return np.array([by_name[person] for person in people], np.int32), new

  def _parts(
    self, names: Sequence[str], people: Sequence[str]
  ) -> tuple[dict[str, Content], tuple[np.ndarray, np.ndarray]]:
    """What the files of names get, and the keys of both."""
    states = self._store.manifest.files
    content, ends = encode_names(names)
    people_content, people_ends = encode_names(people)
    keys = name_keys(names), name_keys(people)
    return {
      'names': content,
      'name_ends': ends + states['names'].size,
      'name_keys': keys[0],
      'people': people_content,
      'people_ends': people_ends + states['people'].size,
      'people_keys': keys[1],
    }, keys

  def remove(self, rows: Int[np.ndarray, ' R']) -> None:
    """Removes rows, each there and different."""
    if len(rows):
      removed = self._store.manifest.removed + len(rows)
      self._store.commit({'removed': rows}, removed=removed)

  def compact(self, snapshot: Snapshot) -> None:
    """Writes a generation of the living rows and of their people alone."""
    rows = snapshot.living_rows()
    kept = np.unique(snapshot.person[rows])
    self._store.commit_generation(
      compacted_files(snapshot, rows, kept),
      templates=len(rows),
      people=len(kept),
      removed=0,
    )
    self._names = self._people = None
