"""Aligned crops by name, decoded ahead of the model that embeds them."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facejax.array_typing import AnyArray, UInt8
from facejax.data.archives import Archive
from facejax.data.images import JPEG_MAGIC, decode_image, is_complete_jpeg
from facejax.data.preprocessing import CANONICAL_SIZE
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


def read_crops(
  archive: Archive, names: Sequence[str], *, batch_size: int
) -> Iterator[UInt8[np.ndarray, 'B 112 112 3']]:
  """Yields crops in batches, decoding the next one while one is in use."""
  with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 2)) as pool:
    waiting = None
    for start in range(0, len(names), batch_size):
      batch = [
        pool.submit(read_crop, archive, name)
        for name in names[start : start + batch_size]
      ]
      if waiting:
        yield np.stack([crop.result() for crop in waiting])
      waiting = batch
    if waiting:
      yield np.stack([crop.result() for crop in waiting])


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
