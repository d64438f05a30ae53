"""Synthetic people: a source of drawn, labelled, aligned face crops.

For tests, demonstrations and benchmarks without a data set. A person is a
random draw of face geometry, colours, hair and habits; an image of the person
adds pose, light, expression, occlusion and the camera. The pixels are a pure
function of (seed, identity, image).
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import cv2
import numpy as np

from facejax.array_typing import UInt8
from facejax.data import face_cover, face_drawing, face_hair
from facejax.data.face_latents import Latents, sample_identity, sample_image
from facejax.data.face_light import light
from facejax.data.face_sketch import DOUBLE, FULL, Sketch, View
from facejax.data.images import decode_image, encode_jpeg
from facejax.errors import UsageError

_EXACT = cv2.INTER_LINEAR_EXACT  # the same bits on every processor
_LEVELS = np.arange(256) / 255.0


@functools.cache
def _scenery() -> UInt8[np.ndarray, '1024 1024 3']:
  """A wide out-of-focus scene of random shapes; backgrounds are cut from it."""
  generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(11)))
  scene = np.full((512, 512, 3), 128, np.uint8)
  for number in range(1500):
    x, y = generator.integers(-40, 512, 2).tolist()
    width, height = generator.integers(6, 110, 2).tolist()
    grey, tint = generator.integers(15, 240), generator.integers(-55, 56, 3)
    color = np.clip(grey + tint, 0, 255).tolist()
    cv2.rectangle(scene, (x, y), (x + width, y + height), color, -1)
    if number % 300 == 299:  # older shapes are further out of focus
      scene = cv2.blur(scene, (7, 7))
  return cv2.resize(scene, (1024, 1024), interpolation=_EXACT)


def _background(photo: Latents) -> UInt8[np.ndarray, '224 224 3']:
  x, y = photo.generator.integers(0, 1024 - 224, 2).tolist()
  return _scenery()[y : y + 224, x : x + 224].copy()


def _blend(
  image: np.ndarray, other: np.ndarray, mask: np.ndarray
) -> np.ndarray:
  """`other` where the mask is 255, `image` where it is 0; exact integers."""
  share = cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB).astype(np.uint16)
  share += share >> 7
  blended = image * (256 - share)
  blended += other * share
  return (blended >> 8).astype(np.uint8)


def _photograph(image: np.ndarray, photo: Latents) -> np.ndarray:
  """Exposure, blur, low resolution or JPEG, and grain."""
  curve = _LEVELS**photo.gamma * photo.gain * (255 - photo.fade) + photo.fade
  image = cv2.LUT(image, np.minimum(curve, 255).astype(np.uint8))
  if photo.blur > 0.7:
    size = 5 if photo.blur > 0.92 else 3
    image = cv2.blur(image, (size, size))
  if photo.soft > 0.85:
    side = round(40 + 300 * (1 - photo.soft))
    image = cv2.resize(image, (side, side), interpolation=_EXACT)
    image = cv2.resize(image, (112, 112), interpolation=_EXACT)
  elif photo.soft > 0.6:
    quality = round(20 + 60 * (photo.soft - 0.6) * 4)
    image = decode_image(encode_jpeg(image, quality=quality), 'a drawn face')
  grain = _noise(round(1 + 7 * photo.noise**3))
  start = photo.generator.integers(0, grain.shape[1] - image.size)
  bright, dim = grain[:, start : start + image.size].reshape(2, *image.shape)
  return cv2.subtract(cv2.add(image, bright), dim)


@functools.cache
def _noise(sigma: int) -> UInt8[np.ndarray, '2 n']:
  """What a strip of film grain of one deviation adds and takes away."""
  generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(3)))
  normal = generator.integers(0, 256, (4, 1 << 18), np.uint8).sum(0) - 510.0
  grain = np.rint(normal * (sigma / 148))
  return np.maximum([grain, -grain], 0).astype(np.uint8)


def draw_face(
  seed: int, identity: int, image: int
) -> UInt8[np.ndarray, '112 112 3']:
  """Draws one aligned crop.

  Args:
    seed: the world, 0 or more; another seed has other people.
    identity: the person, 0 or more.
    image: the photo of that person, 0 or more.

  Returns:
    RGB pixels whose eyes, nose and mouth lie about TEMPLATE_112; the same
    for the same arguments with the same NumPy and OpenCV.
  """
  person = sample_identity(seed, identity)
  photo = sample_image(seed, identity, image)
  view = View(photo)
  skull = face_drawing.skull_outline(person)
  mouth = face_drawing.mouth_edges(person, photo)
  canvas = _background(photo)
  cloth, thing = photo.generator.integers(10, 240, (2, 3)).tolist()
  sketch = Sketch(view, DOUBLE)
  face_drawing.draw_head(sketch, person, skull, tuple(cloth))
  face_drawing.draw_features(sketch, person, photo, mouth)
  sketch.draw(canvas)
  face = cv2.resize(canvas, (112, 112), interpolation=cv2.INTER_AREA)
  grey = face_hair.hair_strands(person, photo)
  mask = face_hair.hair_mask(view, person, photo, grey)
  beard = face_hair.beard_mask(view, person, photo, skull, mouth)
  if beard is not None:
    mask = cv2.max(mask, beard)
  face = _blend(face, face_hair.hair_pixels(person, grey), mask)
  sketch = Sketch(view, FULL)
  face_cover.draw_glasses(sketch, person, photo)
  face_cover.draw_occluder(sketch, person, photo, tuple(thing))
  sketch.draw(face)
  lit = face.astype(np.uint16) * light(view, person, photo, mouth) >> 7
  return _photograph(np.minimum(lit, 255).astype(np.uint8), photo)


class SyntheticFaces:
  """A random-access source of drawn faces, in order of the person.

  Invariants: image `index` shows person `index // images_per_identity`; the
  pixels depend on (seed, identity, image) alone, so any order, process or
  machine gives the same; an instance holds four integers and no state.

  Attributes:
    num_identities: how many people.
    images_per_identity: how many images of each.
    seed: the world that the people are drawn from.
    first_identity: the first person's number; ranges that do not meet hold
      different people.

  Raises:
    UsageError: a count below 1, or a negative seed or first_identity.
  """

  def __init__(
    self,
    num_identities: int,
    images_per_identity: int,
    *,
    seed: int = 0,
    first_identity: int = 0,
  ):
    for name, value, least in (
      ('num_identities', num_identities, 1),
      ('images_per_identity', images_per_identity, 1),
      ('seed', seed, 0),
      ('first_identity', first_identity, 0),
    ):
      if value < least:
        raise UsageError(
          f'synthetic faces: {name} is {value}, use {least} or more'
        )
    self.num_identities = num_identities
    self.images_per_identity = images_per_identity
    self.seed = seed
    self.first_identity = first_identity

  def __len__(self) -> int:
    return self.num_identities * self.images_per_identity

  def __repr__(self) -> str:
    return (
      f'SyntheticFaces({self.num_identities}, {self.images_per_identity}, '
      f'seed={self.seed}, first_identity={self.first_identity})'
    )

  @property
  def identities(self) -> Sequence[str]:
    """The people's names, by label."""
    return [self._name(label) for label in range(self.num_identities)]

  def _name(self, label: int) -> str:
    return f'synthetic_{self.first_identity + label:06d}'

  def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
    """One image.

    Args:
      index: 0 .. len - 1, any integer type.

    Returns:
      `image` uint8 [112, 112, 3] RGB, `label` 0 .. num_identities - 1, and
      `key`, a name for the image like 'synthetic_000012/0003'.

    Raises:
      IndexError: there is no such image.
    """
    index = operator.index(index)
    if not 0 <= index < len(self):
      raise IndexError(f'image {index} of {len(self)} synthetic faces')
    label, image = divmod(index, self.images_per_identity)
    return {
      'image': draw_face(self.seed, self.first_identity + label, image),
      'label': label,
      'key': f'{self._name(label)}/{image:04d}',
    }
