"""The shards and the manifest of a prepared set."""

import collections
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from facejax import files
from facejax.data import builders, records
from facejax.files import Path
from facejax.preparation import checks
from facejax.preparation.checks import CheckedFile
from facejax.preparation.sources import FaceSource

# tensorflow-datasets keeps one shard in memory while it writes it.
_SHARD_BYTES = 1 << 26


def _unique_keys(good: Iterable[CheckedFile]) -> Iterator[str]:
  """Keys of the records; a name that two inputs share gets a number."""
  seen: collections.Counter[str] = collections.Counter()
  for checked in good:
    key = checked.file.key
    seen[key] += 1
    yield key if seen[key] == 1 else f'{key}#{seen[key]}'


def shard_lengths(num_bytes: Sequence[int]) -> list[int]:
  """Records of each shard: equal counts, on average at most 64 MB.

  Args:
    num_bytes: of every image, in order; not empty.
  """
  num_shards = -(-sum(num_bytes) // _SHARD_BYTES)
  ends = [len(num_bytes) * i // num_shards for i in range(num_shards + 1)]
  return [stop - start for start, stop in itertools.pairwise(ends)]


def _identities(good: Iterable[CheckedFile]) -> list[str]:
  return sorted({checked.file.identity for checked in good})


def write(
  directory: Path,
  source: FaceSource,
  good: Sequence[CheckedFile],
  *,
  image_size: tuple[int, int],
) -> list[tuple[str, int]]:
  """Copies the checked images into shards, in the order given.

  Args:
    directory: an existing folder.
    source: of the images.
    good: what the set is to hold, sorted by identity.
    image_size: (height, width) of every image, pixels.

  Returns:
    (file name, number of records) of every shard in reading order.

  Raises:
    DataError: a file changed since it was checked, or the disk is full.
  """
  identities = _identities(good)
  label_of = {name: label for label, name in enumerate(identities)}
  read = functools.partial(checks.read_jpeg, source, image_size=image_size)
  images = checks.ordered_map(read, [checked.file for checked in good])
  examples = (
    {'image': image, 'label': label_of[checked.file.identity], 'key': key}
    for (image, _), checked, key in zip(
      images, good, _unique_keys(good), strict=True
    )
  )
  # The shards are generated one after the other, so one stream feeds them all.
  stream = iter(
    enumerate(
      files.progress(examples, desc='writing', total=len(good), unit='img')
    )
  )
  lengths = shard_lengths([checked.num_bytes for checked in good])
  names = builders.write_shards(
    directory,
    identities=identities,
    shards=[
      functools.partial(itertools.islice, stream, length) for length in lengths
    ],
    image_size=image_size,
  )
  next(stream, None)  # lets the progress bar finish
  return list(zip(names, lengths, strict=True))


def describe_shards(
  directory: Path, shards: Iterable[tuple[str, int]]
) -> list[dict[str, Any]]:
  """Name, record count, bytes and SHA-256 of every shard."""
  return [
    {
      'name': name,
      'num_records': count,
      'bytes': (directory / name).stat().length,
      'sha256': files.checksum(directory / name),
    }
    for name, count in shards
  ]


def make_manifest(
  source: FaceSource,
  good: Sequence[CheckedFile],
  rejected: Sequence[CheckedFile],
  *,
  image_size: tuple[int, int],
  min_images: int,
) -> dict[str, Any]:
  """What a set holds, what it does not and why; the shards come on top.

  Args:
    source: of the images.
    good: what the set holds, in order.
    rejected: what it does not hold, each with its reason.
    image_size: (height, width), pixels.
    min_images: the fewest images that an identity may have.
  """
  identities = _identities(good)
  counts = collections.Counter(checked.file.identity for checked in good)
  return {
    'format_version': records.FORMAT_VERSION,
    'num_images': len(good),
    'num_identities': len(identities),
    'num_rejected': len(rejected),
    'num_reencoded': sum(checked.reencoded for checked in good),
    'num_ignored': source.num_ignored,
    'bytes': sum(checked.num_bytes for checked in good),
    'image_size': list(image_size),
    'min_images': min_images,
    'sources': source.names,
    'identities_checksum': records.identities_checksum(identities),
    'identities': {name: counts[name] for name in identities},
    'rejected': [
      {
        'file': checks.printable(checked.file.path),
        'source': source.names[checked.file.source],
        'reason': checks.printable(checked.reason),
      }
      for checked in rejected
    ],
  }
