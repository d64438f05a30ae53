"""An index as it is kept: opened by many, changed by one."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Float, Int, UInt8
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike
from facejax.search.creation import create_store
from facejax.search.editing import Editor
from facejax.search.snapshot import Snapshot, take_snapshot
from facejax.search.store import IndexStore


class StoredIndex:
  """What a `FaceIndex` is but for searching.

  Attributes:
    path: the folder.
  """

  def __init__(self, store: IndexStore):
    """Wraps an open store; `create` and `open` make one."""
    self._store = store
    self._editor = Editor(store)
    self._lock = threading.RLock()
    self._taken: Snapshot | None = None
    self.path: Path = store.path

  @classmethod
  def create(
    cls,
    path: PathLike,
    *,
    bits: int,
    embedding_size: int,
    vectors: str = 'float16',
    model: dict[str, Any] | None = None,
  ) -> 'StoredIndex':
    """Makes an empty index and opens it for writing.

    Args:
      path: a new local folder.
      bits: L of a code, a multiple of 8; 0 stores none.
      embedding_size: D of a vector.
      vectors: how they are stored: 'float32', 'float16', 'int8' or 'none'.
      model: {'path', 'fingerprint'} of what computes the templates.

    Raises:
      UsageError: something stands there, or there can be no such index.
    """
    create_store(
      path,
      bits=bits,
      embedding_size=embedding_size,
      vectors=vectors,
      model=model,
    )
    return cls.open(path, writable=True)

  @classmethod
  def open(cls, path: PathLike, *, writable: bool = False) -> 'StoredIndex':
    """Opens an index.

    Args:
      path: the folder.
      writable: takes the lock, and tidies up after a writer that died.

    Raises:
      DataError: no index, another version, or one that is cut short.
      UsageError: another process writes.
    """
    return cls(IndexStore(path, writable=writable))

  def __enter__(self) -> 'StoredIndex':
    return self

  def __exit__(self, *unused: Any) -> None:
    self.close()

  def close(self) -> None:
    """Lets the lock go; what is mapped can still be searched."""
    self._store.close()

  @property
  def snapshot(self) -> Snapshot:
    """The commit that is searched."""
    with self._lock:
      if self._taken is None:
        self._taken = take_snapshot(self._store)
      return self._taken

  def refresh(self) -> bool:
    """Goes on to the newest commit; says whether there was a newer one."""
    with self._lock:
      newer = self._store.refresh()
      if newer:
        self._changed(new_names=not self._store.writable)
      return newer

  def _changed(self, *, new_names: bool = False) -> None:
    self._taken = None
    if new_names:  # of another process
      self._editor = Editor(self._store)

  def __len__(self) -> int:
    """Templates that are not removed."""
    return self.snapshot.num_living

  @property
  def num_people(self) -> int:
    """People who have a template."""
    return self.snapshot.num_people

  @property
  def bits(self) -> int:
    """L of a code, 0 without codes."""
    return self._store.manifest.bits

  @property
  def embedding_size(self) -> int:
    """D of an embedding."""
    return self._store.manifest.embedding_size

  @property
  def vectors(self) -> str:
    """How vectors are stored."""
    return self._store.manifest.vectors

  @property
  def model(self) -> dict[str, Any] | None:
    """{'path', 'fingerprint'} of what computed the templates, or None."""
    return self._store.manifest.model

  @property
  def bytes_per_template(self) -> int:
    """Bytes that are searched for a template: code, vector and its factor."""
    return self._store.manifest.bytes_per_template

  @property
  def num_bytes(self) -> int:
    """Bytes of all files, of names and of removed templates too."""
    return self._store.manifest.num_bytes

  def check(self) -> None:
    """Reads the whole index and compares it with its checksums.

    Raises:
      DataError: it is not what was written; names the file.
    """
    self._store.check()
    try:
      take_snapshot(self._store).check()
    except DataError as error:
      raise DataError(f'{self.path} is damaged: {error}') from None

  def check_model(self, fingerprint: str) -> None:
    """Refuses a model whose templates cannot be compared with those here.

    Raises:
      UsageError: the index is of another model.
    """
    if self.model is not None and self.model['fingerprint'] != fingerprint:
      raise UsageError(
        f'{self.path} was built with another model ({self.model["path"]}): '
        'use that one, or build another index'
      )

  def find(self, names: Sequence[str]) -> Int[np.ndarray, ' N']:
    """Row of the template of every name, -1 where there is none."""
    with self._lock:
      return self._editor.find_rows(self.snapshot, names)

  def has_people(self, people: Sequence[str]) -> Bool[np.ndarray, ' N']:
    """Whether each of some people has a template."""
    with self._lock:
      return self._editor.rows_of(self.snapshot, people)[1]

  def add(
    self,
    names: Sequence[str],
    people: Sequence[str],
    codes: UInt8[np.ndarray, '_ _'] | None = None,
    embeddings: Float[np.ndarray, '_ _'] | None = None,
    *,
    replace: bool = False,
  ) -> Int[np.ndarray, ' N']:
    """Adds templates and commits them.

    A commit takes a few milliseconds whatever it adds, so add many at a time.

    Args:
      names: one for each template, all different.
      people: whom each shows; new ones are taken in.
      codes: uint8 [N, L // 8], None where the index has no codes.
      embeddings: float [N, D], unit norm, None where it has no vectors.
      replace: whether a name that is there gives way; else it is refused.

    Returns:
      int64 [N], their rows, which stay theirs until `compact`.

    Raises:
      UsageError: open for reading, a name twice, or parts that do not fit.
      DataError: a bad embedding or name, or the disk is full.
    """
    with self._lock:
      rows = self._editor.add(
        self.snapshot, names, people, codes, embeddings, replace=replace
      )
      self._changed()
      return rows

  def remove(
    self,
    *,
    names: Sequence[str] = (),
    people: Sequence[str] = (),
  ) -> int:
    """Removes templates and commits that; `compact` frees their space.

    Args:
      names: of templates.
      people: who lose all their templates.

    Returns:
      How many templates were removed.

    Raises:
      DataError: a name or person is not in the index; nothing is removed.
      UsageError: open for reading.
    """
    with self._lock:
      snapshot = self.snapshot
      rows = self._editor.find_rows(snapshot, names)
      theirs, has_any = self._editor.rows_of(snapshot, people)
      for what, wanted, there in (
        ('template', names, rows >= 0),
        ('person', people, has_any),
      ):
        if not there.all():
          name = wanted[int(np.argmin(there))]
          raise DataError(f'{self.path} has no {what} {name!r}')
      rows = np.union1d(rows, theirs)
      self._editor.remove(rows)
      self._changed()
      return len(rows)

  def compact(self) -> int:
    """Writes the index without removed templates; returns how many went.

    Rows get new numbers. Processes that have the index open keep what they
    search until they refresh. It needs the space of the index once more.
    """
    with self._lock:
      removed = self._store.manifest.removed
      self._editor.compact(self.snapshot)
      self._changed()
      return removed
