"""Where the time of the input pipeline goes, step by step."""

import collections
import contextlib
import statistics
import time
from collections.abc import Iterator

import numpy as np

from facejax.data.images import decode_checked
from facejax.data.mixture import FaceOrder
from facejax.data.records import FaceRecords


def costs(
  faces: FaceRecords, *, batch_size: int, num_batches: int, total: float
) -> dict[str, float]:
  """Does what the pipeline does, a stage at a time.

  Args:
    faces: a prepared set.
    batch_size: images in a batch.
    num_batches: how many to time.
    total: microseconds of the processor that an image takes in the pipeline.

  Returns:
    Microseconds of the processor an image, by stage, medians over the
    batches; 'the rest' is what they leave of the total: Grain, its threads and
    queue, the loop itself. On a busy machine it can come out below zero.
  """
  seconds: dict[str, list[float]] = collections.defaultdict(list)

  @contextlib.contextmanager
  def stage(name: str) -> Iterator[None]:
    start = time.process_time()
    yield
    seconds[name].append(time.process_time() - start)

  order = FaceOrder(faces, seed=0)
  for step in range(num_batches):
    with stage('order'):
      first = step * batch_size
      indices = [order[place] for place in range(first, first + batch_size)]
    with stage('read, checksum'):
      contents = [faces._read(*faces._locate(index)) for index in indices]
    with stage('parse'):
      records = [
        faces._parse(content, index)
        for content, index in zip(contents, indices, strict=True)
      ]
    images = np.empty((batch_size, *faces.image_size, 3), np.uint8)
    with stage('decode'):
      for record in records:
        image = decode_checked(record['image'], '')
    with stage('copy into the batch'):
      for row in range(batch_size):
        images[row] = image
  result = {
    name: 1e6 * statistics.median(values) / batch_size
    for name, values in seconds.items()
  }
  result['the rest: Grain, threads, queue'] = total - sum(result.values())
  return {name: round(value, 1) for name, value in result.items()}
