"""How the kernels of the search are compiled, and how their work is divided.

numba compiles them once for each signature and keeps the result on disk. The
kernels release the interpreter's lock and know nothing of threads; tasks of
them run in one pool of the process, so that several threads of the caller may
search at once.
"""

import concurrent.futures
import functools
import hashlib
import inspect
import itertools
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from facejax import files
from facejax.array_typing import Bool, Shaped

_MIN_BLOCK, _MAX_BLOCK = 32, 128
# Reading so much is worth a thread of its own.
_PART_BYTES = 1 << 20


@functools.cache
def _cache_folder() -> str:
  """A folder of its own for each state of the sources of the search.

  numba compares what it has kept with the file of a function alone, and would
  not see that one of another file, compiled into it, has changed.
  """
  digest = hashlib.sha256()
  for source in sorted(pathlib.Path(__file__).parent.glob('*.py')):
    digest.update(source.read_bytes())
  base = numba.config.CACHE_DIR or files.cache_directory() / 'numba'
  return os.path.join(base, f'search-{digest.hexdigest()[:16]}')


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
  """Compiles by numba, at the first call; for functions without annotations.

  What is compiled is kept in the user's cache, or where NUMBA_CACHE_DIR says.
  """
  # What checks signatures in tests would be compiled along.
  function = inspect.unwrap(function)
  folder, usual = _cache_folder(), numba.config.CACHE_DIR
  numba.config.CACHE_DIR = folder
  try:
    return numba.njit(function, nogil=True, cache=True)
  except RuntimeError:  # no folder can be written in
    return numba.njit(function, nogil=True)
  finally:
    numba.config.CACHE_DIR = usual


@intrinsic
def count_ones(typing_context, word):
  """Bits that are set in a uint64; loops of it become vector instructions."""
  del typing_context, word

  def generate(context, builder, signature, arguments):
    del context, signature
    return builder.ctpop(arguments[0])

  return types.uint64(types.uint64), generate


def num_threads() -> int:
  """Threads that search: one for every core this process may use."""
  if hasattr(os, 'sched_getaffinity'):  # not on macOS
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


@functools.cache
def _pool(process: int) -> concurrent.futures.ThreadPoolExecutor:
  """The pool of a process: threads do not live on in a fork of it."""
  del process
  return concurrent.futures.ThreadPoolExecutor(
    max(1, num_threads() - 1), thread_name_prefix='search'
  )


def run_tasks(work: Callable[..., Any], tasks: Sequence[Any]) -> list[Any]:
  """What a function returns for each of the tasks, in their order.

  The calling thread does its share, so a search waits for no thread to wake
  up, nor for the searches of others to leave one free.

  Args:
    work: called with one task.
    tasks: taken by whichever thread is free.
  """
  results, numbers = [None] * len(tasks), itertools.count()

  def take_tasks() -> None:
    while (number := next(numbers)) < len(tasks):
      results[number] = work(tasks[number])

  others = min(len(tasks), num_threads()) - 1
  helpers = [_pool(os.getpid()).submit(take_tasks) for _ in range(others)]
  take_tasks()
  for helper in helpers:
    if not helper.cancel():
      helper.result()
  return results


def probe_blocks(num_probes: int) -> list[slice]:
  """Ranges of probes that are searched for together."""
  share = -(-num_probes // (2 * num_threads()))
  size = min(max(share, _MIN_BLOCK), _MAX_BLOCK)
  return [
    slice(start, min(start + size, num_probes))
    for start in range(0, num_probes, size)
  ]


def gallery_parts(
  num_rows: int, row_bytes: int, blocks: Sequence[slice]
) -> list[slice]:
  """Ranges of rows, so many that every thread has a block of some part.

  Args:
    num_rows: T.
    row_bytes: read for each row and probe.
    blocks: of probes.
  """
  wanted = -(-num_threads() // max(len(blocks), 1))
  probes = blocks[0].stop if blocks else 0
  count = min(wanted, num_rows, num_rows * row_bytes * probes // _PART_BYTES)
  count = max(1, count)
  ends = [num_rows * part // count for part in range(count + 1)]
  return [slice(*pair) for pair in zip(ends[:-1], ends[1:], strict=True)]


def plain(array: Shaped[np.ndarray, '...']) -> Shaped[np.ndarray, '...']:
  """A read-only C-contiguous view, or a copy where there is none.

  Kernels see one type of array, whatever the caller holds: maps of files too.
  """
  # The type may be a subclass, the address odd, the order of bytes foreign.
  view = np.require(array, array.dtype.newbyteorder('='), 'CAE').view()
  view.flags.writeable = False
  return view


def removed_rows(
  removed: Bool[np.ndarray, ' T'] | None,
) -> Bool[np.ndarray, ' _']:
  """The mask as kernels take it; empty if nothing is removed."""
  if removed is None or not removed.any():
    removed = np.zeros(0, bool)
  return plain(removed)
