"""Paths (local and gs://), atomic writes, checksums and progress."""

import contextlib
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from etils import epath
from tqdm import auto as tqdm_auto

from facejax.errors import DataError, UsageError

Path = epath.Path
PathLike = epath.PathLike
T = TypeVar('T')


def cache_directory() -> Path:
  """Where what can be made again is kept: $FACEJAX_CACHE, or the user's cache.

  It holds converted weights of MTCNN and compiled kernels of the search.
  """
  if folder := os.environ.get('FACEJAX_CACHE'):
    return Path(folder)
  base = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return Path(os.path.expanduser(base)) / 'facejax'


def _sibling(path: Path) -> Path:
  """A name beside `path` that no other writer uses."""
  return path.parent / f'.{path.name}.{uuid.uuid4().hex[:8]}.tmp'


def write_bytes(path: PathLike, data: bytes) -> None:
  """Writes a file so that readers see the old content or all of the new."""
  path = Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = _sibling(path)
  try:
    temporary.write_bytes(data)
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)


def write_json(path: PathLike, value: Any) -> None:
  """Writes `value` as indented JSON, atomically."""
  write_bytes(path, (json.dumps(value, indent=2) + '\n').encode())


def read_json(path: PathLike) -> Any:
  """Reads a JSON file.

  Raises:
    DataError: the file is missing or is not JSON.
  """
  path = Path(path)
  try:
    return json.loads(path.read_text())
  except FileNotFoundError:
    raise DataError(f'{path} does not exist') from None
  except (json.JSONDecodeError, UnicodeDecodeError) as error:
    raise DataError(f'{path} is not valid JSON: {error}') from None


def check_new_directory(path: PathLike, *, overwrite: bool = False) -> None:
  """Refuses a place where `new_directory` would, before the work is done.

  Raises:
    UsageError: `path` has content and `overwrite` is False, or is a file.
  """
  path = Path(path)
  if path.exists() and not path.is_dir():
    raise UsageError(f'{path} is a file: choose another folder')
  if path.exists() and not overwrite and any(path.iterdir()):
    raise UsageError(f'{path} already exists: choose another folder')


@contextlib.contextmanager
def new_directory(path: PathLike, *, overwrite: bool = False) -> Iterator[Path]:
  """Yields a directory that becomes `path` only if the block succeeds.

  Args:
    path: the final place; its parent is created.
    overwrite: whether a directory that is already there is replaced, at the
      very end; otherwise one with content is refused. A file always is.

  Yields:
    An empty directory beside `path`. If the block raises, it is removed and
    what stood at `path` is untouched.

  Raises:
    UsageError: `path` has content and `overwrite` is False, or is a file.
  """
  path = Path(path)
  check_new_directory(path, overwrite=overwrite)
  temporary = _sibling(path)
  temporary.mkdir(parents=True)
  try:
    yield temporary
    put_directory(temporary, path)
  finally:
    if temporary.exists():
      temporary.rmtree()


def put_directory(new: Path, path: Path) -> None:
  """Renames a directory to `path`, replacing what stands there.

  On failure what stood at `path` stays.
  """
  if not path.exists():
    new.rename(path)
    return
  old = _sibling(path)
  path.rename(old)
  try:
    new.rename(path)
  except BaseException:
    old.rename(path)
    raise
  old.rmtree()


def checksum(path: PathLike) -> str:
  """SHA-256 of a file's bytes, in hex; reads a megabyte at a time."""
  digest = hashlib.sha256()
  with Path(path).open('rb') as file:
    while block := file.read(1 << 20):
      digest.update(block)
  return digest.hexdigest()


def directory_bytes(path: PathLike) -> int:
  """Bytes of all files below a local directory."""
  return sum(
    os.path.getsize(os.path.join(folder, name))
    for folder, _, names in os.walk(path)
    for name in names
  )


def note(text: str) -> None:
  """A line on stderr that leaves a progress bar whole."""
  tqdm_auto.tqdm.write(text, file=sys.stderr)


def progress(
  items: Iterable[T],
  *,
  desc: str,
  total: int | None = None,
  initial: int = 0,
  unit: str = 'it',
  delay: float | int = 0,
  shown: bool = True,
) -> Iterable[T]:
  """Wraps an iterable in a progress bar on stderr with rate and time left.

  Args:
    items: to pass on.
    desc: what is being done.
    total: number of items, if it is known.
    initial: items done before, when work goes on.
    unit: what an item is called.
    delay: seconds within which work that is done shows no bar.
    shown: False for all but the first process of a job.
  """
  return tqdm_auto.tqdm(
    items,
    desc=desc,
    total=total,
    initial=initial,
    unit=unit,
    file=sys.stderr,
    delay=delay,
    mininterval=0.5 if sys.stderr.isatty() else 10.0,
    dynamic_ncols=True,
    # Where it is shown, TQDM_DISABLE still counts.
    **({} if shown else {'disable': True}),
  )
