"""Runs a launch script: flags, errors as one line, the result as JSON.

Exit codes: 0 done; 1 the input cannot be used; 2 the command was asked for
wrongly; 75 stopped by SIGTERM after saving, or another process of the job was
lost: the same command goes on; 130 interrupted. Any other exception is a defect
and keeps its traceback. A process of several that fails tells the others, so
that all end, with its code (launch/README.md).
"""

import ast
import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn

from absl import app, flags, logging

from facejax.errors import Interrupted, UserError
from launch import allocator

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BAD_PATH = (
  errno.EACCES,
  errno.EPERM,
  errno.EROFS,
  errno.ENOTDIR,
  errno.ENAMETOOLONG,
  errno.ENOENT,
  errno.EISDIR,
)


def _job() -> ModuleType | None:
  """The module that speaks to the other processes; None if there are none."""
  # Whoever is in a job has loaded it, and others need not wait for JAX.
  multihost = sys.modules.get('facejax.parallel.multihost')
  return multihost if multihost is not None and multihost.in_job() else None


def _fail(message: str, code: int) -> NoReturn:
  """One line on stderr, then the exit code, for all processes of a job."""
  line = ' '.join(str(message).split())
  print('error: ' + line, file=sys.stderr)
  if job := _job():
    job.leave(code, line)
  sys.exit(code)


def _config_path(argv: Sequence[str]) -> str | None:
  """The file that --config names, without the argument of the recipe."""
  for arg, following in zip(argv, [*argv[1:], ''], strict=True):
    match = re.fullmatch(r'--?config(=.*)?', arg, re.DOTALL)
    if match:
      value = match[1][1:] if match[1] else following
      return value.split(':', 1)[0]
  return None


def _explain(error: Exception, path: str | None) -> str | None:
  """What is wrong with the flags or the config; None for a defect of ours."""
  root = error
  while root.__cause__ or root.__context__:
    root = root.__cause__ or root.__context__
  if isinstance(root, SyntaxError):
    return f'{root.filename}:{root.lineno}: {root.msg}'
  lines = [
    frame.lineno
    for frame in traceback.extract_tb(root.__traceback__)
    if path and os.path.abspath(frame.filename) == os.path.abspath(path)
  ]
  if lines:  # a recipe is Python, and can raise anything
    return f'--config={path}:{lines[-1]}: {type(root).__name__}: {root}'
  if isinstance(error, flags.Error):
    return f'{error} (--help lists the flags)'
  if isinstance(error, AttributeError | KeyError):
    text = str(error.args[0]) if error.args else ''
    if re.fullmatch(r"'.*'|\".*\"", text, re.DOTALL):
      text = str(ast.literal_eval(text))  # a KeyError quotes what it is given
    if 'get_config' in text:
      return f'--config={path}: it is no recipe, it has no get_config'
    what = 'no field ' if text.startswith(('"', "'")) else ''
    return f'--config: {what}' + re.sub(r'\s+(?=Did you)', '. ', text)
  if isinstance(error, TypeError | ValueError | OSError):
    return f'--config={path}: {error}'
  return None


def _parse(argv: Sequence[str]) -> list[str]:
  """Parses flags; a bad one, or a bad config, is one line and exit code 2."""
  path = _config_path(argv) if 'config' in flags.FLAGS else None
  if path is not None and not os.path.isfile(path):
    _fail(f'--config={path}: no such file', 2)
  try:
    rest = flags.FLAGS(list(argv))
    if path is not None:
      # A config that failed to load says so when it is first touched.
      getattr(flags.FLAGS['config'].value, 'lock', None)
  except SystemExit as error:
    # absl prints the help and exits with 1; asking for help is no error.
    asked = any(arg.lstrip('-').startswith('help') for arg in argv)
    sys.exit(0 if asked else error.code)
  except BrokenPipeError:  # `--help | head`
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
  except Exception as error:
    message = _explain(error, path)
    if message is None:
      raise
    _fail(message, 2)
  return rest


def _fail_for_user(error: BaseException) -> None:
  """Exits by a line if the user can mend the error; returns if not."""
  if isinstance(error, Interrupted):  # all processes are at their end
    print(f'error: {error}', file=sys.stderr)
    sys.exit(error.exit_code)
  if isinstance(error, UserError):
    _fail(str(error), error.exit_code)
  if isinstance(error, KeyboardInterrupt):
    _fail('interrupted', 130)
  if isinstance(error, OSError) and error.errno in _NO_SPACE:
    _fail(
      f'no space left to write {error.filename or "the output"}: free some '
      'and run the command again; what was saved before is intact',
      1,
    )
  if isinstance(error, OSError) and error.errno in _BAD_PATH and error.filename:
    _fail(f'{error.filename}: {error.strerror}', 1)


def run(main: Callable[[Sequence[str]], dict[str, Any] | None]) -> None:
  """Parses flags, calls `main` and prints its result as the last line.

  Args:
    main: takes the positional arguments and returns the result, JSON values
      by name, or None on a process that is not to report.
  """
  allocator.keep_freed_memory()

  def call(argv: Sequence[str]) -> None:
    logging.set_verbosity(logging.WARNING)
    try:
      result = main(argv[1:])
      line = None if result is None else json.dumps(result, allow_nan=False)
    except (Exception, KeyboardInterrupt) as error:
      _fail_for_user(error)
      if job := _job():
        traceback.print_exc()
        job.leave(1, f'{type(error).__name__}: {error}')
      raise
    if line is not None:
      print(line, flush=True)

  app.run(call, flags_parser=_parse)
