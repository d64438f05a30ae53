"""Runs a launch script: flags, errors as one line, the result as JSON.

Exit codes: 0 done; 1 the input cannot be used; 2 the command was asked for
wrongly; 130 interrupted. Any other exception is a defect and keeps its
traceback.
"""

import errno
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import app, flags, logging

from facejax.errors import UserError

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _fail(message: str, code: int) -> None:
  """One line on stderr, then the exit code."""
  print('error: ' + ' '.join(str(message).split()), file=sys.stderr)
  sys.exit(code)


def _parse(argv: Sequence[str]) -> list[str]:
  """Parses flags; a bad one, or a bad config, is one line and exit code 2."""
  try:
    rest = flags.FLAGS(list(argv))
  except flags.Error as error:
    _fail(f'{error} (--help lists the flags)', 2)
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    _fail(f'--config: {error}', 2)
  except OSError as error:
    _fail(f'--config: {error.filename}: {error.strerror}', 2)
  except SystemExit as error:
    # absl prints the help and exits with 1; asking for help is no error.
    sys.exit(0 if any(a.lstrip('-').startswith('help') for a in argv)
             else error.code)
  return rest


def run(main: Callable[[Sequence[str]], dict[str, Any] | None]) -> None:
  """Parses flags, calls `main` and prints its result as the last line.

  Args:
    main: takes the positional arguments and returns the result, JSON values
      by name, or None on a process that is not to report.
  """

  def call(argv: Sequence[str]) -> None:
    logging.set_verbosity(logging.WARNING)
    try:
      result = main(argv[1:])
    except UserError as error:
      _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
      _fail('interrupted', 130)
    except OSError as error:
      if error.errno not in _NO_SPACE:
        raise
      _fail(
        f'no space left to write {error.filename or "the output"}: free some '
        'and run the command again; what was saved before is intact', 1
      )
    if result is not None:
      print(json.dumps(result, allow_nan=False), flush=True)

  app.run(call, flags_parser=_parse)
