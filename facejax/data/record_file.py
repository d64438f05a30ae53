"""Reads RecordIO files (`.rec`), by their `.idx` or without one."""

import array
import struct
from collections.abc import Iterator

import numpy as np

from facejax import files
from facejax.array_typing import Int
from facejax.data import recordio
from facejax.data.random_file import RandomFile
from facejax.data.record_index import read_index
from facejax.data.recordio import HEADER, MAGIC, MAX_LENGTH, PART, padded
from facejax.errors import DataError

# How a record begins; the last two are the first extra labels, if any.
HEAD = np.dtype(
  [
    ('magic', '<u4'),
    ('length', '<u4'),
    ('flag', '<u4'),
    ('label', '<f4'),
    ('id', '<u8'),
    ('id2', '<u8'),
    ('first', '<f4'),
    ('second', '<f4'),
  ]
)
# Flags that a record may begin with, and go on with.
_OPENING = (recordio.WHOLE, recordio.FIRST)
_FURTHER = (recordio.MIDDLE, recordio.LAST)
_WINDOW = 1 << 18  # bytes of a read when many heads are wanted
_STEP = 1 << 14  # bytes of a read when records are walked
_CHUNK = 1 << 14  # heads in memory
_LONG = 1 << 28  # bytes of a file that is worth a progress bar


