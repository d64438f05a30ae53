"""Records of a data set that tensorflow-datasets prepared, without TensorFlow.

`builder.as_data_source` reads them too, but makes a dictionary of all features
of each; a pass over millions of labels wants two of them.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from array_record.python import array_record_module
from google.protobuf import json_format, message
from tensorflow_datasets.proto import tf_example_pb2

from facejax.data.remote import is_remote
from facejax.errors import DataError
from facejax.files import Path, PathLike

_METADATA = ('dataset_info.json', 'features.json')
# Random access: reading ahead or in parallel would only fetch other records.
_READER_OPTIONS = 'readahead_buffer_size:0,max_parallelism:0'
_BATCH = 256  # records of one call in a pass over all


def open_builder(path: PathLike) -> tfds.core.DatasetBuilder:
  """The metadata of a prepared data set.

  Args:
    path: the folder of one version, which holds a dataset_info.json.

  Raises:
    DataError: it is not that, or of a format that is not read here.
  """
  if is_remote(path):
    raise DataError(
      f'{path}: array_record files can be read from a local disk only: copy '
      'the folder'
    )
  path = Path(path)
  for name in _METADATA:
    if not (path / name).is_file():
      raise DataError(
        f'{path} has no {name}: give the folder of one version of a data set '
        'that tensorflow-datasets prepared, such as NAME/1.0.0'
      )
  try:
    builder = tfds.builder_from_directory(path)
  except (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    OSError,
    json_format.Error,
  ) as error:
    raise DataError(
      f'{path}: its metadata cannot be read ({error}): prepare it again'
    ) from None
  file_format = builder.info.file_format
  if file_format is None or file_format.value != 'array_record':
    name = file_format.value if file_format else 'an unknown format'
    raise DataError(
      f'{path} is stored as {name}, which is not read at random: prepare it '
      "anew by builder.download_and_prepare(file_format='array_record')"
    )
  return builder


def _instructions(
  builder: tfds.core.DatasetBuilder, split: str, where: PathLike
) -> Sequence[Any]:
  """Which records of which files make a split.

  Raises:
    DataError: there is no such split.
  """
  try:
    return builder.info.splits[split].file_instructions
  except (ValueError, LookupError, AssertionError) as error:
    raise DataError(
      f'{where} has no split {split!r} ({str(error).splitlines()[0]}); it has '
      + ', '.join(builder.info.splits)
    ) from None


class TfdsRecords:
  """Random access to the records of a split; safe from several threads.

  Attributes:
    paths: of the shards that it reads.
  """

  def __init__(
    self, builder: tfds.core.DatasetBuilder, split: str, where: PathLike
  ):
    """Opens a split.

    Args:
      builder: what `open_builder` returned.
      split: 'train', 'train+test', 'train[:10%]'.
      where: what to call the set in an error.

    Raises:
      DataError: no such split, or a shard is missing or cut short.
    """
    parts = _instructions(builder, split, where)
    self.paths = [os.fspath(part.filename) for part in parts]
    self._skips = [part.skip for part in parts]
    self._starts = np.cumsum([0] + [part.take for part in parts])
    self._readers: list[Any] = [None] * len(parts)
    self._lock = threading.Lock()
    for shard, part in enumerate(parts):
      if not os.path.isfile(part.filename):
        raise DataError(f'{part.filename} is missing: prepare the set again')
      reader = self._reader(shard)
      if not reader.ok() or reader.num_records() != part.examples_in_shard:
        raise DataError(
          f'{part.filename} is corrupt: {reader.num_records()} records can be '
          f'found, the metadata say {part.examples_in_shard}; prepare the set '
          'again'
        )

  def __len__(self) -> int:
    return int(self._starts[-1])

  def _reader(self, shard: int) -> Any:
    """The reader of a shard, opened when first asked for."""
    with self._lock:
      if self._readers[shard] is None:
        self._readers[shard] = array_record_module.ArrayRecordReader(
          self.paths[shard],
          options=_READER_OPTIONS,
          file_reader_buffer_size=16384,
        )
      return self._readers[shard]

  def _read(self, shard: int, places: Sequence[int]) -> list[bytes]:
    try:
      return self._reader(shard).read(list(places))
    except RuntimeError as error:  # the only kind that its C++ raises
      raise DataError(
        f'record {places[0]} of {self.paths[shard]} is corrupt '
        f'({str(error).split(",")[0]}): prepare the set again'
      ) from None

  def get(self, index: int, name: str) -> Any:
    """One feature of a record, as it is stored.

    Raises:
      DataError: the record is corrupt or has no such feature.
    """
    shard = int(np.searchsorted(self._starts, index, side='right')) - 1
    place = int(index - self._starts[shard]) + self._skips[shard]
    value = _parse(self._read(shard, [place])[0], [name]).get(name)
    if value is None:
      raise DataError(
        f'record {place} of {self.paths[shard]} has no {name}: prepare the set '
        'again'
      )
    return value

  def scan(self, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yields these features of all records in order.

    Of a corrupt record, and where a feature is not there, they are missing.
    """
    for shard, start in enumerate(self._starts[:-1]):
      first = self._skips[shard]
      end = first + int(self._starts[shard + 1] - start)
      for batch in range(first, end, _BATCH):
        places = range(batch, min(batch + _BATCH, end))
        for content in self._read_sound(shard, places):
          yield _parse(content, names)

  def _read_sound(self, shard: int, places: Sequence[int]) -> Iterator[bytes]:
    """Records of a batch; corrupt ones are empty, and cost no other."""
    try:
      yield from self._read(shard, places)
    except DataError:
      for place in places:
        try:
          yield from self._read(shard, [place])
        except DataError:
          yield b''


def _parse(content: bytes, names: Sequence[str]) -> dict[str, Any]:
  """The first values, bytes or numbers, of those features that are there."""
  try:
    features = tf_example_pb2.Example.FromString(content).features.feature
  except message.DecodeError:
    return {}
  found = {}
  for name in names:
    kind = features[name].WhichOneof('kind') if name in features else None
    values = getattr(features[name], kind).value if kind else ()
    if len(values):
      found[name] = values[0]
  return found
