"""Damage to aligned crops, the same at every run.

What cameras, networks and the world do to a probe: blur, compression, few
pixels, wrong exposure, things in front of the face. Every kind takes and gives
uint8 crops; more of it never undoes some of it.
"""

import dataclasses
import os
import zlib
from collections.abc import Callable, Mapping

import cv2
import numpy as np

from facejax.array_typing import Float, UInt8
from facejax.data.images import decode_checked, encode_jpeg

Image = UInt8[np.ndarray, 'H W 3']
Number = float | int
# (crop, level, two uniform numbers of [0, 1) that choose a place)
Change = Callable[[Image, Number, Float[np.ndarray, ' 2']], Image]

_GRAY = 128


@dataclasses.dataclass(frozen=True)
class Damage:
  """A kind of damage.

  Attributes:
    title: 'Gaussian blur'.
    unit: what a level says.
    levels: rising, those that are measured.
    neutral: the level that changes nothing; None if there is none.
    change: damages a crop.
  """

  title: str
  unit: str
  levels: tuple[Number, ...]
  neutral: Number | None
  change: Change


def _blur(image: Image, sigma: Number, draws: np.ndarray) -> Image:
  """Gaussian blur, the pixels of the edge repeated outside."""
  del draws
  size = 2 * round(3 * sigma) + 1
  return cv2.GaussianBlur(
    image, (size, size), sigma, borderType=cv2.BORDER_REPLICATE
  )


def _jpeg(image: Image, quality: Number, draws: np.ndarray) -> Image:
  """A JPEG file of libjpeg's quality, with colours at half the resolution."""
  del draws
  return decode_checked(encode_jpeg(image, quality=int(quality)), 'JPEG')


def _downsample(image: Image, factor: Number, draws: np.ndarray) -> Image:
  """Means of areas, and cubic interpolation back to the size there was."""
  del draws
  height, width = image.shape[:2]
  small = cv2.resize(
    image,
    (max(1, round(width / factor)), max(1, round(height / factor))),
    interpolation=cv2.INTER_AREA,
  )
  return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def _brightness(image: Image, factor: Number, draws: np.ndarray) -> Image:
  """Values of sRGB as they are stored times a factor, cut off at 255."""
  del draws
  levels = np.clip(np.rint(np.arange(256) * factor), 0, 255)
  return cv2.LUT(image, levels.astype(np.uint8))


def _occlusion(image: Image, share: Number, draws: np.ndarray) -> Image:
  """A gray square over a share of the crop, wholly inside of it.

  With the same draws a larger square covers a smaller one.
  """
  height, width = image.shape[:2]
  side = min(height, width, round((share * height * width) ** 0.5))
  top = int(draws[0] * (height - side + 1))
  left = int(draws[1] * (width - side + 1))
  image = image.copy()
  image[top : top + side, left : left + side] = _GRAY
  return image


def _mask(image: Image, share: Number, draws: np.ndarray) -> Image:
  """The lowest rows of the crop in gray, as by a scarf or a mask."""
  del draws
  image = image.copy()
  image[image.shape[0] - round(share * image.shape[0]) :] = _GRAY
  return image


DAMAGES: Mapping[str, Damage] = {
  'blur': Damage(
    'Gaussian blur',
    'sigma, pixels of the 112 x 112 crop',
    (0.5, 1, 1.5, 2, 3, 4),
    0,
    _blur,
  ),
  'jpeg': Damage(
    'JPEG compression', 'quality', (5, 10, 20, 30, 50, 75), None, _jpeg
  ),
  'downsample': Damage(
    'down-sampling', 'factor', (2, 3, 4, 6, 8), 1, _downsample
  ),
  'brightness': Damage(
    'brightness',
    'factor of the sRGB values',
    (0.1, 0.25, 0.5, 1.5, 2, 3),
    1,
    _brightness,
  ),
  'occlusion': Damage(
    'gray square',
    'share of the crop',
    (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
    0,
    _occlusion,
  ),
  # Mouth, then nose, then all below the eyes of the 112 x 112 template.
  'mask': Damage(
    'gray lower face',
    'share of the height',
    (0.1, 0.2, 0.3, 0.4, 0.5),
    0,
    _mask,
  ),
}


def places(name: str, *, seed: int = 0) -> Float[np.ndarray, ' 2']:
  """The draws of an image, the same wherever it stands in a list.

  Args:
    name: of the image.
    seed: gives every image another place.
  """
  key = zlib.crc32(os.fsencode(name))
  return np.random.default_rng([seed, key]).random(2)


def damage(
  image: UInt8[np.ndarray, 'H W 3'],
  kind: str,
  level: Number,
  *,
  name: str = '',
  seed: int = 0,
) -> UInt8[np.ndarray, 'H W 3']:
  """A damaged copy of a crop.

  Args:
    image: RGB, left as it is.
    kind: a name of DAMAGES.
    level: how much, in the unit of the kind.
    name: of the image, which with `seed` decides where a square lies.
    seed: of the places.

  Returns:
    The damaged crop, or `image` itself at the level that changes nothing.
  """
  chosen = DAMAGES[kind]
  if level == chosen.neutral:
    return image
  return chosen.change(image, level, places(name, seed=seed))