class RecordFile:
  """The records of a `.rec` file, read in any order from any thread.

  Invariants: keys differ, offsets differ, are multiples of 4 and lie in the
  file. Whether a record stands at an offset is known when it is read.

  Attributes:
    path: the `.rec` file.
    index_path: its `.idx`, or None: then the file was walked from its start.
    keys: int64 [N], in the order of the index. Without one, the ids in the
      payloads, or the numbers of the records where ids repeat.
    keys_are_ids: whether keys are more than numbers of records.
    offsets: int64 [N], the byte that each record begins at.
    size: bytes of the file.
  """

  def __init__(self, path: files.PathLike):
    """Opens the file and reads the `.idx` beside it, if there is one.

    Raises:
      DataError: missing, empty, damaged (without an index), or an index that
        does not fit it.
    """
    self.path = files.Path(path)
    self._file = RandomFile(path)
    self.size = self._file.size
    if not self.size:
      raise DataError(f'{path}: is empty, expected RecordIO records')
    index = self.path.with_suffix('.idx')
    self.index_path = index if index.exists() else None
    self.keys_are_ids = True
    if self.index_path:
      self.keys, self.offsets = read_index(
        index, records=self.path, size=self.size
      )
    else:
      self.keys, self.offsets = self._walk()
      distinct = np.unique(self.keys)
      if len(distinct) < len(self.keys) or distinct[0] < 0:
        self.keys = np.arange(len(self.keys), dtype=np.int64)
        self.keys_are_ids = False

  def __len__(self) -> int:
    return len(self.offsets)

  def _walk(self) -> tuple[Int[np.ndarray, ' N'], Int[np.ndarray, ' N']]:
    """Ids and offsets of all records, from the first one on."""
    ids, offsets = array.array('q'), array.array('q')
    walk = self._walk_records()
    if self.size > _LONG:
      walk = files.progress(walk, desc=f'reading {self.path.name}', unit='rec')
    for offset, number in walk:
      offsets.append(offset)
      ids.append(number)
    return np.frombuffer(ids, np.int64), np.frombuffer(offsets, np.int64)

  def _walk_records(self) -> Iterator[tuple[int, int]]:
    """Yields (offset, id or -1) of every record; steps over payloads."""
    offset, count, window, start = 0, 0, b'', 0
    width = PART.size + HEADER.size
    while offset < self.size:
      if offset - start + width > len(window):
        start = offset
        window = self._file.read(start, min(_STEP, self.size - start))
      head = window[offset - start : offset - start + width]
      try:
        end, number = self._step(offset, head)
      except (DataError, struct.error):
        raise DataError(
          f'{self.path}: is damaged: readable up to byte {offset} of '
          f'{self.size} ({count} records); copy it again, or put its .idx '
          'beside it to read what lies behind'
        ) from None
      yield offset, number
      offset, count = end, count + 1

  def _step(self, offset: int, head: bytes) -> tuple[int, int]:
    """The end of the record at an offset, and its id or -1."""
    magic, word = PART.unpack_from(head)
    begin, length = offset + PART.size, word & MAX_LENGTH
    header = head[PART.size :][:length]
    if magic != MAGIC or word >> 29:
      begin, length = self._parts(offset)[-1]
      header = self._join(offset)
    if begin + length > self.size:
      raise DataError(f'{self.path}: is cut short in its last record')
    if len(header) < HEADER.size:
      return begin + padded(length), -1
    number = HEADER.unpack_from(header)[2]
    return begin + padded(length), number if number < 1 << 63 else -1

  def _parts(self, offset: int) -> list[tuple[int, int]]:
    """Where the payload of each part of a record begins, and its length."""
    parts, begin, total = [], offset, 0
    while True:
      magic, word = PART.unpack(self._file.read(begin, PART.size))
      flag, length = word >> 29, word & MAX_LENGTH
      allowed = _FURTHER if parts else _OPENING
      if magic != MAGIC or flag not in allowed:
        raise DataError(
          f'{self.path}: no record at byte {offset}'
          + (f', its part at byte {begin} is missing' if parts else '')
          + ': it is corrupt, or the index is of another file'
        )
      parts.append((begin + PART.size, length))
      if flag in (recordio.WHOLE, recordio.LAST):
        return parts
      begin += PART.size + padded(length)
      total += length + len(recordio.MAGIC_BYTES)
      if total > MAX_LENGTH:
        raise DataError(f'{self.path}: the record at byte {offset} never ends')

  def _join(self, offset: int) -> bytes:
    parts = (self._file.read(*part) for part in self._parts(offset))
    return recordio.MAGIC_BYTES.join(parts)

  def read(self, record: int) -> bytes:
    """The payload of one record, its parts joined.

    Raises:
      DataError: it is corrupt or cut short; says the byte it begins at.
    """
    return self._join(int(self.offsets[record]))

  def heads(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Reads how every record begins, in the order of the file.

    Yields:
      Numbers of records, int [n]; their heads, HEAD [n], where `length` is
      that of the whole payload and `magic` is 0 if no record can be read; and
      the bytes that they take in the file, int64 [n].
    """
    offsets = self.offsets
    in_order = bool(np.all(offsets[1:] > offsets[:-1]))
    order = None if in_order else np.argsort(offsets)
    for start in range(0, len(offsets), _CHUNK):
      stop = min(start + _CHUNK, len(offsets))
      rows = np.arange(start, stop) if in_order else order[start:stop]
      heads = self._gather(offsets[rows])
      length = heads['length'] & MAX_LENGTH
      in_parts = heads['length'] >> 29 != 0
      fits = offsets[rows] + PART.size + length <= self.size
      heads['magic'][(heads['magic'] != MAGIC) | ~(fits | in_parts)] = 0
      heads['length'] = length
      taken = PART.size + (length.astype(np.int64) + 3 & ~3)
      for i in np.flatnonzero(in_parts & (heads['magic'] == MAGIC)):
        heads[i], taken[i] = self._joined_head(int(offsets[rows[i]]))
      yield rows, heads, taken

  def _gather(self, offsets: Int[np.ndarray, ' n']) -> np.ndarray:
    """Bytes at rising offsets, HEAD [n]; zeros stand behind the file's end."""
    width = HEAD.itemsize
    result = np.empty((len(offsets), width), np.uint8)
    start = 0
    while start < len(offsets):
      first = offsets[start]
      stop = np.searchsorted(offsets, first + _WINDOW, side='right')
      length = int(offsets[stop - 1] - first) + width
      readable = min(length, self.size - int(first))
      data = self._file.read(int(first), readable).ljust(length, b'\0')
      places = (offsets[start:stop] - first)[:, None] + np.arange(width)
      result[start:stop] = np.frombuffer(data, np.uint8)[places]
      start = stop
    return result.view(HEAD)[:, 0]

  def _joined_head(self, offset: int) -> tuple[np.void | np.ndarray, int]:
    """Head and bytes of a record of several parts; zeros if corrupt."""
    try:
      begin, length = self._parts(offset)[-1]
      payload = self._join(offset)
    except DataError:
      return np.zeros((), HEAD), 0
    start = payload[: HEAD.itemsize - PART.size]
    data = PART.pack(MAGIC, len(payload)) + start
    head = np.frombuffer(data.ljust(HEAD.itemsize, b'\0'), HEAD)[0]
    return head, begin + padded(length) - offset
