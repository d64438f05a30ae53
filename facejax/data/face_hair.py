"""Hair of the head, beard and stubble, as masks and strands."""

import functools
import math

import cv2
import numpy as np

from facejax.array_typing import UInt8
from facejax.data.face_latents import Latents
from facejax.data.face_sketch import (
  BOW,
  COS,
  FULL,
  MOUTH_Y,
  NOSE_Y,
  SIN,
  Outline,
  Sketch,
  U,
  View,
)

_LEVELS = np.arange(256)[:, None] * 0.0041 + 0.42
_BORDER = np.clip((np.arange(256) - 142) * 5, 0, 255).astype(np.uint8)
_DOME_X = np.copysign(np.abs(COS[28:]) ** 0.8, COS[28:])
_DOME_Y = np.abs(SIN[28:]) ** 0.9
_CHEEK = np.abs(U) ** 2.6
_TABLE = 400  # side of the strand tables; the crown is in the middle


@functools.cache
def strands(curly: bool) -> UInt8[np.ndarray, '400 400']:
  """Hair brightness: streaks that leave the crown, or curls."""
  generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(7)))
  if curly:
    coarse = generator.integers(0, 256, (100, 100), np.uint8)
    fine = generator.integers(0, 256, (200, 200), np.uint8)
    size, exact = (_TABLE, _TABLE), cv2.INTER_LINEAR_EXACT
    return (
      cv2.resize(coarse, size, interpolation=exact) // 2
      + cv2.resize(fine, size, interpolation=exact) // 2
    )
  y, x = np.mgrid[0:_TABLE, 0:_TABLE] - _TABLE / 2 + 0.5
  radius = np.sqrt(x * x + y * y)
  turn = (np.arctan2(y, x) / (2 * math.pi) + 0.5 + radius / 4000) % 1
  light = np.zeros((_TABLE, _TABLE))
  for count, weight in ((37, 0.3), (131, 0.3), (397, 0.4)):
    wave = generator.random(count + 1)
    wave[-1] = wave[0]
    place = turn * count
    low = np.minimum(place.astype(np.int64), count - 1)
    share = place - low
    light += weight * (wave[low] * (1 - share) + wave[low + 1] * share)
  sheen = 0.8 + 0.2 * np.cos(radius / 9)
  return np.rint(light * sheen * 255).astype(np.uint8)


def hair_strands(
  person: Latents, photo: Latents
) -> UInt8[np.ndarray, '112 112']:
  """The crop filled with the person's hair, as brightness."""
  column = 144 - round(14 * person.parting + photo.hair_shift - 20 * photo.yaw)
  row = 200 + round(photo.hair_shift)
  table = strands(person.hair_wave > 0.72)
  return table[row : row + 112, column : column + 112]


def hair_pixels(
  person: Latents, grey: UInt8[np.ndarray, '112 112']
) -> UInt8[np.ndarray, '112 112 3']:
  """Brightness to the person's hair colour."""
  levels = _LEVELS * np.array(person.hair) + 4
  table = np.minimum(levels, 255).astype(np.uint8)[None]
  return cv2.LUT(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), table)


def _style(person: Latents) -> tuple[bool, bool, bool]:
  """Whether the person is bald, has long hair, has a fringe."""
  style = person.hair_style
  if person.masculinity > 0.5:
    return style < 0.14, style > 0.9, 0.72 < style < 0.84
  return False, style > 0.36, 0.2 < style < 0.62


def _hairline(person: Latents, photo: Latents, fringe: bool) -> np.ndarray:
  """Rows of the border between hair and forehead, left to right."""
  row = person.hairline + 0.4 * photo.hair_shift
  if fringe:
    ragged = 1.5 * np.sin(U * (9 + 6 * person.hair_wave) + 6 * person.parting)
    return row + 13 + ragged + 4 * person.parting * U + 8 * U**4
  peak = person.recession * np.exp(-(((np.abs(U) - 0.55) / 0.28) ** 2))
  sweep = 5 * person.parting * (U - 0.6 * U**3)
  return row + 16 * U**4 - peak + sweep


def hair_mask(
  view: View,
  person: Latents,
  photo: Latents,
  grey: UInt8[np.ndarray, '112 112'],
) -> UInt8[np.ndarray, '112 112']:
  """How much of each pixel is hair of the head."""
  mask = np.zeros((112, 112), np.uint8)
  bald, long, fringe = _style(person)
  width, volume = person.skull_width, person.hair_volume
  edge = width + 0.6 * volume
  spread = 4 + 8 * person.hair_wave
  side = width - 3
  if long:
    outer = (edge + 1, 64), (edge + spread, 96), (edge + spread + 2, 150)
    side -= 1.5 + volume * 0.5
    inner = (side, 58), (side - 1, 80), (side - 4, 104), (side, 150)
  else:
    outer = ((edge * 0.98, 63),)
    inner = (side, 60), (width + 30, 64), (width + 30, 150)
  sketch = Sketch(view, FULL)
  dome = _DOME_X * edge, 50 - _DOME_Y * (50 - person.crown + volume)
  sketch.fill(*_mirrored(*dome, outer), 10.0, 255)
  x, y = U * (side + 1), _hairline(person, photo, fringe)
  if bald:
    y = 70 * U**8 - 40
  sketch.fill(*_mirrored(x, y, inner), 22.0, 0)
  sketch.draw(mask)
  # Where the blurred border meets the strands, it breaks up into ends.
  mask = cv2.add(cv2.blur(mask, (5, 5)), grey >> 1)
  return cv2.LUT(mask, _BORDER)


def _mirrored(x, y, side: tuple) -> Outline:
  """An outline closed by a right side, top to bottom, and its mirror image."""
  right = np.array(side, np.float64)
  return (
    np.concatenate([x, right[:, 0], -right[::-1, 0]]),
    np.concatenate([y, right[:, 1], right[::-1, 1]]),
  )


def beard_mask(
  view: View, person: Latents, photo: Latents, skull: tuple, edges: tuple
) -> UInt8[np.ndarray, '112 112'] | None:
  """How much of each pixel is beard, moustache or stubble; None if none."""
  if person.masculinity < 0.5:
    return None
  stubble = 0.08 + 0.3 * max(0.0, photo.grooming)
  beard = 2.4 * (person.beard - 0.6) + photo.grooming
  moustache = 2.6 * (person.moustache - 0.62) + photo.grooming
  beard = min(0.92, max(beard, stubble))
  moustache = min(0.92, max(moustache, beard * 0.9))
  grow = 1 + 0.05 * max(0.0, beard - 0.4)
  jaw_x, jaw_y = skull[0][2:27] * grow, 56 + (skull[1][2:27] - 56) * grow
  lips_x, top, _, _, bottom = edges
  both = np.concatenate([lips_x, lips_x[::-1]])
  sketch = Sketch(view, FULL)
  sketch.fill(
    np.concatenate([jaw_x, U * (person.skull_width * 0.94)]),
    np.concatenate([jaw_y, MOUTH_Y + 3 - 28 * _CHEEK]),
    22.0,
    round(255 * beard),
  )
  base = NOSE_Y + person.nose_length + 7 + 3 * (1 - BOW)
  sketch.fill(
    both * 1.05,
    np.concatenate([top + 5 * (1 - BOW), base[::-1]]),
    35.0,
    round(255 * moustache),
  )
  mask = np.zeros((112, 112), np.uint8)
  sketch.draw(mask)
  mask = cv2.blur(mask, (5, 5))
  sketch = Sketch(view, FULL)
  sketch.fill(both, np.concatenate([top, bottom[::-1]]), 36.0, 0)
  sketch.draw(mask)
  return mask
