"""What the speed benchmarks are asked for, and a process for each of them.

XLA counts its threads when a process starts, from the cores it may use, so
every number of threads is measured in a process of its own.
"""

import concurrent.futures
import dataclasses
import multiprocessing
import os
import pathlib
from collections.abc import Callable
from typing import Any

from absl import flags

from facejax.errors import UsageError
from launch import flags as shared_flags

# The calling script, not this module, is the flag's home in `--help`.
flags.disclaim_key_flags()

PRECISIONS = ('float32', 'bfloat16')
DEVICES = ('auto', 'cpu', 'gpu')

BATCH_SIZES = flags.DEFINE_list(
  'batch_sizes',
  None,
  'Images in a call, a list; default 1,32,64 on CPU (steps: 32,64) and '
  '256,1024 on GPU.',
)
THREADS = flags.DEFINE_list(
  'threads', ['1', '2'], 'Threads (and cores) to measure with; CPU only.'
)
PRECISION = flags.DEFINE_enum(
  'precision', None, PRECISIONS, 'Default float32 on CPU, bfloat16 on GPU.'
)
REPEATS = flags.DEFINE_integer(
  'repeats', 7, 'Rounds that the medians are over.', lower_bound=1
)
DEVICE = flags.DEFINE_enum(
  'device', 'auto', DEVICES, 'auto: a GPU if JAX sees one, else the CPU.'
)
SIDES = flags.DEFINE_list(
  'sides', None, 'What is measured, a list of names; default all of them.'
)
BANDWIDTH = flags.DEFINE_float(
  'bandwidth',
  None,
  'Memory bandwidth of the chip, GB/s; known for common GPUs.',
  lower_bound=1e-3,
)
PROFILE = flags.DEFINE_bool(
  'profile', False, 'Also show where our time goes, by kind of layer.'
)
WIDTH = flags.DEFINE_float('width', 1.0, 'Width of the net.', lower_bound=0.1)
INPUT_SIZE = flags.DEFINE_integer(
  'input_size', 112, 'Height and width of the input.', lower_bound=16
)
OUTPUT = shared_flags.output()


@dataclasses.dataclass(frozen=True)
class Settings:
  """What one process measures.

  Attributes:
    batch_sizes: images in a call; None takes the defaults of the platform.
    threads: of every side, on CPU.
    precision: one of `PRECISIONS`, or None for the platform's.
    repeats: rounds.
    device: 'cpu' or 'gpu', or 'auto' before it is known.
    sides: names of what is measured.
    bandwidth: of the chip's memory, GB/s; None if it is not given.
    profile: whether the time is broken down.
    width: of the net.
    image_size: height and width of the input, pixels.
    num_stages: of the net, in front; the paper's has 5.
  """

  batch_sizes: tuple[int, ...] | None = None
  threads: int = 1
  precision: str | None = None
  repeats: int = 7
  device: str = 'auto'
  sides: tuple[str, ...] = ()
  bandwidth: float | None = None
  profile: bool = False
  width: float = 1.0
  image_size: int = 112
  num_stages: int = 5


def _positive(name: str, values: list[str]) -> tuple[int, ...]:
  try:
    numbers = tuple(int(value) for value in values)
  except ValueError:
    numbers = ()
  if not numbers or min(numbers) < 1:
    raise UsageError(
      f'--{name}={",".join(values)}: give whole numbers from 1 on, such as 1,32'
    )
  return numbers


def from_flags(
  default: tuple[str, ...], optional: tuple[str, ...] = ()
) -> list[Settings]:
  """The settings of every process, one for each number of threads.

  Args:
    default: names that --sides is by default.
    optional: further ones that it may hold.

  Raises:
    UsageError: a number below 1, an unknown side, or more threads than cores.
  """
  known, sides = default + optional, tuple(SIDES.value or default)
  if unknown := [side for side in sides if side not in known]:
    raise UsageError(
      f'--sides: {", ".join(unknown)} is none of {", ".join(known)}'
    )
  sizes, threads = BATCH_SIZES.value, _positive('threads', THREADS.value)
  if max(threads) > len(_cores()):
    raise UsageError(
      f'--threads={max(threads)}: this process may use {len(_cores())} cores'
    )
  return [
    Settings(
      batch_sizes=_positive('batch_sizes', sizes) if sizes else None,
      threads=number,
      precision=PRECISION.value,
      repeats=REPEATS.value,
      device=DEVICE.value,
      sides=sides,
      bandwidth=BANDWIDTH.value,
      profile=PROFILE.value,
      width=WIDTH.value,
      image_size=INPUT_SIZE.value,
    )
    for number in threads
  ]


def _cores() -> list[int]:
  """Numbers of the cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):  # not on macOS
    return sorted(os.sched_getaffinity(0))
  return list(range(os.cpu_count() or 1))


def has_gpu() -> bool:
  """Whether the driver of a GPU is here; starts neither JAX nor the GPU."""
  return any(
    pathlib.Path(path).exists() for path in ('/dev/nvidiactl', '/dev/kfd')
  )


def _in_child(measure: Callable[[Settings], Any], settings: Settings) -> Any:
  """Prepares a fresh process for the settings and measures."""
  if settings.device == 'cpu':
    os.environ['JAX_PLATFORMS'] = 'cpu'
    os.environ['OMP_NUM_THREADS'] = str(settings.threads)
    if hasattr(os, 'sched_setaffinity'):
      os.sched_setaffinity(0, _cores()[: settings.threads])
  else:  # peers need memory of the GPU too
    os.environ['XLA_PYTHON_CLIENT_PREALLOCATE'] = 'false'
  return measure(settings)


def measure_all(
  measure: Callable[[Settings], Any], wanted: list[Settings]
) -> list[Any]:
  """Runs `measure` on each of the settings, in a process of its own.

  On a GPU threads mean nothing, and only the first settings are measured.

  Args:
    measure: an importable function; what it returns must pickle.
    wanted: from `from_flags`; 'auto' is resolved here.
  """
  gpu = wanted[0].device == 'gpu' or (wanted[0].device == 'auto' and has_gpu())
  resolved = [
    dataclasses.replace(
      settings,
      device='gpu' if gpu else 'cpu',
      precision=settings.precision or ('bfloat16' if gpu else 'float32'),
    )
    for settings in (wanted[:1] if gpu else wanted)
  ]
  results = []
  for settings in resolved:
    with concurrent.futures.ProcessPoolExecutor(
      1, mp_context=multiprocessing.get_context('spawn')
    ) as pool:
      results.append(pool.submit(_in_child, measure, settings).result())
  return results
