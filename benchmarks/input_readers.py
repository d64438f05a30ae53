"""What the benchmark of the input pipeline compares, by name."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import peer_readers
from benchmarks.stored_faces import RecordIOFaces, ZipFaces
from facejax.data.augmentation import Augmentation
from facejax.data.pipeline import make_pipeline
from facejax.data.preprocessing import Preprocessing
from facejax.data.records import FaceRecords

OURS = 'ArrayRecord, augmentation off'
_EVERY_CHANGE = Augmentation(
  shift=4,
  warp=0.2,
  low_resolution=0.2,
  blur=0.2,
  color=0.2,
  grayscale=0.2,
  jpeg=0.2,
  occlusion=0.2,
)


def readers(
  faces: FaceRecords,
  forms: tuple[RecordIOFaces, ZipFaces],
  *,
  batch_size: int,
  num_cores: int,
) -> dict[str, Callable[[], Iterator[Any] | None]]:
  """Functions that open endless batches, by name; workers are processes.

  Args:
    faces: a prepared set.
    forms: the same faces as RecordIO and as zip.
    batch_size: images in a batch.
    num_cores: threads, and workers where there are some.
  """
  recordio, archive = forms
  off, mirror = Augmentation(mirror=0.0), Augmentation()

  def pipeline(source: Any, augmentation: Augmentation, num_workers: int = 0):
    return functools.partial(
      make_pipeline,
      source,
      batch_size=batch_size,
      seed=0,
      preprocessing=Preprocessing(),
      augmentation=augmentation,
      num_workers=num_workers,
    )

  def torch(num_workers: int):
    return functools.partial(
      peer_readers.torch_batches,
      recordio,
      batch_size=batch_size,
      num_workers=num_workers,
    )

  result = {
    OURS: pipeline(faces, off),
    'ArrayRecord, mirror': pipeline(faces, mirror),
    'ArrayRecord, every change at 0.2': pipeline(faces, _EVERY_CHANGE),
    'RecordIO, augmentation off': pipeline(recordio, off),
    'zip, augmentation off': pipeline(archive, off),
    'TFDS reader through Grain': functools.partial(
      peer_readers.tfds_batches,
      faces.directory,
      batch_size=batch_size,
      num_threads=num_cores,
    ),
    'PyTorch DataLoader, in process': torch(0),
  }
  if num_cores > 1:
    workers = f'{num_cores} workers'
    result |= {
      f'{OURS}, {workers}': pipeline(faces, off, num_cores),
      f'ArrayRecord, mirror, {workers}': pipeline(faces, mirror, num_cores),
      f'PyTorch DataLoader, {workers}': torch(num_cores),
    }
  return result
