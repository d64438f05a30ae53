"""Draws the bare face: skull, ears, eyes, brows, nose, mouth, marks."""

import numpy as np

from facejax.data.face_latents import Color, Latents, mix, shaded
from facejax.data.face_sketch import (
  ARCH,
  BOW,
  COS,
  EYE_X,
  EYE_Y,
  MOUTH_Y,
  NOSE_Y,
  RING_COS,
  RING_SIN,
  SIN,
  Outline,
  Sketch,
  U,
  closed,
)

_OUT = (U + 1) / 2  # 0 at the nose, 1 at the temple
_ODD = np.arange(len(U)) % 2 == 1
_BROW_ARCH, _BROW_HEAD = np.sin(2.6 * _OUT), (1 - _OUT) ** 2
_BROW_TAIL = 2.4 * _OUT**4
_BROW_WIDTH = np.minimum(1, 0.45 + 2.2 * (1 - _OUT)) * (0.75 + 0.35 * ARCH)
_LIP = np.sqrt(BOW)
_CUPID = np.maximum(0, 1 - np.abs(U) * 5)
_WING = np.linspace(-1.1, 1.8, 9)
_WING_COS, _WING_SIN = np.cos(_WING), np.sin(_WING)
_NECK = np.array([-1.0, -1.05, 1.05, 1.0])
_NECK_ROWS = np.array([88.0, 150.0, 150.0, 88.0])
_SHOULDERS = np.array([-90.0, -26, -13, 0, 13, 26, 90, 90, -90])
_SHOULDER_ROWS = np.array([128.0, 113, 121, 128, 121, 113, 128, 170, 170])


def skull_outline(person: Latents) -> Outline:
  """The skull and jaw: two half superellipses with cheekbones."""
  power = np.where(SIN > 0, 2 / person.jaw_power, 2 / 2.2)
  x = np.copysign(np.abs(COS) ** power, COS) * person.skull_width
  rise = np.where(SIN > 0, person.chin - 56, 56 - person.crown)
  y = 56 + np.copysign(np.abs(SIN) ** power, SIN) * rise
  x = x * (1 - person.jaw_taper * np.maximum(SIN, 0) ** 2)
  x = x + np.copysign(person.cheekbone / (1 + ((y - 66) / 9) ** 2), COS)
  return x, y


def draw_head(
  sketch: Sketch, person: Latents, skull: Outline, cloth: Color
) -> None:
  """Neck, shoulders, ears and the bare skull."""
  skin, width = person.skin, person.skull_width
  neck = _NECK * width * person.neck_width
  sketch.fill(neck, _NECK_ROWS, -4.0, shaded(skin, 0.72))
  sketch.fill(_SHOULDERS, _SHOULDER_ROWS, 4.0, cloth)
  for side in (-1, 1):
    size = person.ear_size
    x = side * (width + person.ear_out - 2.5) + RING_COS * (size * 0.42)
    y = 60 + RING_SIN * size - RING_COS * (side * 1.5)
    sketch.fill(x, y, 6.0, shaded(skin, 0.88))
    x, y = x * 0.5 + side * width * 0.5, y * 0.6 + 24
    sketch.fill(x, y, 7.0, shaded(skin, 0.66))
  sketch.fill(*skull, 16.0, skin)


def _draw_eye(
  sketch: Sketch, person: Latents, photo: Latents, side: int
) -> None:
  skin, iris = person.skin, person.iris
  centre = side * (EYE_X + person.eye_spacing)
  row = EYE_Y + person.eye_row + 0.5 * side * person.asymmetry
  x = centre + person.eye_width * U
  tilt = row - (person.eye_slant * side) * U
  opening = person.eye_open * (
    0.12
    if photo.lid > 0.95
    else (0.74 + 0.4 * photo.lid - 0.2 * max(0.0, photo.smile))
  )
  upper, lower = tilt - (opening * 1.05) * ARCH, tilt + (opening * 0.72) * BOW
  sketch.fill(*closed(x, upper, lower), 34.0, (228, 221, 215))
  middle = centre + photo.gaze_x, row - 0.1 + photo.gaze_y - 0.08 * opening
  for color, share in (
    (shaded(iris, 0.45), 1.0),
    (iris, 0.8),
    ((12, 10, 10), 0.42),
  ):
    sketch.disc(*middle, 34.5, person.iris_radius * share, color)
  glint = 0.9 if photo.light_x > 0 else -0.9
  sketch.disc(middle[0] + glint, middle[1] - 1, 34.5, 0.65, (250, 250, 250))
  # Lids in the flat skin colour cover what the iris overlaps.
  sketch.fill(*closed(x, upper - 7 * BOW - 0.5, upper), 34.0, skin)
  sketch.fill(*closed(x, lower, lower + 5 * BOW + 0.3), 34.0, skin)
  crease = upper - 0.9 - (2 * person.eye_crease) * ARCH
  sketch.band(x, crease, 0.6, 34.0, shaded(skin, 0.7))
  sketch.line(x, lower + 0.3, 34.0, shaded(skin, 0.74))
  lash = mix(shaded(skin, 0.4), (18, 14, 14), 0.3 + 0.7 * person.lashes)
  heavy = 0.7 + 0.5 * person.lashes * (person.masculinity < 0.5)
  sketch.band(x, upper - 0.2, heavy, 34.0, lash)


