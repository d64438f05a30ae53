"""Lists of identities and files to leave out of a set."""

import collections
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from facejax.errors import DataError
from facejax.files import Path, PathLike


class Exclusion:
  """Which files to leave out, and which entries of the list found any.

  An entry without '/' is the name of an identity; one with '/' is a file: its
  whole path in the input, any end of it, or IDENTITY/file, as reports and
  prepared sets call it.
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
    names = {path[start:] for start in starts[:-1]}
    names |= {identity, f'{identity}/{path[starts[-1] :]}'}
    hits = sorted(name for name in names if name in self.counts)
    self.counts.update(hits)
    return bool(hits)

  @property
  def unmatched(self) -> list[str]:
    """Entries that have matched nothing so far."""
    return [entry for entry, count in self.counts.items() if not count]


def read_exclusion(paths: Sequence[PathLike]) -> Exclusion:
  """Reads lists: one entry a line; blank lines and # comments are skipped.

  Raises:
    DataError: a file is missing, a folder or no text.
  """
  return Exclusion(itertools.chain.from_iterable(map(_entries, paths)))


def _entries(path: PathLike) -> Iterator[str]:
  path = Path(path)
  if not path.is_file():
    raise DataError(f'{path} is not a file: give a list of names, one a line')
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except UnicodeDecodeError:
    raise DataError(f'{path} is not UTF-8 text') from None
  lines = (line.strip() for line in text.splitlines())
  return (
    line.strip('/') for line in lines if line and not line.startswith('#')
  )
