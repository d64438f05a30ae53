"""What went wrong on the way to or from a disk, told to the user."""

import asyncio
import contextlib
import errno
import functools
import inspect
import sys
from collections.abc import Iterator

from absl import logging

from facejax.errors import CheckpointError
from facejax.files import PathLike

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# TensorStore reports the operating system's words, not its number.
_NO_SPACE_WORDS = (
  'No space left on device',
  'Disk quota exceeded',
  'File too large',
)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
  """An exception and those that caused it."""
  while error is not None:
    yield error
    error = error.__cause__ or error.__context__


def is_disk_full(error: BaseException) -> bool:
  """Whether an exception, or one of its causes, is a full disk."""
  return any(
    (isinstance(cause, OSError) and cause.errno in _NO_SPACE)
    or any(words in str(cause) for words in _NO_SPACE_WORDS)
    for cause in _chain(error)
  )


def first_line(error: BaseException) -> str:
  """A one-line account of an exception."""
  text = ' '.join(str(error).split())
  return f'{type(error).__name__}: {text[:200]}'


class _EventLoop(asyncio.SelectorEventLoop):
  """An event loop that ignores late results once it is closed."""

  def call_soon_threadsafe(self, callback, *args, context=None):
    """As in the base class, but without an exception after `close`."""
    if self.is_closed():
      return None
    return super().call_soon_threadsafe(callback, *args, context=context)


class _EventLoopPolicy(asyncio.DefaultEventLoopPolicy):
  """Makes event loops of the kind above."""

  _loop_factory = _EventLoop


@functools.cache
def silence_orbax_tracebacks() -> None:
  """Keeps tracebacks that Orbax prints beside what it raises off stderr.

  It logs a failure in each of its threads and tasks, and when one array fails
  it closes its event loop while TensorStore still finishes the others, each
  of which then prints a traceback of its own. All of that may come after the
  failing call has raised, so the filters stay; they drop nothing else.
  """
  print_unraisable = sys.unraisablehook

  def is_news(record):
    return not (record.exc_info and 'orbax' in record.pathname)

  def is_news_of_task(record):
    # Tasks whose failure nobody fetched, since another one's came first.
    return not (record.exc_info and 'orbax' in record.getMessage())

  def unraisablehook(unraisable):
    source = unraisable.object
    if not (
      inspect.iscoroutine(source) and 'orbax' in source.cr_code.co_filename
    ):
      print_unraisable(unraisable)

  logging.get_absl_logger().addFilter(is_news)
  asyncio.log.logger.addFilter(is_news_of_task)
  sys.unraisablehook = unraisablehook
  asyncio.set_event_loop_policy(_EventLoopPolicy())


@contextlib.contextmanager
def full_disk_is_an_error(path: PathLike) -> Iterator[None]:
  """Turns a full disk, however Orbax wraps it, into one line for the user.

  Raises:
    CheckpointError: says what is intact and what to do.
  """
  silence_orbax_tracebacks()
  try:
    yield
  except Exception as error:
    if not is_disk_full(error):
      raise
    raise CheckpointError(
      f'no space left to write {path}: free some and start again; what was '
      'saved before is intact'
    ) from error
