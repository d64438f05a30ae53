"""How others would read the same files: TFDS through Grain, and PyTorch."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from benchmarks.stored_faces import RecordIOFaces
from facejax.files import PathLike


def tfds_batches(
  directory: PathLike, *, batch_size: int, num_threads: int
) -> Iterator[Any]:
  """Batches of the prepared set by TFDS's own reader, a record at a time."""
  import grain
  import tensorflow_datasets as tfds

  builder = tfds.builder_from_directory(str(directory))
  dataset = (
    grain.MapDataset.source(builder.as_data_source('train'))
    .seed(0)
    .shuffle()
    .repeat()
    .batch(batch_size)
    .to_iter_dataset(
      grain.ReadOptions(
        num_threads=num_threads, prefetch_buffer_size=4 * num_threads
      )
    )
  )
  return iter(dataset)


class TorchFaces:
  """A map-style data set of PyTorch over a `.rec` file, as arcface_torch's."""

  def __init__(self, faces: RecordIOFaces):
    self._faces = faces

  def __len__(self) -> int:
    return len(self._faces)

  def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
    """Decoded pixels and label; what `default_collate` stacks."""
    face = self._faces[index]
    data = np.frombuffer(face['image'], np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), face['label']


def torch_batches(
  faces: RecordIOFaces, *, batch_size: int, num_workers: int
) -> Iterator[Any] | None:
  """Shuffled batches of `torch.utils.data.DataLoader`; None without PyTorch."""
  try:
    from torch.utils import data
  except ImportError:
    return None
  loader = data.DataLoader(
    TorchFaces(faces),
    batch_size=batch_size,
    shuffle=True,
    drop_last=True,
    num_workers=num_workers,
    multiprocessing_context='spawn' if num_workers else None,
    persistent_workers=num_workers > 0,
  )
  return _endless(loader)


def _endless(loader: Any) -> Iterator[Any]:
  while True:
    yield from loader
