"""Prepared face sets: ArrayRecord shards with a manifest, read at random."""

import bisect
import hashlib
import itertools
import threading
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from array_record.python import array_record_module
from google.protobuf import message
from tensorflow_datasets.proto import tf_example_pb2

from facejax import files
from facejax.errors import DataError
from facejax.files import Path, PathLike

MANIFEST = 'manifest.json'
FORMAT_VERSION = 1
_REQUIRED = (
  'format_version',
  'identities',
  'identities_checksum',
  'image_size',
  'num_images',
  'shards',
)
# Random access: reading ahead or in parallel would only fetch other records.
_READER_OPTIONS = 'readahead_buffer_size:0,max_parallelism:0'


def identities_checksum(identities: Sequence[str]) -> str:
  """SHA-256 in hex of the names in label order: equal where labels agree."""
  return hashlib.sha256('\n'.join(identities).encode()).hexdigest()


def read_manifest(directory: PathLike) -> dict[str, Any]:
  """The manifest of a prepared set.

  Raises:
    DataError: there is no prepared set, or one of another format.
  """
  directory = Path(directory)
  if not directory.is_dir():
    raise DataError(f'{directory} is no folder: make it by launch.prepare_data')
  path = directory / MANIFEST
  if not path.exists():
    raise DataError(
      f'{directory} has no {MANIFEST}: it is no prepared set; make one by '
      'launch.prepare_data'
    )
  manifest = files.read_json(path)
  missing = [
    key
    for key in _REQUIRED
    if not isinstance(manifest, dict) or key not in manifest
  ]
  if missing:
    raise DataError(f'{path} lacks {", ".join(missing)}: prepare it again')
  if manifest['format_version'] != FORMAT_VERSION:
    raise DataError(
      f'{path} has format version {manifest["format_version"]}, this facejax '
      f'reads {FORMAT_VERSION}: prepare the set again'
    )
  return manifest


