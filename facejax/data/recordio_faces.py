"""Faces in RecordIO files, as InsightFace lays them out.

Key 0 has flag 2, the labels [first identity key, end) and no image; identity
records hold [first image key, end); the other keys, from 1 on, are images.
Where key 0 is an image, every key is. The ranges are float32, wrong above
16,777,216 keys, so nothing here is computed from them: images are the records
that hold one, and labels their own.
"""

import dataclasses
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Int32
from facejax.data import recordio
from facejax.data.record_file import RecordFile
from facejax.errors import DataError

EXACT = 1 << 24  # float32 counts no further
PIECE = 1 << 20  # labels that are handled at one time
_HEADER_FLAG = 2
_CORRUPT, _NO_CLASS = -1, -2


@dataclasses.dataclass(frozen=True)
class FaceTable:
  """Which records of a file are images, and of whom.

  Attributes:
    images: int32 [N], numbers of records, rising.
    labels: int32 [N], -1 where the record is corrupt: reading it says why.
    people: int32 [K], the distinct labels, rising.
    claims: what the file, its index and its `property` say, as JSON values,
      beside what was found; `notes` are sentences on what disagrees.
  """

  images: Int32[np.ndarray, ' N']
  labels: Int32[np.ndarray, ' N']
  people: Int32[np.ndarray, ' K']
  claims: dict[str, Any]


@dataclasses.dataclass
class _Found:
  """What the heads of all N records say."""

  labels: np.ndarray  # int32, or one of the two codes
  is_empty: np.ndarray  # bool, no image and two labels
  header: tuple[float, float] | None = None
  key_zero_is_image: bool = False
  bytes_covered: int = 0


def _class_numbers(
  heads: np.ndarray, is_corrupt: np.ndarray
) -> Int32[np.ndarray, ' n']:
  """Labels, the first of a vector, as numbers or codes."""
  labels = np.where(heads['flag'] > 0, heads['first'], heads['label'])
  with np.errstate(invalid='ignore'):  # damaged bytes may be a NaN
    fits = (labels >= 0) & (labels < EXACT) & (labels == np.floor(labels))
  codes = np.where(is_corrupt, _CORRUPT, _NO_CLASS)
  return np.where(fits & ~is_corrupt, labels, codes).astype(np.int32)


def _scan(file: RecordFile) -> _Found:
  count = len(file)
  found = _Found(np.empty(count, np.int32), np.empty(count, bool))
  for rows, heads, taken in file.heads():
    flag, length = heads['flag'], heads['length'].astype(np.int64)
    before = recordio.HEADER.size + 4 * flag.astype(np.int64)
    corrupt = (heads['magic'] != recordio.MAGIC) | (before > length)
    empty = ~corrupt & (flag == _HEADER_FLAG) & (before == length)
    found.is_empty[rows] = empty
    found.labels[rows] = _class_numbers(heads, corrupt)
    found.bytes_covered += int(taken[~corrupt].sum())
    zero = np.flatnonzero((file.keys[rows] == 0) & ~corrupt)
    if len(zero) and file.keys_are_ids:
      head = heads[zero[0]]
      found.key_zero_is_image = not empty[zero[0]]
      if empty[zero[0]]:
        found.header = float(head['first']), float(head['second'])
  return found


def _check(
  file: RecordFile, found: _Found, is_image: Bool[np.ndarray, ' N']
) -> None:
  """Refuses a file without images, of wrong labels or for another index."""
  is_corrupt = found.labels == _CORRUPT
  if 2 * is_corrupt.sum() > len(file):
    row = is_corrupt.argmax()
    raise DataError(
      f'{file.index_path or file.path}: {is_corrupt.sum()} of {len(file)} keys '
      f'point to no record of a face (key {file.keys[row]}: byte '
      f'{file.offsets[row]} of {file.path}): it is the index of another file, '
      'or the file is no set of faces'
    )
  if not is_image.any():
    raise DataError(f'{file.path}: none of {len(file)} records is an image')
  wrong = is_image & (found.labels == _NO_CLASS)
  if wrong.any():
    row = int(wrong.argmax())
    where = f'{file.path}: key {file.keys[row]}'
    labels, _, _ = recordio.unpack(file.read(row), where=where)
    raise DataError(
      f'{where} has the label {labels[0]}: expected a whole number from 0 to '
      f'{EXACT - 1}'
    )


def _people(labels: Int32[np.ndarray, ' N']) -> Int32[np.ndarray, ' K']:
  """Distinct labels, rising; piece by piece, as an index is of 64 bits."""
  is_used = np.zeros(int(labels.max()) + 2, bool)
  for start in range(0, len(labels), PIECE):
    is_used[labels[start : start + PIECE]] = True
  return np.flatnonzero(is_used[:-1]).astype(np.int32)  # the last is for -1


def read_faces(file: RecordFile) -> FaceTable:
  """Finds the images of a file by how its records begin.

  Raises:
    DataError: a label is no whole number, hardly any row of the index points
      to a record, or there is no image.
  """
  found = _scan(file)
  is_image = ~found.is_empty | found.key_zero_is_image
  _check(file, found, is_image)
  # All of these arrays have millions of entries: none is of 64 bits.
  images = np.arange(len(file), dtype=np.int32)[is_image]
  found.labels = found.labels[is_image]
  people = _people(found.labels)
  claims = _claims(file, found, num_people=len(people))
  return FaceTable(images, found.labels, people, claims)


def _read_property(file: RecordFile) -> tuple[list[int] | None, str | None]:
  """Classes, height and width that `property` claims, or what is wrong."""
  path = file.path.parent / 'property'
  if not path.is_file():
    return None, None
  text = path.read_bytes()[:100].decode('ascii', 'replace').strip()
  words = text.split(',')
  if len(words) != 3 or not all(word.strip().isdecimal() for word in words):
    return None, f"property is {text!r}, expected 'CLASSES,HEIGHT,WIDTH'"
  return [int(word) for word in words], None


def _claims(
  file: RecordFile, found: _Found, *, num_people: int
) -> dict[str, Any]:
  """The numbers of the file's several voices, and where they disagree."""
  claimed, note = _read_property(file)
  num_images = len(found.labels)
  num_corrupt = int((found.labels == _CORRUPT).sum())
  identity_records = len(file) - num_images - (found.header is not None)
  result = {
    'index_rows': len(file) if file.index_path else None,
    'records': len(file),
    'images': num_images,
    'identity_records': identity_records,
    'corrupt_records': num_corrupt,
    'distinct_labels': num_people,
    'header_range': found.header and [_json(value) for value in found.header],
    'property': claimed,
  }
  notes = [note] if note else []
  if claimed and claimed[0] != num_people:
    notes.append(f'property claims {claimed[0]} classes, found {num_people}')
  if found.header:
    first, end = found.header
    if first - 1 != num_images:
      notes.append(f'the header claims {first - 1:g} images')
    if end - first != identity_records:
      notes.append(f'the header claims {end - first:g} identities')
    if max(first, end) >= EXACT:
      notes.append(f'ranges in float32 are not exact above {EXACT} keys')
  if identity_records and identity_records != num_people:
    notes.append(
      f'{identity_records} identity records, {num_people} distinct labels'
    )
  if found.bytes_covered < file.size and not num_corrupt:
    notes.append(
      f'{file.size - found.bytes_covered} bytes belong to no row of the index'
    )
  if num_corrupt:
    notes.append(f'{num_corrupt} records are corrupt')
  return result | {'notes': notes}


def _json(value: float) -> float | None:
  return value if np.isfinite(value) else None
