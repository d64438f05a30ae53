"""Which images of a source are fit for a set, and why the others are not."""

import collections
import concurrent.futures
import dataclasses
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from facejax.data.images import JPEG_MAGIC, decode_image, encode_jpeg
from facejax.errors import DataError
from facejax.preparation.sources import FaceFile, FaceSource

JPEG_QUALITY = 95
_LOOK_AHEAD = 64  # images being checked at once
T = TypeVar('T')
R = TypeVar('R')


@dataclasses.dataclass(frozen=True, slots=True)
class CheckedFile:
  """A file after its check.

  Attributes:
    file: which one.
    num_bytes: of the JPEG that goes into the set; 0 if rejected.
    reencoded: whether that JPEG is not the file itself.
    reason: why it is rejected, empty if it is not.
  """

  file: FaceFile
  num_bytes: int = 0
  reencoded: bool = False
  reason: str = ''


def read_jpeg(
  source: FaceSource, file: FaceFile, image_size: tuple[int, int]
) -> tuple[bytes, bool]:
  """An image as the set will hold it.

  Args:
    source: where it is read from.
    file: which one.
    image_size: (height, width) that it must have, pixels.

  Returns:
    JPEG bytes, those of the file itself if it is a JPEG whatever its name
    says, and whether it had to be encoded anew.

  Raises:
    DataError: unreadable, cut short, no image, or of another size.
  """
  data = source.read(file)
  image = decode_image(data, file.path)
  if image.shape[:2] != tuple(image_size):
    raise DataError(
      f'{file.path}: is {image.shape[1]}x{image.shape[0]} pixels, not '
      f'{image_size[1]}x{image_size[0]}'
    )
  if data.startswith(JPEG_MAGIC):
    return data, False
  return encode_jpeg(image, quality=JPEG_QUALITY), True


def _name_fault(file: FaceFile) -> str:
  """Why a name cannot stand in a label list, or nothing."""
  if file.identity is None:
    return 'lies in no identity folder (IDENTITY/image.jpg)'
  try:
    file.path.encode()
  except UnicodeEncodeError:
    return 'the name is not UTF-8'
  if not file.identity.isprintable() or not file.identity.strip():
    return 'the identity name is blank or has control characters'
  return ''


def check_file(
  source: FaceSource, file: FaceFile, image_size: tuple[int, int]
) -> CheckedFile:
  """Decodes an image and says whether it is fit, never raising for a bad one.

  Args:
    source: where it is read from.
    file: which one.
    image_size: (height, width) that it must have, pixels.
  """
  if fault := _name_fault(file):
    return CheckedFile(file, reason=fault)
  try:
    data, reencoded = read_jpeg(source, file, image_size)
  except DataError as error:
    return CheckedFile(file, reason=str(error).removeprefix(f'{file.path}: '))
  return CheckedFile(file, len(data), reencoded)


def ordered_map(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
  """`map` on threads with a bounded look-ahead, results in order."""
  items = iter(items)
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    pending = collections.deque(
      pool.submit(function, item)
      for item in itertools.islice(items, _LOOK_AHEAD)
    )
    while pending:
      result = pending.popleft().result()
      pending.extend(
        pool.submit(function, item) for item in itertools.islice(items, 1)
      )
      yield result


def printable(name: str) -> str:
  """A file name as JSON and terminals can show it, whatever its bytes."""
  return name.encode(errors='backslashreplace').decode()
