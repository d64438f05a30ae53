"""Prepared face sets: ArrayRecord shards with a manifest, read at random."""

import bisect
import io
import itertools
import threading
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from array_record.python import array_record_module
from google.protobuf import message
from tensorflow_datasets.proto import tf_example_pb2

from facejax import files
from facejax.array_typing import Int32
from facejax.data.manifest import (
  IDENTITIES,
  IDENTITY_SIZES,
  identities_checksum,
  read_manifest,
)
from facejax.data.names import NameTable
from facejax.errors import DataError
from facejax.files import Path, PathLike

# Random access: reading ahead or in parallel would only fetch other records.
_READER_OPTIONS = 'readahead_buffer_size:0,max_parallelism:0'


def encode_record(image: bytes, *, label: int, key: str) -> bytes:
  """A face as a shard holds it, a `tf.train.Example` in bytes.

  Args:
    image: JPEG file.
    label: identity, 0 .. K - 1.
    key: 'IDENTITY/file'.
  """
  example = tf_example_pb2.Example()
  feature = example.features.feature
  feature['image'].bytes_list.value.append(image)
  feature['label'].int64_list.value.append(label)
  feature['key'].bytes_list.value.append(key.encode())
  # The fields are a map, whose order would otherwise change between runs.
  return example.SerializeToString(deterministic=True)


class FaceRecords:
  """Random access to the records of a prepared set.

  Invariants: record i has a label of 0 .. num_identities - 1 that indexes
  `identities`; records are sorted by label and stand in the order of the
  shards. Safe to use from several threads; a pickled copy opens the files
  anew.

  Attributes:
    is_checked: images were decoded when the set was prepared, and every read
      compares a checksum.
  """

  is_checked = True

  def __init__(self, directory: PathLike):
    """Opens a set; every shard's size and record count must fit the manifest.

    Raises:
      DataError: no prepared set, or a shard that is missing or cut short.
    """
    self.directory = Path(directory)
    manifest = read_manifest(directory)
    self.num_identities: int = manifest['num_identities']
    self.identities_checksum: str = manifest['identities_checksum']
    self.image_size: tuple[int, int] = tuple(manifest['image_size'])
    self._shards: list[dict[str, Any]] = manifest['shards']
    # The last element is the number of all records.
    self._starts = [
      0,
      *itertools.accumulate(shard['num_records'] for shard in self._shards),
    ]
    self.identities: NameTable = self._read_identities()
    self._sizes = self._read_sizes()
    self._open()
    for position in range(len(self._shards)):
      self._check_shard(position)

  def _read_identities(self) -> NameTable:
    path = self.directory / IDENTITIES
    if not path.exists():
      raise DataError(f'{path} is missing: prepare the set again')
    names = NameTable.from_lines(path.read_bytes())
    if len(names) != self.num_identities:
      raise DataError(
        f'{path} has {len(names)} names, the manifest says '
        f'{self.num_identities}: prepare the set again'
      )
    return names

  def _read_sizes(self) -> Int32[np.ndarray, ' K']:
    path = self.directory / IDENTITY_SIZES
    try:
      sizes = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
      raise DataError(
        f'{path} cannot be read ({error}): prepare the set again'
      ) from None
    if (
      sizes.shape != (self.num_identities,)
      or sizes.dtype != np.int32
      or sizes.sum() != len(self)
    ):
      raise DataError(
        f'{path} does not count {len(self)} images of {self.num_identities} '
        'identities: prepare the set again'
      )
    return sizes

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

  def labels(self) -> Int32[np.ndarray, ' N']:
    """The identity of every record: they stand sorted by it."""
    return np.repeat(
      np.arange(self.num_identities, dtype=np.int32), self._sizes
    )

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
    reader = self._readers[position]
    if reader is not None:
      return reader
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
    """Records in the order asked for.

    Args:
      indices: positions 0 .. len - 1, any order, repeats allowed.

    Returns:
      For each {'image': JPEG bytes, 'label': int, 'key': str}.

    Raises:
      DataError: a record is corrupt; names its shard and position.
    """
    return [
      self._parse(self._read(*self._locate(index)), index)
      for index in map(int, indices)
    ]

  def _read(self, shard: int, position: int) -> bytes:
    reader = self._reader(shard)
    try:
      # As a range of one: a list of positions takes five times as long.
      return reader.read(position, position + 1)[0]
    except RuntimeError as error:  # the only kind that its C++ raises
      raise DataError(
        f'record {position} of {self._path(shard)} is corrupt '
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
        f'{self.directory / IDENTITIES}: the identities do not fit their '
        'checksum: prepare the set again'
      )
    for name, expected in self.checksums.items():
      if files.checksum(self.directory / name) != expected:
        raise DataError(
          f'{self.directory / name} does not fit its checksum: prepare the set '
          'again'
        )
