"""The numbers behind a synthetic face: who it is, and how it was seen.

Every latent is uniform in a range of the two tables. Lengths are pixels of
the 112 x 112 crop, angles radians, the rest plain fractions.
"""

import types
from collections.abc import Mapping

import numpy as np

Color = tuple[int, int, int]
Latents = types.SimpleNamespace

IDENTITY_RANGES = {
  'melanin': (0, 1),
  'ruddiness': (-1, 1),
  'warmth': (-1, 1),
  'masculinity': (0, 1),
  'age': (0, 1),
  'asymmetry': (-1, 1),
  'skull_width': (36, 42.5),
  'crown': (-13, -3),
  'chin': (105, 116),
  'jaw_power': (1.85, 2.9),
  'jaw_taper': (0.02, 0.26),
  'cheekbone': (-1, 2.5),
  'neck_width': (0.5, 0.78),
  'ear_size': (6.5, 11),
  'ear_out': (0.5, 4.5),
  'hair_tone': (0, 1),
  'hair_style': (0, 1),
  'hair_volume': (3, 9),
  'hairline': (9, 24),
  'recession': (-2, 9),
  'parting': (-1, 1),
  'hair_wave': (0, 1),
  'eye_spacing': (-2, 2),
  'eye_row': (-1.3, 1.3),
  'eye_width': (5.8, 8),
  'eye_open': (2.5, 4.4),
  'eye_slant': (-1.3, 1.9),
  'eye_crease': (0, 1),
  'eye_depth': (0, 1),
  'iris_tone': (0, 1),
  'iris_radius': (2.8, 3.5),
  'lashes': (0, 1),
  'brow_gap': (5.8, 9.6),
  'brow_thickness': (1, 3),
  'brow_arch': (0, 2.6),
  'brow_slant': (-1.2, 1.6),
  'brow_length': (7.5, 11.5),
  'brow_tone': (0, 1),
  'nose_length': (-4.5, 3.5),
  'nose_width': (6.8, 11.5),
  'nose_bridge': (1.4, 3.4),
  'nose_bulb': (0, 1),
  'nostril': (0, 1),
  'mouth_row': (-2, 2),
  'mouth_width': (11.5, 17),
  'upper_lip': (1.3, 4),
  'lower_lip': (2.2, 5.2),
  'lip_red': (0, 1),
  'cupid': (0, 0.7),
  'freckles': (0, 1),
  'moles': (0, 1),
  'beard': (0, 1),
  'moustache': (0, 1),
  'glasses': (0, 1),
  'frame_round': (0, 1),
  'frame_size': (9.5, 13),
  'frame_tone': (0, 1),
  'texture_x': (0, 120),
  'texture_y': (0, 120),
}
IMAGE_RANGES = {
  'yaw': (-0.38, 0.38),
  'pitch': (-0.2, 0.2),
  'roll': (-0.1, 0.1),
  'scale': (0.93, 1.08),
  'shift_x': (-3, 3),
  'shift_y': (-3, 3),
  'light_x': (-1, 1),
  'light_y': (-0.8, 0.45),
  'light_hard': (0.15, 0.95),
  'light_slope': (-0.3, 0.3),
  'gain': (0.7, 1.22),
  'gamma': (0.68, 1.3),
  'cast_red': (-0.15, 0.15),
  'cast_blue': (-0.2, 0.2),
  'fade': (0, 26),
  'smile': (-0.5, 1),
  'mouth_open': (0, 1),
  'brow_raise': (-1, 1.2),
  'lid': (0, 1),
  'gaze_x': (-1.3, 1.3),
  'gaze_y': (-0.6, 0.6),
  'grooming': (-0.25, 0.25),
  'hair_shift': (-5, 5),
  'glasses': (0, 1),
  'occluder': (0, 1),
  'occluder_x': (-1, 1),
  'occluder_y': (0, 1),
  'blur': (0, 1),
  'noise': (0, 1),
  'soft': (0, 1),
  'shine': (0, 1),
}

