"""`index.json`: what an index holds, and how much of its files counts."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from facejax import files
from facejax.errors import DataError, UsageError
from facejax.files import Path

FORMAT_VERSION = 1
INDEX = 'index.json'
VECTORS = ('float32', 'float16', 'int8', 'none')
_COUNTS = ('generation', 'commit', 'templates', 'people', 'removed')


@dataclasses.dataclass(frozen=True)
class FileState:
  """The committed part of a file: its first bytes, and their CRC-32."""

  size: int = 0
  crc32: int = 0


@dataclasses.dataclass(frozen=True)
class Column:
  """A file of fixed rows.

  Attributes:
    counted: what it has a row for: 'templates', 'people' or 'removed'.
    dtype: of the values, little endian.
    length: values in a row; 0 for a row that is one number and no array.
  """

  counted: str
  dtype: str
  length: int = 0

  @property
  def row_bytes(self) -> int:
    """Bytes of a row."""
    return np.dtype(self.dtype).itemsize * max(self.length, 1)


@dataclasses.dataclass(frozen=True)
class Manifest:
  """The content of `index.json`; a commit replaces it.

  Attributes:
    bits: L of a code, 0 for an index without codes.
    embedding_size: D.
    vectors: how vectors are stored, one of `VECTORS`.
    generation: which folder holds the files.
    commit: counts commits, over all generations.
    templates: rows in the files, removed ones included.
    people: names of people in the files.
    removed: rows that no longer count.
    files: the committed part of every file, by name.
    model: {'path', 'fingerprint'} of what computed the templates, or None.
    calibration: see `facejax.search.unknown`, or None.
  """

  bits: int
  embedding_size: int
  vectors: str
  generation: int = 0
  commit: int = 0
  templates: int = 0
  people: int = 0
  removed: int = 0
  files: Mapping[str, FileState] = dataclasses.field(default_factory=dict)
  model: dict[str, Any] | None = None
  calibration: dict[str, Any] | None = None

  def __post_init__(self):
    """Checks the form of the index.

    Raises:
      UsageError: templates of such a form cannot be stored.
    """
    if self.bits < 0 or self.bits % 8:
      raise UsageError(f'bits={self.bits}: use a multiple of 8, or 0')
    if self.vectors not in VECTORS:
      raise UsageError(f'vectors={self.vectors!r}: use {", ".join(VECTORS)}')
    if not self.bits and self.vectors == 'none':
      raise UsageError('an index without codes and without vectors is none')
    if self.embedding_size < (self.vectors != 'none'):
      raise UsageError(
        f'embedding_size={self.embedding_size}: vectors need 1 or more'
      )

  @property
  def folder(self) -> str:
    """Name of the folder that holds the files."""
    return f'generation_{self.generation}'

  @property
  def columns(self) -> dict[str, Column]:
    """The files of fixed rows, by name."""
    columns = {
      'person': Column('templates', '<i4'),
      'name_ends': Column('templates', '<i8'),
      'name_keys': Column('templates', '<u8'),
      'people_ends': Column('people', '<i8'),
      'people_keys': Column('people', '<u8'),
      'removed': Column('removed', '<i8'),
    }
    if self.bits:
      columns['codes'] = Column('templates', '|u1', self.bits // 8)
    if self.vectors != 'none':
      dtype = np.dtype(self.vectors).newbyteorder('<').str
      columns['vectors'] = Column('templates', dtype, self.embedding_size)
    if self.vectors == 'int8':
      columns['factors'] = Column('templates', '<f4')
    return columns

  @property
  def file_names(self) -> tuple[str, ...]:
    """All files of the folder."""
    return (*self.columns, 'names', 'people')

  @property
  def bytes_per_template(self) -> int:
    """Bytes that are searched for a template: code, vector and its factor."""
    columns = self.columns
    return sum(
      columns[name].row_bytes
      for name in ('codes', 'vectors', 'factors')
      if name in columns
    )

  @property
  def num_bytes(self) -> int:
    """Committed bytes of all files."""
    return sum(state.size for state in self.files.values())

  def to_bytes(self) -> bytes:
    """The content of `index.json`."""
    value = {'format_version': FORMAT_VERSION} | dataclasses.asdict(self)
    return (json.dumps(value, indent=2) + '\n').encode()


def empty_manifest(**fields: Any) -> Manifest:
  """The manifest of an index without templates.

  Args:
    **fields: bits, embedding_size, vectors and model.

  Raises:
    UsageError: an impossible form.
  """
  manifest = Manifest(**fields)
  states = {name: FileState() for name in manifest.file_names}
  return dataclasses.replace(manifest, files=states)


def _is_count(value: Any) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_types(value: dict[str, Any]) -> str | None:
  """What cannot be about the values of a manifest, or None."""
  for name in (*_COUNTS, 'bits', 'embedding_size'):
    if not _is_count(value[name]):
      return f'{name} is no count'
  for name in ('model', 'calibration'):
    if not isinstance(value[name], dict | None):
      return f'{name} is no object'
  for name, state in value['files'].items():
    if not (_is_count(state['size']) and _is_count(state['crc32'])):
      return f'the size or checksum of {name} is no number'
  return None


def _check(manifest: Manifest) -> str | None:
  """What does not fit in a manifest, or None."""
  if set(manifest.files) != set(manifest.file_names):
    return 'it names other files than such an index has'
  for name, column in manifest.columns.items():
    rows = getattr(manifest, column.counted)
    if manifest.files[name].size != rows * column.row_bytes:
      return f'{name} does not hold {rows} rows'
  return None


def read_manifest(index: Path) -> Manifest:
  """Reads `index.json`.

  Raises:
    DataError: there is no index, of another version, or a damaged one.
  """
  path = index / INDEX
  if not path.exists():
    raise DataError(f'{index} is no index: it has no {INDEX}')
  value = files.read_json(path)
  if not isinstance(value, dict):
    raise DataError(f'{path}: expected a JSON object')
  version = value.pop('format_version', None)
  if version != FORMAT_VERSION:
    raise DataError(
      f'{path}: index format version {version!r}, this facejax reads '
      f'{FORMAT_VERSION}'
    )
  try:
    problem = _check_types(value)
    if not problem:
      states = {
        name: FileState(**state) for name, state in value['files'].items()
      }
      manifest = Manifest(**(value | {'files': states}))
      problem = _check(manifest)
  except (AttributeError, KeyError, TypeError, UsageError) as error:
    problem = ' '.join(str(error).split())
  if problem:
    raise DataError(f'{path} is damaged ({problem}): restore it from a copy')
  return manifest
