"""Faces of RecordIO files as items of a preparation."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax.array_typing import Int32
from facejax.data.names import NameTable
from facejax.data.record_file import RecordFile
from facejax.data.recordio import unpack
from facejax.data.recordio_faces import PIECE, FaceTable, read_faces
from facejax.data.remote import absolute, check_reachable
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike


def _find(path: PathLike) -> Path:
  """The `.rec` file that an input names, or the only one in its folder."""
  path = check_reachable(path)
  if path.suffix.lower() == '.rec' and not path.is_dir():
    return path
  if not path.is_dir():
    problem = 'is no .rec file' if path.exists() else 'does not exist'
    raise DataError(f'{path} {problem}: give a .rec file or its folder')
  found = sorted(p for p in path.iterdir() if p.suffix.lower() == '.rec')
  if len(found) != 1:
    names = ', '.join(p.name for p in found[:3]) or 'none'
    raise DataError(
      f'{path}: expected one .rec file in the folder, found {names}; name the '
      'file itself'
    )
  return found[0]


def _prefixes(paths: Sequence[Path]) -> list[str]:
  """What tells the labels of several files apart; nothing for one."""
  if len(paths) == 1:
    return ['']
  parents = [Path(absolute(path)).parent.name for path in paths]
  stems = [path.stem for path in paths]
  both = [f'{a}-{b}' for a, b in zip(parents, stems, strict=True)]
  for names in (parents, stems, both):
    if len(set(names)) == len(names):
      return [f'{name}_' for name in names]
  return [f'input{place}_' for place in range(len(paths))]


class RecordIOSource:
  """The images of `.rec` files; a label is a person of its own file.

  Identities are called by their label, '0000042', and with several inputs also
  by their file's folder (or name), since label 42 of two files is not one
  person. An item whose record is corrupt where its label stands has none, and
  its reading says what is wrong.
  """

  num_ignored = 0

  def __init__(self, paths: Sequence[PathLike]):
    """Opens the inputs and finds their images.

    Args:
      paths: `.rec` files, or folders that hold one; `.idx` and `property`
        beside a file are used where they are there.

    Raises:
      DataError: one is missing or damaged; says how to go on.
      UsageError: none is given, or one twice.
    """
    if not paths:
      raise UsageError(
        'no input: name .rec files or their folders with --input'
      )
    self.inputs = [str(path) for path in paths]
    found = [_find(path) for path in paths]
    if len({absolute(path) for path in found}) < len(found):
      raise UsageError(f'--input names a file twice: {",".join(self.inputs)}')
    self._files = [RecordFile(path) for path in found]
    tables = [read_faces(file) for file in self._files]
    self._claims = [table.claims for table in tables]
    self._records = np.concatenate([table.images for table in tables])
    self._starts = np.cumsum([0] + [len(table.images) for table in tables])
    self._name_people(tables, _prefixes(found))

  def _name_people(
    self, tables: Sequence[FaceTable], prefixes: Sequence[str]
  ) -> None:
    """Numbers the people of all files and names them."""
    count = 0
    self.labels: Int32[np.ndarray, ' N'] = np.full(
      len(self._records), -1, np.int32
    )
    for start, table in zip(self._starts, tables, strict=False):
      numbers = np.full(table.people[-1:].sum() + 2, -1, np.int32)
      numbers[table.people] = np.arange(len(table.people)) + count
      for begin in range(0, len(table.labels), PIECE):
        part = numbers[table.labels[begin : begin + PIECE]]
        self.labels[start + begin :][: len(part)] = part
      count += len(table.people)
    self.identities = NameTable.of(
      f'{prefix}{label:07d}'
      for prefix, table in zip(prefixes, tables, strict=True)
      for label in table.people
    )

  def _place(self, item: int) -> tuple[RecordFile, int]:
    """The file of an item, and its record there."""
    return self._files[self.input_of(item)], int(self._records[item])

  def path(self, item: int) -> str:
    """'IDENTITY/KEY.jpg', or 'KEY.jpg' where the record is corrupt."""
    file, record = self._place(item)
    name = f'{file.keys[record]:09d}.jpg'
    label = self.labels[item]
    return f'{self.identities[label]}/{name}' if label >= 0 else name

  def input_of(self, item: int) -> int:
    """The place in `inputs` of the file that holds an item."""
    return int(np.searchsorted(self._starts, item, side='right')) - 1

  def read(self, item: int) -> bytes:
    """The encoded image of an item.

    Raises:
      DataError: its record is corrupt, cut short or holds no image.
    """
    file, record = self._place(item)
    where = f'{file.path}: key {file.keys[record]}'
    _, _, image = unpack(file.read(record), where=where)
    if not image:
      raise DataError(f'{where}: the record holds no image')
    return image

  def why_nameless(self, item: int) -> str:
    """What is wrong with the record."""
    try:
      self.read(item)
    except DataError as error:
      return str(error)
    return 'the label of the record is corrupt'

  def claims(self) -> dict[str, Any]:
    """What header, index and `property` say, and what is so."""
    notes = [
      f'{name}: {note}'
      for name, claims in zip(self.inputs, self._claims, strict=True)
      for note in claims['notes']
    ]
    inputs = {
      name: {key: claims[key] for key in claims if key != 'notes'}
      for name, claims in zip(self.inputs, self._claims, strict=True)
    }
    return {'inputs': inputs, 'notes': notes}

  def fingerprint(self) -> str:
    """Of the places, keys and labels of all records."""
    digest = hashlib.sha256()
    for file in self._files:
      digest.update(f'{file.path}\n{file.size}\n'.encode())
      digest.update(np.ascontiguousarray(file.keys))
      digest.update(np.ascontiguousarray(file.offsets))
    digest.update(self.labels)
    return digest.hexdigest()
