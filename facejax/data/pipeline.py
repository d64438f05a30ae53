"""The input pipeline of training: global shuffle, decode, augment, batch.

Every batch is a function of (seed, global step, source) alone, so a run that
stops and goes on, with any number of workers or hosts, sees the same images
changed in the same way; the position in a checkpoint is just those numbers.
"""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import cv2
import grain
import numpy as np

from facejax.data.augmentation import NUM_DRAWS, Augmentation, augment
from facejax.data.images import decode_checked, decode_image
from facejax.data.mixture import FaceOrder
from facejax.data.preprocessing import CANONICAL_SIZE, Preprocessing, fit_crop
from facejax.errors import CheckpointError, DataError, UsageError

_BUFFERED_BATCHES = 4
_MAX_THREADS = 16
_SHAPE = (*CANONICAL_SIZE, 3)


@runtime_checkable
class FaceSource(Protocol):
  """Random access to faces: `FaceRecords`, `MixedFaces`, `SyntheticFaces`.

  `source[i]` is {'image': JPEG bytes or uint8 [112, 112, 3] RGB, 'label': int,
  'key': str}. It must pickle if worker processes are to read it. Where it says
  `is_checked`, bytes are those of files that `decode_image` has accepted.
  """

  def __len__(self) -> int: ...

  def __getitem__(self, index: int) -> Mapping[str, Any]: ...


def _read(source: FaceSource, indices: Sequence[int]) -> Sequence[Any]:
  """Records by index, in one call where the source offers it."""
  if hasattr(source, '__getitems__'):
    return source.__getitems__(indices)
  return [source[index] for index in indices]


def _pixels(
  record: Mapping[str, Any], decode: Callable[[bytes, str], np.ndarray]
) -> np.ndarray:
  """The crop of a record, decoded if need be: uint8 [112, 112, 3]."""
  image, key = record['image'], record['key']
  if isinstance(image, bytes):
    image = decode(image, key)
  if image.shape != _SHAPE or image.dtype != np.uint8:
    raise DataError(
      f'{key}: is {image.dtype} {list(image.shape)}, training needs uint8 '
      f'{list(_SHAPE)}: prepare the set with --image_size=112x112'
    )
  return image


@dataclasses.dataclass(frozen=True)
class _LoadBatch:
  """The batch of one step on one host; pickles for workers.

  A batch is read and decoded in one loop: per-record stages of Grain would
  cost more than the decoding of such small images.
  """

  source: FaceSource
  order: FaceOrder
  batch_size: int
  seed: int
  preprocessing: Preprocessing
  augmentation: Augmentation
  process_index: int
  process_count: int

  def __call__(self, step: int) -> dict[str, Any]:
    """Reads, decodes, augments and fits the images of a step of the run."""
    first = step * self.batch_size
    positions = range(
      first + self.process_index, first + self.batch_size, self.process_count
    )
    indices = [self.order[position] for position in positions]
    size = (len(indices), *self.preprocessing.image_size, 3)
    images = np.empty(size, np.uint8)
    records = _read(self.source, indices)
    # OpenCV would wake threads of its own for each of these small images, at
    # several times the cost of the work.
    if cv2.getNumThreads() != 1:
      cv2.setNumThreads(1)
    draws = self._draws(step)
    is_checked = getattr(self.source, 'is_checked', False)
    decode = decode_checked if is_checked else decode_image
    for row, record in enumerate(records):
      try:
        image = _pixels(record, decode)
      except DataError as error:
        where = f'{self.source!r}: record {indices[row]}'
        raise DataError(f'{where}: {error}') from None
      if draws is not None:
        image = augment(image, self.augmentation, draws[row])
      images[row] = fit_crop(image, self.preprocessing)
    labels = np.array([record['label'] for record in records], np.int32)
    places = np.array(indices, np.int64)
    return {'image': images, 'label': labels, 'index': places}

  def _draws(self, step: int) -> np.ndarray | None:
    """What decides the changes of this process's images, if there are any.

    One generator a step: making one for every image would take longer than
    mirroring it.
    """
    if self.augmentation.is_identity:
      return None
    rng = np.random.default_rng((self.seed, step))
    draws = rng.random((self.batch_size, NUM_DRAWS))
    return draws[self.process_index :: self.process_count]


def _check(load: _LoadBatch, start_step: int, num_workers: int) -> None:
  """Raises UsageError for what no pipeline can be built from."""
  index, count = load.process_index, load.process_count
  if load.batch_size < 1 or load.batch_size % count:
    raise UsageError(
      f'batch_size {load.batch_size} does not divide over {count} processes: '
      f'use a multiple of {count}'
    )
  if not 0 <= index < count:
    raise UsageError(f'process {index} of {count} does not exist')
  if start_step < 0 or num_workers < 0:
    raise UsageError(
      f'start_step {start_step} and num_workers {num_workers} must not be '
      'negative'
    )


def _num_cores() -> int:
  """Cores that this process may use: often fewer than the machine has."""
  everywhere = not hasattr(os, 'sched_getaffinity')
  return (os.cpu_count() or 1) if everywhere else len(os.sched_getaffinity(0))


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
  In a mixture that holds for every set by itself, each within its share.
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
  if len(source) == 0:
    raise DataError(f'{source!r} is empty: there is nothing to train on')
  if not 0 <= seed < 2**32:
    raise UsageError(f'seed {seed}: use 0 to {2**32 - 1}')
  load = _LoadBatch(
    source,
    FaceOrder(source, seed=seed),
    batch_size,
    seed,
    preprocessing,
    augmentation,
    process_index,
    process_count,
  )
  _check(load, start_step, num_workers)
  batches = grain.MapDataset.range(start_step, sys.maxsize).map(load)
  threads = 1 if num_workers else min(_num_cores(), _MAX_THREADS)
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


def batch_records(
  source: FaceSource, *, step: int, batch_size: int, seed: int
) -> list[tuple[int, str, int]]:
  """What a batch holds, without decoding its images.

  Args:
    source: the faces, as of `make_pipeline`.
    step: global step from 0, s; the run logs it as s + 1.
    batch_size: images a step over all processes, B.
    seed: of the pipeline.

  Returns:
    (place in the source, key, label) of the images s B .. (s + 1) B - 1, in
    that order; process p of n trained on every n-th from the p-th on.

  Raises:
    DataError: a record is corrupt; names it.
  """
  order = FaceOrder(source, seed=seed)
  first = step * batch_size
  indices = [int(order[first + row]) for row in range(batch_size)]
  return [
    (index, record['key'], int(record['label']))
    for index, record in zip(indices, _read(source, indices), strict=True)
  ]


def make_position(
  source: FaceSource, *, step: int, seed: int, batch_size: int
) -> dict[str, Any]:
  """All that determines the batches from `step` on, as JSON values.

  Args:
    source: the faces; its `checksums`, or its `repr` where it has none, and
      the `weights` of a mixture.
    step: global step of the next batch.
    seed: of the pipeline.
    batch_size: images a step over all processes.
  """
  checksums = getattr(source, 'checksums', None) or {'source': repr(source)}
  weights = getattr(source, 'weights', None)
  return {
    'step': step,
    'seed': seed,
    'batch_size': batch_size,
    **({} if weights is None else {'weights': list(weights)}),
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
