"""Lists of identities and files to leave out of a set."""

import collections
import re
from collections.abc import Iterable

from facejax.errors import DataError
from facejax.files import Path, PathLike


class Exclusion:
  """Which files to leave out, and which entries of the list found any.

  An entry without '/' is the name of an identity; one with '/' is a file: its
  whole path in the input, or any end of it from the identity on.
  """

  def __init__(self, entries: Iterable[str] = ()):
    self.counts = collections.Counter(dict.fromkeys(entries, 0))

  def excludes(self, identity: str, path: str) -> bool:
    """Whether to leave out a file, and counts it for the entry that says so.

    Args:
      identity: name of the file's identity.
      path: of the file in its input, '/'-separated.
    """
    starts = [0] + [match.end() for match in re.finditer('/', path)]
    ends = [path[start:] for start in starts[:-1]]
    hits = [e for e in [identity, *ends] if e in self.counts]
    self.counts.update(hits)
    return bool(hits)

  @property
  def unmatched(self) -> list[str]:
    """Entries that have matched nothing so far."""
    return [entry for entry, count in self.counts.items() if not count]


def read_exclusion(path: PathLike) -> Exclusion:
  """Reads a list: one entry a line; blank lines and # comments are skipped.

  Raises:
    DataError: the file is missing, a folder or no text.
  """
  path = Path(path)
  if not path.is_file():
    raise DataError(f'{path} is not a file: give a list of names, one a line')
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except UnicodeDecodeError:
    raise DataError(f'{path} is not UTF-8 text') from None
  lines = (line.strip() for line in text.splitlines())
  return Exclusion(
    line.strip('/') for line in lines if line and not line.startswith('#')
  )
