"""The input pipeline of training: global shuffle, decode, augment, batch.

Every batch is a function of (seed, global step, source) alone, so a run that
stops and goes on, with any number of workers or hosts, sees the same images
changed in the same way; the position in a checkpoint is just those numbers.
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import grain
import numpy as np

from facejax.data.augmentation import Augmentation, augment
from facejax.data.images import decode_image
from facejax.data.preprocessing import (
  CANONICAL_SIZE,
  Preprocessing,
  fit_crop,
)
from facejax.errors import CheckpointError, DataError, UsageError

_BUFFERED_BATCHES = 4
_MAX_THREADS = 16


@runtime_checkable
class FaceSource(Protocol):
  """Random access to faces: `FaceRecords`, `SyntheticFaces` and the like.

  `source[i]` is {'image': JPEG bytes or uint8 [112, 112, 3] RGB, 'label': int,
  'key': str}. It must pickle if worker processes are to read it.
  """

  def __len__(self) -> int: ...

  def __getitem__(self, index: int) -> Mapping[str, Any]: ...


def _read(source: FaceSource, indices: Sequence[int]) -> Sequence[Any]:
  """Records by index, in one call where the source offers it."""
  if hasattr(source, '__getitems__'):
    return source.__getitems__(indices)
  return [source[index] for index in indices]


def _pixels(record: Mapping[str, Any], where: str) -> np.ndarray:
  """The crop of a record, decoded if need be: uint8 [112, 112, 3]."""
  image = record['image']
  if isinstance(image, bytes):
    image = decode_image(image, where)
  if image.shape != (*CANONICAL_SIZE, 3) or image.dtype != np.uint8:
    raise DataError(
      f'{where}: is {image.dtype} {list(image.shape)}, training needs uint8 '
      f'{[*CANONICAL_SIZE, 3]}: prepare the set with --image_size=112x112'
    )
  return image


@dataclasses.dataclass(frozen=True)
class _LoadBatch:
  """Record indices of one step on one host to a batch; pickles for workers.

  A batch is read and decoded in one loop: per-record stages of Grain would
  cost more than the decoding of such small images.
  """

  source: FaceSource
  batch_size: int
  seed: int
  preprocessing: Preprocessing
  augmentation: Augmentation
  start_step: int
  process_index: int
  process_count: int
  name: str  # of the source, for errors

  def __call__(self, local_step: int, indices: np.ndarray) -> dict[str, Any]:
    """Decodes, augments and fits the records of `indices`."""
    size = (len(indices), *self.preprocessing.image_size, 3)
    images, labels = np.empty(size, np.uint8), np.empty(len(indices), np.int32)
    # Grain counts the steps of this iterator; an image's place counts those of
    # the whole run on all hosts.
    step = self.start_step + local_step
    place = step * self.batch_size + self.process_index
    unchanged = self.augmentation.is_identity
    records = _read(self.source, indices.tolist())
    for row, (index, record) in enumerate(zip(indices, records, strict=True)):
      where = f'{self.name}: record {index} ({record["key"]})'
      image = _pixels(record, where)
      if not unchanged:
        rng = np.random.default_rng((self.seed, place))
        image = augment(image, self.augmentation, rng)
      images[row] = fit_crop(image, self.preprocessing)
      labels[row] = record['label']
      place += self.process_count
    return {'image': images, 'label': labels, 'index': indices}


def _check(load: _LoadBatch, num_workers: int) -> None:
  """Raises DataError or UsageError for what no pipeline can be built from."""
  index, count = load.process_index, load.process_count
  if len(load.source) == 0:
    raise DataError(f'{load.name} is empty: there is nothing to train on')
  if load.batch_size < 1 or load.batch_size % count:
    raise UsageError(
      f'batch_size {load.batch_size} does not divide over {count} processes: '
      f'use a multiple of {count}'
    )
  if not 0 <= index < count:
    raise UsageError(f'process {index} of {count} does not exist')
  if not 0 <= load.seed < 2**32:
    raise UsageError(f'seed {load.seed}: use 0 to {2**32 - 1}')
  if load.start_step < 0 or num_workers < 0:
    raise UsageError(
      f'start_step {load.start_step} and num_workers {num_workers} must not be '
      'negative'
    )


def make_pipeline(
  source: FaceSource,
  *,
  batch_size: int,
  seed: int,
  preprocessing: Preprocessing,
  augmentation: Augmentation,
  start_step: int = 0,
  process_index: int = 0,
  process_count: int = 1,
  num_workers: int = 0,
) -> Iterator[dict[str, np.ndarray]]:
  """An endless iterator over training batches, decoded ahead of time.

  Each epoch is a permutation of the source of its own; a batch may span two.
  Global batch s is the images s B .. (s + 1) B - 1 of that order, and process
  p of n gets every n-th of them from the p-th on.

  Args:
    source: the faces.
    batch_size: images a step over all processes, B.
    seed: of order and augmentation, 0 .. 2**32 - 1.
    preprocessing: of the model; pixels are cropped and resized here, and
      normalised on the device.
    augmentation: random changes.
    start_step: global step of the first batch.
    process_index: this host, p.
    process_count: number of hosts, n; divides `batch_size`.
    num_workers: processes that decode; 0 decodes in threads of this one, which
      is best up to a few cores. Workers start anew, so a script that asks for
      them needs `if __name__ == '__main__'`, and Grain wants absl's flags
      parsed.

  Returns:
    Batches {'image': uint8 [B / n, H, W, 3] RGB, 'label': int32 [B / n],
    'index': int64 [B / n], the places in `source`}. `close()` ends its threads
    and workers early.

  Raises:
    UsageError: sizes that do not fit.
    DataError: an empty source; while iterating, a record that cannot be used,
      by name.
  """
  load = _LoadBatch(
    source,
    batch_size,
    seed,
    preprocessing,
    augmentation,
    start_step,
    process_index,
    process_count,
    repr(source),
  )
  _check(load, num_workers)
  order = grain.MapDataset.range(len(source)).seed(seed).shuffle().repeat()
  local = order[start_step * batch_size + process_index :: process_count]
  batches = local.batch(batch_size // process_count).map_with_index(load)
  threads = 1 if num_workers else min(os.cpu_count() or 1, _MAX_THREADS)
  dataset = batches.to_iter_dataset(
    grain.ReadOptions(
      num_threads=threads, prefetch_buffer_size=_BUFFERED_BATCHES
    )
  )
  if num_workers:
    dataset = dataset.mp_prefetch(
      grain.MultiprocessingOptions(num_workers=num_workers)
    )
  return iter(dataset)


def make_position(
  source: FaceSource, *, step: int, seed: int, batch_size: int
) -> dict[str, Any]:
  """All that determines the batches from `step` on, as JSON values.

  Args:
    source: the faces; its `checksums`, or its `repr` where it has none.
    step: global step of the next batch.
    seed: of the pipeline.
    batch_size: images a step over all processes.
  """
  checksums = getattr(source, 'checksums', None) or {'source': repr(source)}
  return {
    'step': step,
    'seed': seed,
    'batch_size': batch_size,
    'checksums': dict(checksums),
  }


def check_position(
  saved: Mapping[str, Any], current: Mapping[str, Any]
) -> None:
  """Makes sure that a run goes on with the batches that it would have seen.

  Args:
    saved: `make_position` from the checkpoint.
    current: `make_position` of the run that is to go on, at the restored step.

  Raises:
    CheckpointError: they differ; names what does, and both values.
  """
  differences = [
    f'{key} was {saved.get(key)!r} and is {current.get(key)!r}'
    for key in current
    if key != 'checksums' and saved.get(key) != current[key]
  ]
  if saved.get('checksums') != current['checksums']:
    differences.append('the training data are not the same')
  if differences:
    raise CheckpointError(
      'the run cannot go on with the same images: '
      + '; '.join(differences)
      + ': restore these settings, or start anew in another workdir'
    )