class FaceRecords:
  """Random access to the records of a prepared set.

  Invariants: record i has a label of 0 .. num_identities - 1 that indexes
  `identities`; the order is the one of the shards. Safe to use from several
  threads; a pickled copy opens the files anew.
  """

  def __init__(self, directory: PathLike):
    """Opens a set; every shard's size and record count must fit the manifest.

    Raises:
      DataError: no prepared set, or a shard that is missing or cut short.
    """
    self.directory = Path(directory)
    manifest = read_manifest(directory)
    self.identities: list[str] = list(manifest['identities'])
    self.identities_checksum: str = manifest['identities_checksum']
    self.image_size: tuple[int, int] = tuple(manifest['image_size'])
    self._shards: list[dict[str, Any]] = manifest['shards']
    # The last element is the number of all records.
    self._starts = [
      0,
      *itertools.accumulate(shard['num_records'] for shard in self._shards),
    ]
    self._open()
    for position in range(len(self._shards)):
      self._check_shard(position)

  def _open(self) -> None:
    self._lock = threading.Lock()
    self._readers: list[Any] = [None] * len(self._shards)

  def __getstate__(self) -> dict[str, Any]:
    hidden = ('_lock', '_readers')
    return {k: v for k, v in self.__dict__.items() if k not in hidden}

  def __setstate__(self, state: dict[str, Any]) -> None:
    self.__dict__.update(state)
    self._open()

  def __repr__(self) -> str:
    return f'FaceRecords({str(self.directory)!r})'

  def __len__(self) -> int:
    return self._starts[-1]

  @property
  def num_identities(self) -> int:
    """Number of people, K."""
    return len(self.identities)

  @property
  def checksums(self) -> dict[str, str]:
    """SHA-256 of every shard by its name, as the manifest states them."""
    return {shard['name']: shard['sha256'] for shard in self._shards}

  def _path(self, position: int) -> Path:
    return self.directory / self._shards[position]['name']

  def _check_shard(self, position: int) -> None:
    path, shard = self._path(position), self._shards[position]
    if not path.exists():
      raise DataError(f'{path} is missing: prepare the set again')
    size = path.stat().length
    if size != shard['bytes']:
      raise DataError(
        f'{path} has {size} bytes, the manifest says {shard["bytes"]}: it was '
        'cut short or replaced; prepare the set again'
      )
    reader = self._reader(position)
    if not reader.ok() or reader.num_records() != shard['num_records']:
      raise DataError(
        f'{path} is corrupt: {reader.num_records()} records can be found, the '
        f'manifest says {shard["num_records"]}; prepare the set again'
      )

  def _reader(self, position: int) -> Any:
    """The reader of a shard, opened when first asked for."""
    with self._lock:
      if self._readers[position] is None:
        self._readers[position] = array_record_module.ArrayRecordReader(
          str(self._path(position)),
          options=_READER_OPTIONS,
          file_reader_buffer_size=16384,
        )
      return self._readers[position]

  def _locate(self, index: int) -> tuple[int, int]:
    """Shard and position in it of a record."""
    if not 0 <= index < len(self):
      raise IndexError(f'record {index} of {len(self)}')
    shard = bisect.bisect_right(self._starts, index) - 1
    return shard, int(index) - self._starts[shard]

  def where(self, index: int) -> str:
    """Names a record for an error: shard and position in it."""
    shard, position = self._locate(index)
    return f'record {position} of {self._path(shard)}'

  def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
    """One record: `__getitems__` of a single index."""
    return self.__getitems__([int(index)])[0]

  def __getitems__(
    self, indices: Sequence[int] | np.ndarray
  ) -> list[dict[str, Any]]:
    """Records in the order asked for, each shard read in one call.

    Args:
      indices: positions 0 .. len - 1, any order, repeats allowed.

    Returns:
      For each {'image': JPEG bytes, 'label': int, 'key': str}.

    Raises:
      DataError: a record is corrupt; names its shard and position.
    """
    wanted: dict[int, list[tuple[int, int]]] = {}
    for slot, index in enumerate(map(int, indices)):
      shard, position = self._locate(index)
      wanted.setdefault(shard, []).append((slot, position))
    records: list[Any] = [None] * len(indices)
    for shard, places in wanted.items():
      contents = self._read(shard, [position for _, position in places])
      for (slot, _), content in zip(places, contents, strict=True):
        records[slot] = self._parse(content, int(indices[slot]))
    return records

  def _read(self, shard: int, positions: list[int]) -> list[bytes]:
    reader = self._reader(shard)
    try:
      return reader.read(positions)
    except RuntimeError as error:  # the only kind that its C++ raises
      if len(positions) > 1:  # find the one to name
        return [self._read(shard, [position])[0] for position in positions]
      raise DataError(
        f'record {positions[0]} of {self._path(shard)} is corrupt '
        f'({str(error).split(",")[0]}): prepare the set again'
      ) from None

  def _parse(self, content: bytes, index: int) -> dict[str, Any]:
    try:
      feature = tf_example_pb2.Example.FromString(content).features.feature
      return {
        'image': feature['image'].bytes_list.value[0],
        'label': feature['label'].int64_list.value[0],
        'key': feature['key'].bytes_list.value[0].decode(),
      }
    except (ValueError, IndexError, message.DecodeError) as error:
      raise DataError(
        f'{self.where(index)} is no face record ({error}): prepare the set '
        'again'
      ) from None

  def verify(self) -> None:
    """Reads every byte and compares it with the manifest's checksums.

    Raises:
      DataError: a shard, or the list of identities, is not what was written.
    """
    if identities_checksum(self.identities) != self.identities_checksum:
      raise DataError(
        f'{self.directory / MANIFEST}: the identities do not fit their '
        'checksum: prepare the set again'
      )
    for name, expected in self.checksums.items():
      if files.checksum(self.directory / name) != expected:
        raise DataError(
          f'{self.directory / name} does not fit its checksum: prepare the set '
          'again'
        )
