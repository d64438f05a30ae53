"""A set while it is being written, which an interruption does not lose.

It stands in a hidden folder beside its final place: shards, and files that
only grow. Whenever a shard is full, the lengths of those files and the place
reached in the source are saved; whoever finds the folder cuts the files back
to these lengths and goes on from there.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from facejax import files
from facejax.data import records
from facejax.data.manifest import IDENTITIES, IDENTITY_SIZES
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike
from facejax.preparation.writing import ShardWriter

_SHARD_BYTES = 1 << 26
_PROGRESS = 'progress.json'
_LOCK = 'lock'
_DIGEST_BYTES = 8

REJECTED = 'rejected.tsv'
_REJECTED_HEADER = b'input\tfile\treason\n'
DIGESTS = 'digests.bin'  # eight bytes of a hash of every image
_SIZES = 'sizes.bin'  # int32, images of every identity
_LOGS = (IDENTITIES, _SIZES, DIGESTS, REJECTED)


def _shard_name(index: int) -> str:
  return f'shard-{index:05d}'


class SetDraft:
  """Takes the images of one identity after the other.

  Invariants: labels count the identities with images from 0; all records of
  an identity stand in one shard.

  Attributes:
    next_place: the place in the order of the source to go on from.
    totals: num_images, bytes, num_rejected and the like, by name.
    shards: name, num_records, bytes and SHA-256 of those that are full.
  """

  def __init__(self, directory: Path, request: str):
    """Starts a draft, or goes on with one of the same request.

    Args:
      directory: an existing local folder; of another draft it is emptied.
      request: tells one preparation from another.
    """
    self.directory = directory
    self._request = request
    self.next_place = 0
    self.totals: dict[str, int] = {}
    self.shards: list[dict[str, Any]] = []
    self._shard: ShardWriter | None = None
    self._num_identities = 0
    lengths = self._resume() or self._start()
    self._logs = {
      name: open(self.directory / name, 'ab')  # noqa: SIM115 closed by close()
      for name in _LOGS
    }
    for name, log in self._logs.items():
      log.truncate(lengths[name])
    if not lengths[REJECTED]:
      self._logs[REJECTED].write(_REJECTED_HEADER)

  def _start(self) -> dict[str, int]:
    for path in self.directory.iterdir():
      if path.name != _LOCK:
        path.rmtree() if path.is_dir() else path.unlink()
    return dict.fromkeys(_LOGS, 0)

  def _resume(self) -> dict[str, int] | None:
    """Lengths of the files of a draft that can go on."""
    progress = _read_progress(self.directory)
    if progress is None:
      return None
    for path in self.directory.glob('*.array_record-*-of-*'):
      index = int(path.name.split('-')[-3])
      path.rename(self.directory / _shard_name(index))
    sizes = {
      path.name: path.stat().length
      for path in self.directory.iterdir()
      if not path.is_dir()
    }
    whole = all(
      sizes.get(shard['name']) == shard['bytes'] for shard in progress['shards']
    ) and all(
      sizes.get(name, -1) >= length
      for name, length in progress['lengths'].items()
    )
    if progress['request'] != self._request or not whole:
      files.note('what an earlier run left does not fit and is done anew')
      return None
    self.next_place = progress['next_place']
    self.totals = progress['totals']
    self.shards = progress['shards']
    self._num_identities = progress['num_identities']
    files.note(
      f'going on after {self.totals.get("num_images", 0)} images that an '
      'earlier run has written'
    )
    return progress['lengths']

  def count(self, name: str, number: int = 1) -> None:
    """Adds to one of the totals."""
    self.totals[name] = self.totals.get(name, 0) + number

  def begin_identity(self, name: str) -> None:
    """The images that follow are of another person, who gets a label."""
    self._logs[IDENTITIES].write(f'{name}\n'.encode())
    self._num_identities += 1
    self._identity_size = 0

  def add_image(self, image: bytes, key: str) -> None:
    """Writes a JPEG file of the person who was begun last.

    Raises:
      DataError: the disk is full.
    """
    if self._shard is None:
      name = _shard_name(len(self.shards))
      self._shard = ShardWriter(self.directory / name)
    label = self._num_identities - 1
    self._shard.write(records.encode_record(image, label=label, key=key))
    digest = hashlib.blake2b(image, digest_size=_DIGEST_BYTES).digest()
    self._logs[DIGESTS].write(digest)
    self._identity_size += 1
    self.count('num_images')
    self.count('bytes', len(image))

  def end_identity(self) -> None:
    """All images of the person have been given."""
    self._logs[_SIZES].write(np.int32(self._identity_size).tobytes())

  def reject(self, where: str, path: str, reason: str) -> None:
    """Puts an image on the list of those that the set does not hold."""
    line = '\t'.join(map(printable, (where, path, reason)))
    self._logs[REJECTED].write(f'{line}\n'.encode())
    self.count('num_rejected')

  def reached(self, place: int) -> None:
    """Between two people: all before `place` of the source is dealt with."""
    self.next_place = place
    if self._shard and self._shard.num_bytes >= _SHARD_BYTES:
      self._save()

  def _save(self) -> None:
    """Closes the shard and keeps all that came until now."""
    if self._shard:
      self.shards.append(self._shard.close())
      self._shard = None
    if not self.shards:
      return
    for log in self._logs.values():
      log.flush()
      os.fsync(log.fileno())
    files.write_json(
      self.directory / _PROGRESS,
      {
        'request': self._request,
        'next_place': self.next_place,
        'num_identities': self._num_identities,
        'totals': self.totals,
        'lengths': {name: log.tell() for name, log in self._logs.items()},
        'shards': self.shards,
      },
    )

  def finish(self) -> None:
    """Closes the last shard; only `directory` and `shards` are of use then."""
    self._save()
    self.close()
    sizes = np.fromfile(self.directory / _SIZES, np.int32)
    np.save(self.directory / IDENTITY_SIZES, sizes)

  def close(self) -> None:
    """Lets go of the files, whatever state they are in."""
    for log in self._logs.values():
      log.close()


def _read_progress(directory: Path) -> dict[str, Any] | None:
  """What a draft says about itself, None where that is nothing of use."""
  try:
    return files.read_json(directory / _PROGRESS)
  except DataError:
    return None


def rename_shards(draft: SetDraft, dataset: str, split: str) -> None:
  """Gives the shards the names by which tensorflow-datasets finds them."""
  count = len(draft.shards)
  for index, shard in enumerate(draft.shards):
    name = f'{dataset}-{split}.array_record-{index:05d}-of-{count:05d}'
    (draft.directory / shard['name']).rename(draft.directory / name)
    shard['name'] = name


def remove_traces(directory: Path) -> None:
  """Deletes what only a draft needs."""
  for name in (_PROGRESS, _SIZES, DIGESTS, REJECTED, _LOCK):
    (directory / name).unlink(missing_ok=True)


def printable(name: str) -> str:
  """A file name as lists and terminals can show it, whatever its bytes."""
  name = name.encode(errors='backslashreplace').decode()
  return ''.join(c if c.isprintable() else repr(c)[1:-1] for c in name)


@contextlib.contextmanager
def draft_directory(output: PathLike) -> Iterator[Path]:
  """Yields the hidden folder beside `output` in which its draft stands.

  It becomes `output` if the block succeeds. If not, it is kept as soon as it
  holds a full shard, for the same command to go on with. `output` itself, old
  or absent, is untouched until the end.

  Raises:
    UsageError: another process is at work on it.
  """
  output = Path(output)
  directory = output.parent / f'.{output.name}.partial'
  directory.mkdir(parents=True, exist_ok=True)
  with open(directory / _LOCK, 'w') as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise UsageError(
        f'another process is preparing {output}: wait for it or choose another '
        'folder'
      ) from None
    try:
      yield directory
      files.put_directory(directory, output)
    except BaseException:
      if (directory / _PROGRESS).exists():
        files.note(f'{directory} holds what is done: run the command again')
      else:
        shutil.rmtree(directory, ignore_errors=True)
      raise
  remove_traces(output)  # not before: until here the draft can be gone on with
