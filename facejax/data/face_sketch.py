"""Projects and paints outlines given in head coordinates.

The head is a shallow relief: x from the midline and y the row, both in pixels
of the aligned crop, z towards the camera. A small rotation projects it, and
OpenCV fills the outlines in fixed point: the same numbers, the same pixels.
"""

import math

import cv2
import numpy as np

from facejax.data.face_latents import Latents
from facejax.data.preprocessing import TEMPLATE_112

AA = cv2.LINE_AA
SHIFT = 4  # binary places of OpenCV's fixed-point coordinates
# Fixed-point units per crop pixel on the 224, 112 and 56 pixel canvases.
DOUBLE, FULL, HALF = 32, 16, 8

_EYES, _NOSE, _MOUTH = TEMPLATE_112[:2], TEMPLATE_112[2], TEMPLATE_112[3:]
_MIDLINE = (_EYES[0][0] + _EYES[1][0]) / 2
EYE_X = (_EYES[1][0] - _EYES[0][0]) / 2
EYE_Y = (_EYES[0][1] + _EYES[1][1]) / 2
NOSE_Y = _NOSE[1]
MOUTH_Y = (_MOUTH[0][1] + _MOUTH[1][1]) / 2
_PIVOT_Y, _PIVOT_Z = 72.0, 33.0  # near the landmarks' mean: it stays in place

# Shapes shared by many outlines: across a feature, and around one.
U = np.linspace(-1, 1, 13)
ARCH = 1 - np.abs(U) ** 2.3
BOW = 1 - U * U
_TAPER = 0.35 + 0.65 * ARCH
_TURN = np.linspace(0, 2 * math.pi, 56, endpoint=False)
COS, SIN = np.cos(_TURN), np.sin(_TURN)
RING_COS, RING_SIN = COS[::4], SIN[::4]
Outline = tuple[np.ndarray, np.ndarray]


class View:
  """Projects head coordinates to fixed-point image coordinates."""

  def __init__(self, photo: Latents):
    cos_yaw, sin_yaw = math.cos(photo.yaw), math.sin(photo.yaw)
    cos_pitch, sin_pitch = math.cos(photo.pitch), math.sin(photo.pitch)
    cos = math.cos(photo.roll) * photo.scale
    sin = math.sin(photo.roll) * photo.scale
    x, y = (
      (cos_yaw, 0.0, sin_yaw),
      (sin_pitch * sin_yaw, cos_pitch, -sin_pitch * cos_yaw),
    )
    self._x = [cos * a - sin * b for a, b in zip(x, y, strict=True)]
    self._y = [sin * a + cos * b for a, b in zip(x, y, strict=True)]
    self._shift = (_MIDLINE + photo.shift_x, _PIVOT_Y + photo.shift_y)

  def project(self, x, y, z):
    """Image x and y, pixels, of head points (numbers or arrays)."""
    y, z = y - _PIVOT_Y, z - _PIVOT_Z
    (a, b, c), (d, e, f) = self._x, self._y
    return (
      a * x + b * y + c * z + self._shift[0],
      d * x + e * y + f * z + self._shift[1],
    )

  def outline(self, x, y, z, unit: int) -> np.ndarray:
    """Fixed-point points, int32 [..., n, 2]; the face curves back with x."""
    x, y = self.project(x, y, z - 0.011 * x * x)
    points = np.empty((*x.shape, 2))
    points[..., 0] = x
    points[..., 1] = y
    points *= unit
    return np.rint(points).astype(np.int32)


class Sketch:
  """Shapes in painting order, projected together: one call costs as many."""

  def __init__(self, view: View, unit: int):
    self._view, self._unit = view, unit
    self._x, self._y, self._z, self._sizes, self._strokes = [], [], [], [], []

  def fill(self, x, y, z: float, color) -> None:
    """A filled outline of head points."""
    self._add(x, y, z, (cv2.fillPoly, color))

  def line(
    self, x, y, z: float, color, thickness: int = 1, closed: bool = False
  ) -> None:
    """A line through head points, `thickness` pixels of the canvas wide."""
    self._add(x, y, z, (cv2.polylines, closed, color, thickness))

  def band(self, x, y, half, z: float, color) -> None:
    """A soft-ended line, `half` crop pixels to either side of its rows."""
    half = half * _TAPER
    self._add(*closed(x, y - half, y + half), z, (cv2.fillPoly, color))

  def disc(self, x: float, y: float, z: float, radius: float, color) -> None:
    """A filled circle; the radius is in pixels of the crop."""
    self._add([x], [y], z, (cv2.circle, round(radius * self._unit), color, -1))

  def _add(self, x, y, z, stroke) -> None:
    self._x.append(x)
    self._y.append(y)
    self._z.append(z)
    self._sizes.append(len(x))
    self._strokes.append(stroke)

  def draw(self, canvas: np.ndarray) -> None:
    """Paints everything on the canvas."""
    if not self._sizes:
      return
    points = self._view.outline(
      np.concatenate(self._x),
      np.concatenate(self._y),
      np.repeat(self._z, self._sizes),
      self._unit,
    )
    start = 0
    for size, (paint, *style) in zip(self._sizes, self._strokes, strict=True):
      part = points[start : start + size]
      start += size
      part = part[0].tolist() if paint is cv2.circle else [part]
      paint(canvas, part, *style, AA, SHIFT)


def closed(upper_x, upper_y, lower_y) -> tuple[np.ndarray, np.ndarray]:
  """An outline from an upper and a lower edge over the same columns."""
  return (
    np.concatenate([upper_x, upper_x[::-1]]),
    np.concatenate([upper_y, lower_y[::-1]]),
  )
