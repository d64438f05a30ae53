"""Photos of any size as canvases of one size, for a network compiled once.

Every photo is shrunk to the levels of a pyramid, on which a face of some size
fills a 12-pixel window. The levels of all photos of a batch are packed side by
side on square canvases. The P-Net has neither padding nor context beyond its
window, so what lies within a level is computed as if it stood alone; windows
across two levels are never looked at.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from facejax.array_typing import UInt8
from facejax.detection.networks import PNET_CELL, PNET_STRIDE

# A P-Net layer of this size stays in cache: twice the speed of 512 on a CPU.
CANVAS = 384
# Cut so that the windows of neighbouring tiles neither repeat nor miss any.
_TILE_STEP = CANVAS - PNET_CELL + PNET_STRIDE


@dataclasses.dataclass(frozen=True, slots=True)
class Tile:
  """A level of a photo's pyramid, or a part of one, on a canvas.

  Attributes:
    photo: which photo.
    level: which level, 0 the largest.
    scale: (x, y), level pixels for a photo pixel.
    origin: (x, y) of the tile in its level, pixels.
    canvas: which canvas.
    corner: (x, y) on the canvas, multiples of the network's stride.
    size: (width, height), pixels.
  """

  photo: int
  level: int
  scale: tuple[float, float]
  origin: tuple[int, int]
  canvas: int = 0
  corner: tuple[int, int] = (0, 0)
  size: tuple[int, int] = (0, 0)


def level_sizes(
  photo_size: tuple[int, int], min_face_size: float | int, scale_factor: float
) -> list[tuple[int, int]]:
  """(height, width) of a photo's levels, the largest first.

  The largest shows a face of `min_face_size` pixels as one window; each
  following one is smaller by `scale_factor`, down to the size of a window.
  """
  sizes, scale = [], PNET_CELL / min_face_size
  while round(min(photo_size) * scale) >= PNET_CELL:
    height, width = (round(side * scale) for side in photo_size)
    sizes.append((height, width))
    scale *= scale_factor
  return sizes


def resize(
  image: UInt8[np.ndarray, 'h w 3'], size: tuple[int, int]
) -> UInt8[np.ndarray, 'H W 3']:
  """Averages over areas to shrink, interpolates to enlarge."""
  height, width = size
  shrinks = height * width <= image.shape[0] * image.shape[1]
  method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  return cv2.resize(image, (width, height), interpolation=method)


def _cuts(length: int) -> Iterator[tuple[int, int]]:
  """(start, end) of the tiles along one side of a level."""
  for start in range(0, length - PNET_CELL + 1, _TILE_STEP):
    yield start, min(start + CANVAS, length)


def _tiles(
  photo: int, image: np.ndarray, min_face_size: float | int, scale_factor: float
) -> Iterator[tuple[Tile, np.ndarray]]:
  """The tiles of one photo, not yet placed, and their pixels."""
  full_height, full_width = image.shape[:2]
  sizes = level_sizes((full_height, full_width), min_face_size, scale_factor)
  for level, (height, width) in enumerate(sizes):
    image = resize(image, (height, width))
    scale = (width / full_width, height / full_height)
    for top, bottom in _cuts(height):
      for left, right in _cuts(width):
        pixels = image[top:bottom, left:right]
        yield Tile(photo, level, scale, (left, top)), pixels


class _Shelves:
  """Places for rectangles of falling height: rows, left to right.

  A rectangle goes on the first row with room, so small ones fill the gaps.
  """

  def __init__(self):
    self._rows: list[tuple[int, int, int]] = []  # free x, y, canvas
    self._free: list[int] = []  # the y below the last row of every canvas

  def place(self, height: int, width: int) -> tuple[int, tuple[int, int]]:
    """The canvas and the corner (x, y) of the next rectangle."""
    width += width % PNET_STRIDE
    height += height % PNET_STRIDE
    for i, (x, y, canvas) in enumerate(self._rows):
      if x + width <= CANVAS:
        self._rows[i] = (x + width, y, canvas)
        return canvas, (x, y)
    roomy = (i for i, y in enumerate(self._free) if y + height <= CANVAS)
    canvas = next(roomy, len(self._free))
    if canvas == len(self._free):
      self._free.append(0)
    y = self._free[canvas]
    self._free[canvas] += height
    self._rows.append((width, y, canvas))
    return canvas, (0, y)


def pack(
  photos: Sequence[UInt8[np.ndarray, '_ _ 3']],
  min_face_sizes: Sequence[float | int],
  scale_factor: float,
) -> tuple[UInt8[np.ndarray, 'B size size 3'], list[Tile]]:
  """Lays the pyramids of photos on canvases.

  Args:
    photos: uint8 [H, W, 3] each, of any size.
    min_face_sizes: for every photo, pixels of the smallest face sought.
    scale_factor: from one level to the next, below 1.

  Returns:
    Canvases [B, CANVAS, CANVAS, 3], black where nothing lies, and the tiles.
  """
  loose = [
    tile
    for photo, image in enumerate(photos)
    for tile in _tiles(photo, image, min_face_sizes[photo], scale_factor)
  ]
  loose.sort(key=lambda tile: tile[1].shape[:2], reverse=True)
  shelves, tiles = _Shelves(), []
  for tile, pixels in loose:
    height, width = pixels.shape[:2]
    canvas, corner = shelves.place(height, width)
    tiles.append(
      dataclasses.replace(
        tile, canvas=canvas, corner=corner, size=(width, height)
      )
    )
  count = max((tile.canvas for tile in tiles), default=-1) + 1
  canvases = np.zeros((count, CANVAS, CANVAS, 3), np.uint8)
  for tile, (_, pixels) in zip(tiles, loose, strict=True):
    (x, y), (width, height) = tile.corner, tile.size
    canvases[tile.canvas, y : y + height, x : x + width] = pixels
  return canvases, tiles
