"""The light on a synthetic face: soft relief, direction, colour, skin."""

import cv2
import numpy as np

from facejax.array_typing import UInt8
from facejax.data.face_hair import strands
from facejax.data.face_latents import Latents
from facejax.data.face_sketch import (
  AA,
  EYE_X,
  HALF,
  NOSE_Y,
  RING_COS,
  RING_SIN,
  SHIFT,
  View,
)

_GRID_Y, _GRID_X = np.mgrid[0:28, 0:28] * 4.0 + 2.0
# Light per channel (128 = 1): skin's shadows are redder than its lights.
_TINTS = 128 * (np.arange(256)[:, None] / 128) ** np.array([0.88, 1.04, 1.1])


def _shadows(person: Latents, photo: Latents, lip: float) -> list[tuple]:
  """What the relief darkens: x, y, half width and height, lean, z, strength."""
  deep, age, smile = person.eye_depth, person.age, max(0.0, photo.smile)
  nose, width = NOSE_Y + 2.5 + person.nose_length, person.nose_width
  blobs = [
    (0, person.chin + 7, 30, 7, 0, 10, 60),
    (0, lip + 3, 9, 2.2, 0, 33, 26),
  ]
  for side in (-1, 1):
    weight = 1 - side * 0.6 * photo.light_x
    eye = side * (EYE_X + person.eye_spacing)
    flank, fold = side * (person.nose_bridge + 3.4), width + 6 + 4 * smile
    flank_depth, crease = 18 + 14 * deep, 8 + 30 * age + 26 * smile
    blobs += [
      (side * 31, 76, 8, 17, -0.35 * side, 24, (12 + 14 * age) * weight),
      (eye, 55.5, 9, 5, 0, 33, 8 + 18 * age),
      (eye - side * 4, 48, 9, 7, 0, 33, (16 + 26 * deep) * weight),
      (flank, nose - 12, 2.6, 12, 0.12 * side, 34, flank_depth * weight),
      (side * (width + 1), nose, 3, 4, 0, 34, 26 * weight),
      (side * width * 0.5, nose + 4.5, width * 0.6, 2.2, 0, 34, 34),
      (side * fold, nose + 11, 1.5, 9, -0.45 * side, 33, crease * weight),
    ]
  return blobs


def _highlights(person: Latents, photo: Latents, lip: float) -> list[tuple]:
  """What the relief brightens, in the same terms."""
  smile, nose = max(0.0, photo.smile), NOSE_Y + 2.5 + person.nose_length
  bulb = 2 + 1.8 * person.nose_bulb
  blobs = [
    (0, 26, 20, 10, 0, 33, 10 + 16 * photo.shine),
    (0, lip + 10, 8, 5, 0, 33, 14),
    (0, nose - 14, person.nose_bridge * 0.8, 14, 0, 38, 30),
    (0, nose - 2, bulb, 3, 0, 42, 24 + 24 * photo.shine),
    (0, lip - 2.4, 6, 1.2, 0, 37, 20),
  ]
  for side in (-1, 1):
    eye = side * (EYE_X + person.eye_spacing)
    cheek = 12 + 10 * smile + 8 * person.cheekbone
    cheek *= 1 + side * 0.6 * photo.light_x
    blobs += [
      (side * 24, 67 - 2 * smile, 7, 5, 0, 31, cheek),
      (eye, 45.5, 6, 1.6, 0, 33, 16),
    ]
  return blobs


def _relief(
  view: View, person: Latents, photo: Latents, lip: float
) -> tuple[UInt8[np.ndarray, '56 56'], UInt8[np.ndarray, '56 56']]:
  """Soft shadows and highlights at half resolution, strong over weak."""
  groups = [_shadows(person, photo, lip), _highlights(person, photo, lip)]
  blobs = sum(
    (sorted(group, key=lambda blob: blob[-1]) for group in groups), []
  )
  x, y, wide, high, lean, z, _ = np.array(blobs, np.float64).T[..., None]
  y_ring = high * RING_SIN
  outlines = view.outline(
    x + wide * RING_COS + lean * y_ring, y + y_ring, z, HALF
  )
  layers = np.zeros((2, 56, 56), np.uint8)
  for number, (outline, blob) in enumerate(zip(outlines, blobs, strict=True)):
    layer = layers[int(number >= len(groups[0]))]
    cv2.fillConvexPoly(layer, outline, round(blob[-1]), AA, SHIFT)
  darks, lights = (
    cv2.blur(cv2.blur(layer, (3, 3)), (3, 3)) for layer in layers
  )
  return darks, lights


def light(
  view: View, person: Latents, photo: Latents, mouth: tuple
) -> UInt8[np.ndarray, '112 112 3']:
  """The light on each pixel, 128 = 1, coloured and with the face's relief.

  Args:
    view: the projection.
    person: the identity's latents.
    photo: the image's latents.
    mouth: `face_drawing.mouth_edges`.
  """
  x, y = view.project(0.0, 58.0, 16.0)
  nx = (_GRID_X - x) / (person.skull_width + 4)
  ny = (_GRID_Y - y) / 74
  square = nx * nx + ny * ny
  facing = np.sqrt(np.maximum(1 - square, 0.02))
  toward = photo.light_x * nx + photo.light_y * ny + facing
  level = 1 + photo.light_hard * (0.85 * toward - 0.62)
  level = level + photo.light_slope * (_GRID_X - 56) * 0.008
  level = np.minimum(np.maximum(level * 120, 24), 228).astype(np.uint8)
  lip = float(mouth[-1][len(mouth[-1]) // 2])  # the lowest row of the lower lip
  darks, lights = _relief(view, person, photo, lip)
  # At most 228 * 210, at least 4: it fits 16 bits without a sign.
  level = cv2.pyrUp(level).astype(np.uint16)
  level = level * (128 + lights.astype(np.uint16) - darks) >> 7
  # Pores and blotches: the person's own patch of a fixed pattern.
  row, column = round(person.texture_y), round(person.texture_x)
  pores = strands(True)[row : row + 112 : 2, column : column + 112 : 2] >> 4
  level = np.minimum(np.maximum(level, 8) + pores - 8, 255).astype(np.uint8)
  cast = np.array([1 + photo.cast_red, 1.0, 1 + photo.cast_blue])
  tints = np.minimum(_TINTS * cast, 255).astype(np.uint8)[None]
  return cv2.pyrUp(cv2.LUT(cv2.cvtColor(level, cv2.COLOR_GRAY2RGB), tints))
