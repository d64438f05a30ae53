"""Square windows of photos, cut and resized for a network."""

from collections.abc import Sequence

import cv2
import numpy as np

from facejax.array_typing import Float, Int, UInt8
from facejax.detection.pyramid import resize


def whole_pixels(boxes: Float[np.ndarray, 'n 4']) -> Int[np.ndarray, 'n 4']:
  """Square boxes rounded to whole pixels, square still, of 1 pixel at least."""
  corner = np.round(boxes[:, :2])
  side = np.maximum(np.round(boxes[:, 2:3] - boxes[:, :1]), 1)
  return np.concatenate([corner, corner + side], axis=1).astype(np.int64)


def _cut(
  photo: np.ndarray, box: Sequence[int], size: int, out: np.ndarray
) -> None:
  """Writes one window; what lies outside the photo stays as it is."""
  height, width = photo.shape[:2]
  x1, y1, x2, y2 = box
  inside = photo[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)]
  if inside.size == 0:
    return
  if inside.shape[:2] != (y2 - y1, x2 - x1):
    inside = cv2.copyMakeBorder(
      inside,
      max(-y1, 0),
      max(y2 - height, 0),
      max(-x1, 0),
      max(x2 - width, 0),
      cv2.BORDER_CONSTANT,
    )
  out[:] = resize(inside, (size, size))


def cut_windows(
  photos: Sequence[UInt8[np.ndarray, '_ _ 3']],
  owners: Int[np.ndarray, ' n'],
  boxes: Int[np.ndarray, 'n 4'],
  size: int,
) -> UInt8[np.ndarray, 'n size size 3']:
  """Windows of photos, resized; black outside the photo.

  Args:
    photos: uint8 [H, W, 3] each.
    owners: the photo of every window.
    boxes: square, in whole pixels, also beyond the photo's edges.
    size: of the windows, pixels.
  """
  windows = np.zeros((len(boxes), size, size, 3), np.uint8)
  for owner, box, out in zip(owners, boxes.tolist(), windows, strict=True):
    _cut(photos[owner], box, size, out)
  return windows