SKIN = (
  (241, 206, 184),
  (230, 184, 154),
  (198, 147, 112),
  (146, 100, 72),
  (88, 60, 46),
)
HAIR = (
  (22, 19, 20),
  (38, 28, 24),
  (66, 45, 33),
  (96, 64, 42),
  (128, 66, 38),
  (160, 118, 74),
  (206, 172, 118),
)
IRIS = (
  (38, 24, 18),
  (62, 38, 24),
  (96, 62, 34),
  (98, 104, 62),
  (92, 122, 118),
  (84, 122, 162),
  (128, 146, 158),
)


def mix(a: Color, b: Color, share: float) -> Color:
  """The colour `share` of the way from a to b."""
  (r, g, b_), (to_r, to_g, to_b) = a, b
  return (
    int(r + (to_r - r) * share + 0.5),
    int(g + (to_g - g) * share + 0.5),
    int(b_ + (to_b - b_) * share + 0.5),
  )


def shaded(color: Color, factor: float) -> Color:
  """A colour made darker (factor < 1) or lighter, within 0 .. 255."""
  r, g, b = color
  return (
    min(255, int(r * factor + 0.5)),
    min(255, int(g * factor + 0.5)),
    min(255, int(b * factor + 0.5)),
  )


def along(stops: tuple[Color, ...], position: float) -> Color:
  """The colour at `position`, 0 .. 1, along equally spaced stops."""
  place = min(max(position, 0.0), 0.9999) * (len(stops) - 1)
  return mix(stops[int(place)], stops[int(place) + 1], place - int(place))


def _sample(
  ranges: Mapping[str, tuple[float | int, float | int]],
  generator: np.random.Generator,
) -> Latents:
  """One uniform draw per entry, in the order of the table."""
  draws = generator.random(len(ranges)).tolist()
  return Latents(
    **{
      name: low + (high - low) * draw
      for (name, (low, high)), draw in zip(ranges.items(), draws, strict=True)
    }
  )


def _generator(*words: int) -> np.random.Generator:
  return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


def sample_identity(seed: int, identity: int) -> Latents:
  """What all images of one person share.

  Returns:
    The entries of IDENTITY_RANGES, the colours `skin`, `hair`, `iris`, `lips`,
    `brow`, and `marks`, float [n, 3]: x, y from the middle of the face and the
    size of each mole and freckle.
  """
  generator = _generator(seed, identity, 0)
  person = _sample(IDENTITY_RANGES, generator)
  skin = along(SKIN, person.melanin**1.2)
  red, warm = person.ruddiness, person.warmth
  skin = (
    min(255, round(skin[0] * (1 + 0.03 * red))),
    round(skin[1] * (1 - 0.04 * red)),
    round(skin[2] * (1 - 0.03 * red - 0.08 * warm)),
  )
  # Dark skin comes mostly with dark hair and eyes, as it does in people.
  pale = 1 - 0.85 * person.melanin
  hair = along(HAIR, person.hair_tone * pale)
  grey = max(0.0, person.age - 0.62) * 2
  person.skin = skin
  person.hair = mix(hair, (190, 188, 186), min(0.9, grey))
  person.iris = along(IRIS, person.iris_tone * pale)
  person.brow = mix(
    mix(hair, person.hair, 0.5), skin, 0.05 + 0.35 * person.brow_tone
  )
  rouge = (176, 52, 60) if person.masculinity < 0.5 else (160, 84, 78)
  person.lips = mix(
    shaded(skin, 0.86),
    shaded(rouge, 0.6 + 0.4 * pale),
    0.3 + 0.45 * person.lip_red,
  )
  moles = int(person.moles * 4)
  freckled = person.freckles > 0.84 and person.melanin < 0.5
  count = moles + 26 * freckled
  marks = generator.random((30, 3)) * (60, 62, 1) + (-30, 40, 0)
  marks[:, 2] = np.where(np.arange(30) < moles, 1.1, 0.45)
  person.marks = marks[:count]
  return person


def sample_image(seed: int, identity: int, image: int) -> Latents:
  """What one photo of a person adds.

  Returns:
    The entries of IMAGE_RANGES, with `generator` left to draw the rest.
  """
  generator = _generator(seed, identity, 1, image)
  photo = _sample(IMAGE_RANGES, generator)
  photo.generator = generator
  return photo
