"""Draws what is in front of a face: glasses, and things in the way."""

import numpy as np

from facejax.data.face_latents import Color, Latents, shaded
from facejax.data.face_sketch import (
  BOW,
  COS,
  EYE_X,
  EYE_Y,
  SIN,
  Outline,
  Sketch,
  U,
)


def _lens(person: Latents, side: int) -> Outline:
  power = 1.0 if person.frame_round > 0.5 else 0.6
  size = person.frame_size
  x = np.copysign(np.abs(COS) ** power, COS) * size
  y = (
    np.copysign(np.abs(SIN) ** power, SIN)
    * size
    * (0.6 + 0.3 * person.frame_round)
  )
  return side * (EYE_X + 0.5 * person.eye_spacing + 0.8) + x, EYE_Y + 1.5 + y


def draw_glasses(sketch: Sketch, person: Latents, photo: Latents) -> None:
  """Spectacles of those who wear them, or dark glasses on anybody."""
  dark = photo.occluder < 0.04
  wears = photo.glasses < (0.88 if person.glasses > 0.76 else 0.03)
  if not (dark or wears):
    return
  tone = person.frame_tone
  color = shaded((150, 110, 70), tone) if tone < 0.7 else (150, 150, 156)
  thick = 1 + (person.frame_round + tone < 0.8)
  middle = EYE_X + 0.5 * person.eye_spacing + 0.8
  inner = middle - person.frame_size
  ends = [middle + person.frame_size, person.skull_width + 2.0]
  for side in (-1, 1):
    lens = _lens(person, side)
    if dark:
      sketch.fill(*lens, 41.0, (26, 24, 28))
    sketch.line(*lens, 41.0, color, thick, True)
    arm = [side * x for x in ends], [EYE_Y - 1, EYE_Y + 1]
    sketch.line(*arm, 30.0, color, thick)
  sketch.line(U * inner, EYE_Y - 1 - 1.5 * BOW, 42.0, color, thick)


def draw_occluder(
  sketch: Sketch, person: Latents, photo: Latents, color: Color
) -> None:
  """A hand, a scarf, a flat object or loose hair, in one photo of seven."""
  kind, x, y = photo.occluder, photo.occluder_x, photo.occluder_y
  if 0.04 <= kind < 0.08:
    _draw_hand(sketch, person, x, y)
  elif 0.08 <= kind < 0.11:
    edge = 84 + 22 * y + 3 * np.sin(4 * U + 9 * x)
    rows, columns = np.append(edge, [150, 150]), np.append(U * 70, [70, -70])
    sketch.fill(columns, rows, 40.0, color)
    for drop in (6, 13, 21):
      fold = edge + drop + 3 * x * U
      sketch.line(U * 70, fold, 40.0, shaded(color, 0.72), 2)
  elif 0.11 <= kind < 0.14:
    left, top = 50 * y - 36, 56 + 50 * x
    corners = [left, left + 28, left + 28, left]
    sketch.fill(corners, [top, top, top + 32, top + 32], 50.0, color)
  elif 0.14 <= kind < 0.18:
    for number in range(6):
      column = 26 * x + 2.2 * number + 7 * U * (x + 0.15 * number)
      tone = shaded(person.hair, 0.8 + 0.12 * number)
      sketch.line(column, 30 + 44 * U, 40.0, tone, 1 + number % 2)


def _draw_hand(sketch: Sketch, person: Latents, x: float, y: float) -> None:
  """Three fingers that come in from below, on one cheek."""
  skin = shaded(person.skin, 0.94)
  for number in range(-1, 2):
    columns = np.array([46 * x + 10 * number, 34 * x + 8 * number])
    rows = np.array([135.0, 76 + 18 * y + 4 * number * number])
    sketch.line(columns + 0.7, rows, 46.0, shaded(skin, 0.66), 11)
    sketch.line(columns, rows, 46.0, skin, 9)
    sketch.disc(columns[1], rows[1], 46.0, 2.0, shaded(skin, 1.1))
