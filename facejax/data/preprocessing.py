"""The preprocessing contract between an aligned crop and a model.

Faces are stored and exchanged as 112 x 112 RGB crops aligned to the template
of spec 1.2. A model sees a centre crop of that, resized to its input, with
normalised pixels; some models see it grey. The contract travels in
`model.json`.
"""

import dataclasses
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from facejax.array_typing import Array, Float, UInt8
from facejax.errors import DataError

CANONICAL_SIZE = (112, 112)
COLOR_ORDERS = ('RGB', 'BGR', 'GRAY')
# Of red, green and blue in a grey pixel (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)
# Left eye, right eye, nose, left and right mouth corner (x, y), image left
# first, on the 112 x 112 crop (spec 1.2).
TEMPLATE_112 = (
  (38.2946, 51.6963),
  (73.5318, 51.5014),
  (56.0252, 71.7366),
  (41.5493, 92.3655),
  (70.7299, 92.2041),
)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
  """How an aligned 112 x 112 crop becomes a model's input.

  Attributes:
    image_size: (height, width) of the model's input, pixels.
    crop: (height, width) cut from the centre of the crop before resizing:
      (112, 112) keeps all, (112, 96) cuts columns 8 to 103, (96, 96) cuts 8
      pixels from every side (spec 1.2).
    mean: subtracted from every pixel value of 0 .. 255.
    scale: divides afterwards (spec 1.4: 128 in the papers).
    color_order: 'RGB' or 'BGR', the order the model was trained with, or
      'GRAY' for one channel, 0.299 R + 0.587 G + 0.114 B. That is what Light
      CNN's authors read images as, but not rounded to whole grey levels.
  """

  image_size: tuple[int, int] = CANONICAL_SIZE
  crop: tuple[int, int] = CANONICAL_SIZE
  mean: float | int = 127.5
  scale: float | int = 128.0
  color_order: str = 'RGB'

  def __post_init__(self):
    object.__setattr__(self, 'image_size', tuple(self.image_size))
    object.__setattr__(self, 'crop', tuple(self.crop))
    if any(c > full for c, full in zip(self.crop, CANONICAL_SIZE, strict=True)):
      raise DataError(f'the crop {self.crop} is larger than {CANONICAL_SIZE}')
    if self.color_order not in COLOR_ORDERS:
      raise DataError(
        f'color_order {self.color_order!r}: use one of '
        f'{", ".join(COLOR_ORDERS)}'
      )

  @property
  def image_channels(self) -> int:
    """Channels of the model's input."""
    return 1 if self.color_order == 'GRAY' else 3

  def to_json(self) -> dict[str, Any]:
    """The contract as JSON values, the template included."""
    return dataclasses.asdict(self) | {
      'template': [list(point) for point in TEMPLATE_112]
    }

  @classmethod
  def from_json(cls, value: dict[str, Any]) -> 'Preprocessing':
    """Inverse of `to_json`.

    Raises:
      DataError: another landmark template than ours, or unknown fields.
    """
    value = dict(value)
    template = value.pop('template', TEMPLATE_112)
    if np.shape(template) != np.shape(TEMPLATE_112) or not np.allclose(
      template, TEMPLATE_112
    ):
      raise DataError(f'unknown landmark template {template}')
    names = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(set(value) - names):
      raise DataError(f'unknown preprocessing fields {", ".join(unknown)}')
    sizes = {k: tuple(value[k]) for k in ('image_size', 'crop') if k in value}
    return cls(**value | sizes)


def _margins(preprocessing: Preprocessing) -> tuple[int, int]:
  """First row and column of the centre crop."""
  return tuple(
    (full - part) // 2
    for full, part in zip(CANONICAL_SIZE, preprocessing.crop, strict=True)
  )


def fit_crop(
  image: UInt8[np.ndarray, '112 112 3'], preprocessing: Preprocessing
) -> UInt8[np.ndarray, 'H W 3']:
  """Crops and resizes one crop on the host, as the training pipeline does.

  An axis that shrinks is averaged over areas; one that grows is interpolated
  linearly between pixel centres, the outermost pixels going on to the edge.
  """
  top, left = _margins(preprocessing)
  height, width = preprocessing.crop
  image = image[top : top + height, left : left + width]
  rows, columns = preprocessing.image_size
  smaller = (min(rows, height), min(columns, width))
  # INTER_AREA means something else to OpenCV as soon as one axis grows.
  for size, interpolation in (
    (smaller, cv2.INTER_AREA),
    (preprocessing.image_size, cv2.INTER_LINEAR),
  ):
    if image.shape[:2] != size:
      image = cv2.resize(image, size[::-1], interpolation=interpolation)
  return np.ascontiguousarray(image)


def _resizing_weights(size: int, new_size: int) -> np.ndarray:
  """Weights [new_size, size] of `fit_crop`'s resizing; rows sum to one."""
  pixel = np.arange(size)[None]
  if new_size > size:
    centres = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    distance = np.abs(np.clip(centres, 0, size - 1)[:, None] - pixel)
    return np.maximum(1 - distance, 0).astype(np.float32)
  edges = np.arange(new_size + 1) * (size / new_size)
  low, high = edges[:-1, None], edges[1:, None]
  overlap = np.minimum(high, pixel + 1) - np.maximum(low, pixel)
  weights = np.maximum(overlap, 0)
  return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def fit_batch(
  images: UInt8[Array, 'B 112 112 3'], preprocessing: Preprocessing
) -> Float[Array, 'B H W 3']:
  """`fit_crop` for a batch inside jit, to within one grey level."""
  top, left = _margins(preprocessing)
  height, width = preprocessing.crop
  cropped = images[:, top : top + height, left : left + width]
  pixels = cropped.astype(jnp.float32)
  if preprocessing.crop == preprocessing.image_size:
    return pixels
  rows = _resizing_weights(height, preprocessing.image_size[0])
  columns = _resizing_weights(width, preprocessing.image_size[1])
  resized = jnp.einsum(
    'yh,bhwc,xw->byxc',
    rows,
    pixels,
    columns,
    precision=jax.lax.Precision.HIGHEST,
  )
  return jnp.round(resized)


def normalize(
  images: Float[Array, 'B H W 3'] | UInt8[Array, 'B H W 3'],
  preprocessing: Preprocessing,
) -> Float[Array, 'B H W C']:
  """RGB pixels of 0 .. 255 to the model's input range and channels."""
  pixels = images.astype(jnp.float32)
  if preprocessing.color_order == 'BGR':
    pixels = pixels[..., ::-1]
  elif preprocessing.color_order == 'GRAY':
    # Not a matrix product, which accelerators would round to fewer bits.
    pixels = (pixels * jnp.array(_LUMA).reshape(1, 1, 1, 3)).sum(
      -1, keepdims=True
    )
  return (pixels - preprocessing.mean) / preprocessing.scale