def _draw_brow(
  sketch: Sketch, person: Latents, photo: Latents, side: int
) -> None:
  x = EYE_X + person.eye_spacing - 7.6 + _OUT * (6.5 + person.brow_length)
  row = EYE_Y + person.eye_row - person.brow_gap - 1.4 * photo.brow_raise
  row = row - 0.6 * side * person.asymmetry
  frown = max(0.0, -photo.brow_raise) * 1.6
  y = row - person.brow_arch * _BROW_ARCH - person.brow_slant * _OUT
  y = y + frown * _BROW_HEAD + _BROW_TAIL
  half = person.brow_thickness * (0.62 + 0.2 * person.masculinity)
  x, half = side * x, half * _BROW_WIDTH
  top, bottom = y - half, y + half
  sketch.fill(
    *closed(x, top, bottom), 34.0, mix(person.brow, person.skin, 0.22)
  )
  # Hairs zigzag between the edges, leaning outwards.
  zigzag = np.where(_ODD, top - 0.3, bottom + 0.2)
  sketch.line(x, zigzag, 34.0, shaded(person.brow, 0.8))


def _draw_nose(sketch: Sketch, person: Latents) -> None:
  skin, width = person.skin, person.nose_width
  row = NOSE_Y + 2.5 + person.nose_length
  wing_x = width * (0.74 + 0.26 * _WING_COS)
  wing_y = row - 0.6 + 3.2 * _WING_SIN
  size = 0.5 + 0.7 * person.nostril
  for side in (-1, 1):
    sketch.line(side * wing_x, wing_y, 37.0, shaded(skin, 0.66))
    x = side * width * 0.46 + RING_COS * (width * 0.23)
    y = row + 1.7 + RING_SIN * size - RING_COS * (side * 0.6)
    sketch.fill(x, y, 39.0, shaded(skin, 0.36))
  base = row + 2.8 + (0.8 * person.nose_bulb) * BOW
  sketch.band(U * (width * 0.42), base, 0.8, 40.0, shaded(skin, 0.72))


def mouth_edges(person: Latents, photo: Latents) -> tuple[np.ndarray, ...]:
  """Columns, then four rows: upper lip top, bottom, lower lip top, bottom."""
  smile = photo.smile
  gap = max(0.0, photo.mouth_open - 0.5) * 13
  x = U * (person.mouth_width + 2.6 * smile - 0.12 * gap)
  row = MOUTH_Y + person.mouth_row + 0.8 * smile
  line = row - 3 * smile * (1 - BOW) + 0.25 * person.asymmetry * U
  thin = 1 - 0.25 * max(0.0, smile)
  upper_bottom = line - (0.3 * gap) * _LIP
  lower_top = line + (0.7 * gap) * _LIP
  upper = (person.upper_lip * thin) * BOW * (1 - person.cupid * _CUPID)
  lower = (person.lower_lip * thin) * _LIP * (0.35 + 0.65 * BOW)
  return x, upper_bottom - upper, upper_bottom, lower_top, lower_top + lower


def _draw_mouth(
  sketch: Sketch, person: Latents, photo: Latents, edges: tuple
) -> None:
  x, top, upper, lower, bottom = edges
  lips, z = person.lips, 36.0
  sketch.fill(*closed(x, top, upper + 0.3), z, shaded(lips, 0.84))
  sketch.fill(*closed(x, lower - 0.3, bottom), z, lips)
  if photo.mouth_open > 0.5:
    sketch.fill(*closed(x * 0.95, upper, lower), z - 2, (52, 20, 20))
  if photo.mouth_open > 0.56:
    depth = (lower - upper) * (0.62 if photo.smile > 0.1 else 0.3)
    rows = upper - 0.1, upper + np.minimum(depth, 3.6)
    sketch.fill(*closed(x * 0.84, *rows), z - 2, (224, 216, 204))
  sketch.band(x, upper, 0.7, z, shaded(lips, 0.45))
  sketch.band(x * 0.62, bottom + 0.2, 0.6, z, shaded(lips, 0.8))


def draw_features(
  sketch: Sketch, person: Latents, photo: Latents, edges: tuple
) -> None:
  """Eyes, brows, nose, mouth (`mouth_edges`), moles and freckles."""
  for side in (-1, 1):
    _draw_eye(sketch, person, photo, side)
    _draw_brow(sketch, person, photo, side)
  _draw_nose(sketch, person)
  _draw_mouth(sketch, person, photo, edges)
  color = shaded(person.skin, 0.52)
  for x, y, size in person.marks.tolist():
    sketch.disc(x, y, 34.0, size, color)
