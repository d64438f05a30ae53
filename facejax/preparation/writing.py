"""The files of a prepared set, and what tensorflow-datasets wants to know."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow_datasets as tfds
from array_record.python import array_record_module

from facejax import files
from facejax.errors import DataError
from facejax.files import Path

# Faces are JPEG already: compressing them again saves 1 % and slows reading.
_WRITER_OPTIONS = 'group_size:1,uncompressed'


class ShardWriter:
  """One ArrayRecord file; a full disk is a DataError.

  Attributes:
    num_records: written so far.
    num_bytes: of these records.
  """

  def __init__(self, path: Path):
    self.path = path
    self.num_records = 0
    self.num_bytes = 0
    with self._disk_errors():
      self._writer = array_record_module.ArrayRecordWriter(
        os.fspath(path), _WRITER_OPTIONS
      )

  @contextlib.contextmanager
  def _disk_errors(self) -> Iterator[None]:
    """Around calls of the C++ writer, whose only error is RuntimeError."""
    try:
      yield
    except RuntimeError as error:
      raise DataError(
        f'{self.path.name} cannot be written ({str(error).split(";")[0]}): '
        'free some space and run the command again'
      ) from None

  def write(self, record: bytes) -> None:
    """Appends a record."""
    with self._disk_errors():
      self._writer.write(record)
    self.num_records += 1
    self.num_bytes += len(record)

  def close(self) -> dict[str, Any]:
    """What the manifest says about the file, which is on disk for good."""
    with self._disk_errors():
      self._writer.close()
    with self.path.open('rb') as file:
      os.fsync(file.fileno())
    return {
      'name': self.path.name,
      'num_records': self.num_records,
      'bytes': self.path.stat().length,
      'sha256': files.checksum(self.path),
    }


def make_features(
  image_size: tuple[int, int], num_identities: int | None
) -> tfds.features.FeaturesDict:
  """Features of a record: image, label, key.

  Args:
    image_size: (height, width) of every image, pixels.
    num_identities: number of labels, None while it is not known. Their names
      stand in identities.txt: tensorflow-datasets would keep an object each.
  """
  return tfds.features.FeaturesDict(
    {
      'image': tfds.features.Image(
        shape=(*image_size, 3), encoding_format='jpeg'
      ),
      'label': tfds.features.ClassLabel(num_classes=num_identities),
      'key': tfds.features.Text(),
    }
  )


def make_split(
  directory: Path, dataset: str, split: str, shards: Sequence[dict[str, Any]]
) -> tfds.core.SplitInfo:
  """Describes the shards of a set to tensorflow-datasets.

  Args:
    directory: that they stand in.
    dataset: name of the data set, as the names of the files begin.
    split: name of the split.
    shards: num_records and bytes of every file.
  """
  return tfds.core.SplitInfo(
    name=split,
    shard_lengths=[shard['num_records'] for shard in shards],
    num_bytes=sum(shard['bytes'] for shard in shards),
    filename_template=tfds.core.ShardedFileTemplate(
      data_dir=directory,
      dataset_name=dataset,
      split=split,
      filetype_suffix='array_record',
    ),
  )
