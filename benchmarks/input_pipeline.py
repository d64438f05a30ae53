"""Speed of the input pipeline: how near it comes to OpenCV's decoder.

  python -m benchmarks.input_pipeline
  python -m benchmarks.input_pipeline --data=out/clean --pipeline_rounds=9

Prints images per second and core of the training pipeline over ArrayRecord,
RecordIO and zip, of TFDS's own reader through Grain, and of PyTorch's
DataLoader (where it is installed, requirements-bench.txt), all on the same
JPEG bytes; the ceiling is OpenCV decoding them from memory in a loop, a thread
a core. First on one core, then on all. A round measures everything once, one
after the other, and medians over the rounds are shown, so that other work on
the machine hits all alike. `cpu` is the ratio of processor times, which
waiting for a core does not change; it is not known of worker processes. Then
where the processor time of an image goes.

With augmentation off the pipeline should reach 0.6 of the ceiling.
"""

import contextlib
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

DATA = shared_flags.data()
SCRATCH = flags.DEFINE_string(
  'scratch', None, 'Folder for the forms of the data; default a temporary one.'
)
PIPELINE_BATCH = flags.DEFINE_integer(
  'pipeline_batch', 128, 'Images in a batch of the pipeline.', lower_bound=1
)
PIPELINE_BATCHES = flags.DEFINE_integer(
  'pipeline_batches', 50, 'Timed batches in a round.', lower_bound=1
)
PIPELINE_ROUNDS = flags.DEFINE_integer(
  'pipeline_rounds', 5, 'Rounds that the medians are over.', lower_bound=1
)
DEFAULT_DATA = '../shared/faces/train_112_glint.zip'
_WARM_UP = 10  # batches: more than any of the loaders keeps ready
_CEILING = 'ceiling: OpenCV from memory'
Timing = tuple[float, float]  # wall and processor seconds an image


def _decode_loop(images: list[bytes], num_threads: int) -> None:
  """The ceiling: nothing but decoding, each thread its share."""
  import cv2
  import numpy as np

  def decode(part: list[bytes]) -> None:
    for data in part:
      cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

  threads = [
    threading.Thread(target=decode, args=(images[number::num_threads],))
    for number in range(num_threads)
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()


def _time(work: Callable[[], None], num_images: int) -> Timing:
  wall, cpu = time.perf_counter(), time.process_time()
  work()
  wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
  return wall / num_images, cpu / num_images


def _time_batches(batches: Iterator[Any]) -> Timing:
  """Times batches after some that fill the buffers."""
  count = PIPELINE_BATCHES.value
  for _ in range(_WARM_UP):
    next(batches)

  def work() -> None:
    for _ in range(count):
      next(batches)

  return _time(work, count * PIPELINE_BATCH.value)


@contextlib.contextmanager
def _cores(chosen: set[int]) -> Iterator[None]:
  """Keeps this thread, and those that it starts, on some cores."""
  before = os.sched_getaffinity(0)
  os.sched_setaffinity(0, chosen)
  try:
    yield
  finally:
    os.sched_setaffinity(0, before)


def measure(faces: Any, forms: tuple, cores: set[int]) -> dict[str, dict]:
  """Images per second and core of everything, on the given cores."""
  from benchmarks import input_readers, stored_faces

  count = PIPELINE_BATCHES.value * PIPELINE_BATCH.value
  images = stored_faces.chosen_images(faces, count)
  timings: dict[str, list[Timing]] = {}
  with _cores(cores):
    readers = input_readers.readers(
      faces, forms, batch_size=PIPELINE_BATCH.value, num_cores=len(cores)
    )
    for _ in range(PIPELINE_ROUNDS.value):
      timing = _time(lambda: _decode_loop(images, len(cores)), len(images))
      timings.setdefault(_CEILING, []).append(timing)
      for name, open_reader in readers.items():
        batches = open_reader()
        if batches is None:
          continue  # PyTorch is not installed
        with contextlib.closing(batches):
          timings.setdefault(name, []).append(_time_batches(batches))
  return _compare(timings, len(cores))


def _compare(timings: dict[str, list[Timing]], num_cores: int) -> dict:
  medians = {
    name: [statistics.median(values) for values in zip(*rounds, strict=True)]
    for name, rounds in timings.items()
  }
  best_wall, best_cpu = medians[_CEILING]
  return {
    name: {
      'images_per_second_per_core': round(1 / wall / num_cores),
      'of_ceiling': round(best_wall / wall, 3),
      # Processes of their own do not count in the time of this one.
      'cpu_microseconds': None if 'workers' in name else round(1e6 * cpu, 1),
      'cpu_of_ceiling': (
        None if 'workers' in name else round(best_cpu / cpu, 3)
      ),
    }
    for name, (wall, cpu) in medians.items()
  }


def _print_table(title: str, rows: dict[str, dict]) -> None:
  print(
    f'\n{title}\n{"":40s} images/s/core  of ceiling    cpu', file=sys.stderr
  )
  for name, row in rows.items():
    cpu = row['cpu_of_ceiling']
    print(
      f'{name:40s} {row["images_per_second_per_core"]:13d}'
      f' {row["of_ceiling"]:11.2f} {"" if cpu is None else f"{cpu:.2f}":>6s}',
      file=sys.stderr,
    )


def main(argv):
  """Measures and prints everything."""
  del argv
  from benchmarks import input_costs, input_readers, stored_faces

  with contextlib.ExitStack() as stack:
    scratch = SCRATCH.value or stack.enter_context(
      tempfile.TemporaryDirectory()
    )
    folder = pathlib.Path(scratch)
    folder.mkdir(parents=True, exist_ok=True)
    data = DATA.value or DEFAULT_DATA
    faces = stored_faces.prepare_faces(data, folder)
    forms = stored_faces.write_forms(faces, folder)
    cores = os.sched_getaffinity(0)
    result = {'data': data, 'num_images': len(faces), 'cores': len(cores)}
    for title, chosen in (
      ('one_core', {min(cores)}),
      ('all_cores', cores),
    ):
      result[title] = measure(faces, forms, chosen)
      _print_table(title.replace('_', ' '), result[title])
    with _cores({min(cores)}):
      result['microseconds'] = input_costs.costs(
        faces,
        batch_size=PIPELINE_BATCH.value,
        num_batches=PIPELINE_BATCHES.value,
        total=result['one_core'][input_readers.OURS]['cpu_microseconds'],
      )
  print('\nprocessor time of an image, microseconds', file=sys.stderr)
  for name, value in result['microseconds'].items():
    print(f'{name:40s} {value:13.1f}', file=sys.stderr)
  return result


if __name__ == '__main__':
  run.run(main)
