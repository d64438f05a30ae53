"""Aligned crops by name, decoded ahead of the model that embeds them."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facejax import files
from facejax.array_typing import AnyArray, Float, UInt8
from facejax.data.archives import Archive, image_names
from facejax.data.images import JPEG_MAGIC, decode_image, is_complete_jpeg
from facejax.data.preprocessing import CANONICAL_SIZE
from facejax.data.protocols import resolve_names
from facejax.errors import DataError

# uint8 [B, 112, 112, 3] RGB to raw embeddings, float [B, D].
Embed = Callable[[np.ndarray], AnyArray]


def read_crop(archive: Archive, name: str) -> UInt8[np.ndarray, '112 112 3']:
  """Reads one aligned crop, RGB.

  Raises:
    DataError: unreadable, cut short, or of another size.
  """
  data = archive.read(name)
  if data.startswith(JPEG_MAGIC) and not is_complete_jpeg(data):
    raise DataError(f'{name}: the JPEG file is cut short')
  image = decode_image(data, name)
  if image.shape[:2] != CANONICAL_SIZE:
    raise DataError(
      f'{name}: {image.shape[1]}x{image.shape[0]} pixels, where aligned faces '
      'of 112x112 are needed (launch.prepare_data aligns photos)'
    )
  return image


def read_batches(
  read: Callable[[str], UInt8[np.ndarray, '112 112 3']],
  names: Sequence[str],
  *,
  batch_size: int,
) -> Iterator[UInt8[np.ndarray, 'B 112 112 3']]:
  """Yields crops in batches, reading the next one while one is in use.

  Args:
    read: gives the crop of a name; is called from several threads.
    names: of the images, in the order wanted.
    batch_size: images in a batch; the last may have fewer.

  Raises:
    UserError: what `read` raises.
  """
  with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 2)) as pool:
    waiting = None
    for start in range(0, len(names), batch_size):
      batch = [
        pool.submit(read, name) for name in names[start : start + batch_size]
      ]
      if waiting:
        yield np.stack([crop.result() for crop in waiting])
      waiting = batch
    if waiting:
      yield np.stack([crop.result() for crop in waiting])


def read_crops(
  archive: Archive, names: Sequence[str], *, batch_size: int
) -> Iterator[UInt8[np.ndarray, 'B 112 112 3']]:
  """Yields the aligned crops of an archive in batches, as `read_batches`."""
  return read_batches(
    functools.partial(read_crop, archive), names, batch_size=batch_size
  )


def read_pictures(
  archive: Archive, names: Sequence[str], *, where: str
) -> list[bytes]:
  """Encoded images of an archive, under any top folder.

  Raises:
    DataError: an image is missing or cannot be read; names it.
  """
  members = resolve_names(names, image_names(archive), where=where)
  return [archive.read(members[name]) for name in names]


def embed_padded(
  embed: Embed, images: UInt8[np.ndarray, 'B 112 112 3'], batch_size: int
) -> AnyArray:
  """Embeds up to `batch_size` images in a batch of exactly that size.

  One size means one compilation, and it divides over the devices.
  """
  count = len(images)
  if count < batch_size:
    padding = np.zeros((batch_size - count, *images.shape[1:]), np.uint8)
    images = np.concatenate([images, padding])
  return embed(images)[:count]


def mirrored(
  images: UInt8[np.ndarray, 'B H W 3'],
) -> UInt8[np.ndarray, 'B H W 3']:
  """Images with left and right exchanged."""
  return np.ascontiguousarray(images[:, :, ::-1])


def embed_batches(
  embed: Embed,
  batches: Iterable[UInt8[np.ndarray, 'B 112 112 3']],
  *,
  count: int,
  batch_size: int,
  flip: bool,
) -> tuple[Float[np.ndarray, 'N D'], Float[np.ndarray, 'N D'] | None]:
  """Embeds every image once, and its mirror image if wanted.

  The results are put where they belong as they come, so that half a million
  embeddings are in memory once and not twice. A progress bar is shown.

  Args:
    embed: the model, without normalisation.
    batches: of crops; all but the last of `batch_size`.
    count: images in all, at least one.
    batch_size: images in one call of the model.
    flip: whether the mirrored images are embedded too.

  Returns:
    Raw embeddings of the images and of the mirrored ones, float32.
  """
  out: list[np.ndarray] = []
  start = 0
  for images in files.progress(
    batches, desc='embedding', unit='batch', total=-(-count // batch_size)
  ):
    views = (images, mirrored(images)) if flip else (images,)
    found = [np.asarray(embed_padded(embed, x, batch_size)) for x in views]
    if not out:
      out = [np.empty((count, x.shape[1]), np.float32) for x in found]
    for target, x in zip(out, found, strict=True):
      target[start : start + len(x)] = x
    start += len(images)
  return out[0], out[1] if flip else None
