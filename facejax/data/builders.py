"""`tensorflow-datasets` builders that write face sets without TensorFlow."""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow_datasets as tfds
from array_record.python import array_record_module

from facejax.errors import DataError
from facejax.files import Path, PathLike

SPLIT = 'train'
# Faces are JPEG already: compressing them again saves 1 % and slows reading.
WRITER_OPTIONS = 'group_size:1,uncompressed'

_DESCRIPTION = """
Aligned face crops, one class an identity, from folders or zip files of
IDENTITY/image.jpg. The bytes of a JPEG file are stored as they were found.
Written by `launch.prepare_data`; `manifest.json` beside the shards says what
was rejected or left out, and why.
"""
_CITATION = """
@misc{face_folder,
  title = {A face set of the user's own, prepared by facejax},
  note = {cite the sources that manifest.json names},
}
"""

Example = Mapping[str, Any]
ShardGenerator = Callable[[], Iterator[tuple[int, Example]]]


@contextlib.contextmanager
def _disk_errors(path: PathLike) -> Iterator[None]:
  """Around calls of the C++ writer alone, whose only error is RuntimeError."""
  try:
    yield
  except RuntimeError as error:
    raise DataError(
      f'{Path(path).name} cannot be written ({str(error).split(";")[0]}): free '
      'some space and run the command again'
    ) from None


class _UncompressedWriter(tfds.core.dataset_builder.writer_lib.ExampleWriter):
  """Writes ArrayRecord files whose records are stored, not compressed.

  The adapter of tensorflow-datasets fixes 'group_size:1' with zstd; this class
  is the hook it offers for another storage.
  """

  def write(
    self, path: PathLike, examples: Iterable[tuple[Any, bytes]]
  ) -> None:
    """Writes one shard.

    Raises:
      DataError: the disk is full or the place cannot be written.
    """
    with _disk_errors(path):
      writer = array_record_module.ArrayRecordWriter(
        os.fspath(path), WRITER_OPTIONS
      )
    for _, example in examples:
      with _disk_errors(path):
        writer.write(example)
    with _disk_errors(path):
      writer.close()


class FaceFolder(tfds.core.ShardBasedBuilder):
  """Faces of named identities, in the order and the shards that it is given.

  It streams: `GeneratorBasedBuilder` would hold up to 1 GB for its shuffle and
  spill the rest through TensorFlow. Grain shuffles globally when it reads.
  """

  name = 'face_folder'
  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES = {'1.0.0': 'JPEG image, label, key.'}

  def __init__(
    self,
    *,
    identities: Sequence[str] | None = None,
    shards: Sequence[ShardGenerator] = (),
    image_size: tuple[int, int] = (112, 112),
    **kwargs: Any,
  ):
    """A builder to write with, or without `identities` to read with.

    Args:
      identities: names in label order.
      shards: one function a shard, which yields (index, {'image': JPEG bytes,
        'label': int, 'key': str}).
      image_size: (height, width) of every image, pixels.
      **kwargs: of `tfds.core.DatasetBuilder`, such as `data_dir`.
    """
    self._identities = identities
    self._shards = shards
    self._image_size = tuple(image_size)
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      description=_DESCRIPTION,
      citation=_CITATION,
      features=tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(
            shape=(*self._image_size, 3), encoding_format='jpeg'
          ),
          'label': tfds.features.ClassLabel(names=self._identities),
          'key': tfds.features.Text(),
        }
      ),
      supervised_keys=('image', 'label'),
      disable_shuffling=True,
    )

  def _shard_iterators_per_split(
    self, dl_manager: tfds.download.DownloadManager
  ) -> dict[str, Sequence[ShardGenerator]]:
    del dl_manager  # nothing is downloaded
    return {SPLIT: self._shards}

  def _example_writer(self) -> _UncompressedWriter:
    return _UncompressedWriter(self.info.file_format)


def write_shards(
  directory: PathLike,
  *,
  identities: Sequence[str],
  shards: Sequence[ShardGenerator],
  image_size: tuple[int, int] = (112, 112),
) -> list[str]:
  """Writes a face set into an existing folder through `FaceFolder`.

  Args:
    directory: where the shards and the metadata of tensorflow-datasets go.
    identities: names in label order.
    shards: see `FaceFolder`.
    image_size: (height, width) of every image, pixels.

  Returns:
    The names of the shard files in reading order.

  Raises:
    DataError: the disk is full.
  """
  directory = Path(directory)
  builder = FaceFolder(
    identities=identities,
    shards=shards,
    image_size=image_size,
    data_dir=directory / 'work',
  )
  # It prints to stdout, which belongs to the result of the command.
  with contextlib.redirect_stdout(io.StringIO()):
    builder.download_and_prepare(
      file_format='array_record',
      download_config=tfds.download.DownloadConfig(try_download_gcs=False),
    )
  # tfds builds NAME/VERSION folders; a face set is one flat folder.
  for path in builder.data_path.iterdir():
    path.rename(directory / path.name)
  (directory / 'work').rmtree()
  return sorted(path.name for path in directory.glob('*array_record*'))
