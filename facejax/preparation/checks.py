"""Which images of a source are fit for a set, and why the others are not."""

import collections
import concurrent.futures
import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from facejax.data.images import JPEG_MAGIC, decode_image, encode_jpeg
from facejax.errors import DataError
from facejax.preparation.aligners import Aligner
from facejax.preparation.sources import FaceSource

JPEG_QUALITY = 95
_CHUNK = 16  # images that a thread checks at a time
_LOOK_AHEAD = 4  # chunks for every thread
_ALIGNED_AT_ONCE = 1 << 27  # bytes of decoded photos
T = TypeVar('T')
R = TypeVar('R')


@dataclasses.dataclass(frozen=True, slots=True)
class CheckedImage:
  """An image after its check.

  Attributes:
    item: its number in the source.
    jpeg: the file that goes into the set, empty if it is rejected.
    reencoded: whether that is not the file as it was found.
    fallback: whether no face was found and the middle was cut out instead.
    reason: why it is rejected, empty if it is not.
  """

  item: int
  jpeg: bytes = b''
  reencoded: bool = False
  fallback: bool = False
  reason: str = ''


def identity_fault(name: str) -> str:
  """Why a name cannot stand in a list of labels, or nothing."""
  try:
    name.encode()
  except UnicodeEncodeError:
    return 'the name of the identity is not UTF-8'
  if not name.isprintable() or not name.strip():
    return 'the name of the identity is blank or has control characters'
  return ''


def _check_crop(
  source: FaceSource, item: int, image_size: tuple[int, int]
) -> CheckedImage:
  """An image that is a crop already: its own bytes, if they are a JPEG."""
  path = source.path(item)
  try:
    path.encode()
    data = source.read(item)
    image = decode_image(data, path)
  except UnicodeEncodeError:
    return CheckedImage(item, reason='the name is not UTF-8')
  except DataError as error:
    return CheckedImage(item, reason=str(error).removeprefix(f'{path}: '))
  height, width = image.shape[:2]
  if (height, width) != image_size:
    reason = f'is {width}x{height} pixels, not {image_size[1]}x{image_size[0]}'
    return CheckedImage(item, reason=reason)
  if data.startswith(JPEG_MAGIC):
    return CheckedImage(item, data)
  return CheckedImage(item, encode_jpeg(image, quality=JPEG_QUALITY), True)


def _photos(
  source: FaceSource, items: Iterable[int]
) -> Iterator[list[tuple[int, str, np.ndarray | None, str]]]:
  """Decoded photos (item, path, pixels, reason), as many as memory allows."""
  group, size = [], 0
  for item in items:
    path, photo, reason = source.path(item), None, ''
    try:
      path.encode()
      photo = decode_image(source.read(item), path)
    except UnicodeEncodeError:
      reason = 'the name is not UTF-8'
    except DataError as error:
      reason = str(error).removeprefix(f'{path}: ')
    else:
      size += photo.nbytes
    group.append((item, path, photo, reason))
    if size >= _ALIGNED_AT_ONCE:
      yield group
      group, size = [], 0
  yield group


def _align(
  source: FaceSource, items: Iterable[int], aligner: Aligner
) -> Iterator[CheckedImage]:
  """Images that are photos: the face is found and cut out."""
  for group in _photos(source, items):
    found = [(photo, path) for _, path, photo, _ in group if photo is not None]
    aligned = iter(aligner.align([p for p, _ in found], [n for _, n in found]))
    for item, _, photo, reason in group:
      if photo is None:
        yield CheckedImage(item, reason=reason)
        continue
      face = next(aligned)
      if face.crop is None:
        yield CheckedImage(item, reason=face.reason)
      else:
        jpeg = encode_jpeg(face.crop, quality=JPEG_QUALITY)
        yield CheckedImage(item, jpeg, True, face.fallback)


def check_images(
  source: FaceSource,
  items: Iterable[int],
  *,
  image_size: tuple[int, int],
  aligner: Aligner | None = None,
) -> Iterator[CheckedImage]:
  """Reads, decodes and, with an aligner, aligns images; on threads, in order.

  Args:
    source: where they are read from.
    items: which ones; read a little ahead of the results.
    image_size: (height, width) that a crop must have, pixels.
    aligner: cuts crops from photos; without one the images are the crops.

  Yields:
    One result an item; a bad image is a result with a reason, no error.
  """
  if aligner is None:
    crop = functools.partial(_check_crop, source, image_size=tuple(image_size))

    def check(chunk: Sequence[int]) -> list[CheckedImage]:
      return [crop(item) for item in chunk]
  else:

    def check(chunk: Sequence[int]) -> list[CheckedImage]:
      return list(_align(source, chunk, aligner))

  size = _CHUNK if aligner is None else aligner.batch_size
  items = iter(items)
  chunks = iter(lambda: list(itertools.islice(items, size)), [])
  for results in ordered_map(check, chunks):
    yield from results


def ordered_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
  """`map` on threads with a bounded look-ahead, results in order."""
  items = iter(items)
  threads = os.cpu_count() or 1
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    pending = collections.deque(
      pool.submit(function, item)
      for item in itertools.islice(items, threads * _LOOK_AHEAD)
    )
    try:
      while pending:
        result = pending.popleft().result()
        pending.extend(
          pool.submit(function, item) for item in itertools.islice(items, 1)
        )
        yield result
    finally:
      pool.shutdown(wait=True, cancel_futures=True)
