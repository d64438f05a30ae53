"""Whether two photos show one person."""

import dataclasses
import math
from typing import Any

import numpy as np

from facejax.data.preprocessing import CANONICAL_SIZE
from facejax.detection import FaceDetector
from facejax.errors import DataError, UsageError
from facejax.inference.face_model import FaceModel
from facejax.inference.photos import (
  EmbeddedPhoto,
  Photo,
  embed_found,
  find_faces,
  photo_name,
  read_photo,
)

DEFAULT_FAR = 1e-3


@dataclasses.dataclass(frozen=True)
class Verdict:
  """The answer about two photos.

  Attributes:
    same: whether the similarity is above the threshold.
    similarity: cosine of the two embeddings, -1 .. 1.
    threshold: of the similarity.
    far: the false-accept rate that the threshold was calibrated for; None for
      a threshold that the caller chose.
    far_interval: bounds of the rate that the calibration set leaves open;
      None if they are not known.
    photos: what was found in the two photos.
  """

  same: bool
  similarity: float
  threshold: float
  far: float | None
  far_interval: tuple[float, float] | None
  photos: tuple[EmbeddedPhoto, EmbeddedPhoto]

  def to_json(self) -> dict[str, Any]:
    """The answer as JSON values, without crops and embeddings."""
    names = ('same', 'similarity', 'threshold', 'far')
    interval = self.far_interval
    return {
      **{name: getattr(self, name) for name in names},
      'far_interval': None if interval is None else list(interval),
      'faces': [_face_to_json(photo) for photo in self.photos],
    }


def _face_to_json(photo: EmbeddedPhoto) -> dict[str, Any]:
  """Where the face of a photo is."""
  values = {'path': photo.name, 'num_faces': photo.num_faces}
  face = photo.face
  if face is None:
    return values | {'box': None, 'score': None, 'landmarks': None}
  return values | {
    'box': list(face.box),
    'score': face.score,
    'landmarks': face.landmarks.tolist(),
  }


def choose_operating_point(
  model: FaceModel,
  *,
  far: float | None = None,
  threshold: float | int | None = None,
) -> dict[str, Any]:
  """The threshold to decide by.

  Args:
    model: with the thresholds of its `model.json`.
    far: one of the false-accept rates that were calibrated; None takes the one
      nearest to 1e-3 in order of magnitude, the smaller of two equally near.
    threshold: of the cosine, instead of a calibrated one.

  Returns:
    {'threshold', 'far', 'far_interval'}; the last two None where not known.

  Raises:
    UsageError: both are given, a threshold out of -1 .. 1, a rate that was not
      calibrated, or a model without thresholds and no threshold given.
  """
  if threshold is not None:
    if far is not None:
      raise UsageError('a far and a threshold are given: leave one out')
    if not -1 <= threshold <= 1:
      raise UsageError(f'a threshold of {threshold}: cosines are -1 to 1')
    return {
      'threshold': float(threshold),
      'far': None,
      'far_interval': None,
    }
  entries = (model.description['thresholds'] or {}).get('at', [])
  if not entries:
    raise UsageError(
      f'{model.directory.path} has no calibrated threshold: give one '
      '(--threshold), or calibrate the model with people held out of its '
      'training (launch.import_weights --calibration, launch.train '
      '--config.data.calibration)'
    )
  if far is None:
    far = min((entry['far'] for entry in entries), key=_far_from_default)
  threshold = model.threshold_at(far)
  entry = min(entries, key=lambda entry: abs(entry['far'] - far))
  interval = entry.get('far_interval')
  return {
    'threshold': float(threshold),
    'far': entry['far'],
    'far_interval': None if interval is None else tuple(map(float, interval)),
  }


def _far_from_default(far: float) -> tuple[float, float]:
  """Sorts rates by their distance from the default in orders of magnitude."""
  return round(abs(math.log10(far / DEFAULT_FAR)), 6), far


def _take_crop(photo: Photo, number: int) -> EmbeddedPhoto:
  """A crop that was aligned by somebody else, yet without its embedding."""
  name = photo_name(photo, number)
  crop = read_photo(photo, name)
  height, width = crop.shape[:2]
  if (height, width) != CANONICAL_SIZE:
    raise DataError(
      f'{name}: {width}x{height} pixels, where aligned crops have 112x112: '
      'leave out aligned (--aligned) for photos'
    )
  return EmbeddedPhoto(name, None, None, crop, None)


def verify(
  model: FaceModel,
  photo_a: Photo,
  photo_b: Photo,
  *,
  far: float | None = None,
  threshold: float | int | None = None,
  aligned: bool = False,
  detector: FaceDetector | None = None,
) -> Verdict:
  """Whether two photos show one person: cosine > threshold (spec 13.5).

  Args:
    model: embeds the faces.
    photo_a: path, or array uint8 [H, W, 3] in RGB order, of any size.
    photo_b: the other photo.
    far: the share of pairs of different people that may be taken for one, see
      `choose_operating_point`; None means 1e-3 where it was calibrated.
    threshold: of the cosine, instead of the model's own.
    aligned: the photos are 112 x 112 crops, aligned to the template of spec
      1.2, and no face is looked for.
    detector: finds the faces, see `embed_photos`.

  Raises:
    DataError: a photo that cannot be read, or has no face; says which.
    UsageError: no threshold to decide by, see `choose_operating_point`.
  """
  point = choose_operating_point(model, far=far, threshold=threshold)
  if aligned:
    found = [_take_crop(photo_a, 0), _take_crop(photo_b, 1)]
  else:
    found = list(find_faces((photo_a, photo_b), detector=detector))
  for photo in found:
    if photo.crop is None:
      raise DataError(
        f'{photo.name}: no face was found: give a photo with a larger, sharper '
        'or more frontal face, or an aligned 112x112 crop (--aligned)'
      )
  # One at a time: loading the model has compiled just that.
  photos = embed_found(model, found, batch_size=1)
  cosine = float(np.dot(photos[0].embedding, photos[1].embedding))
  similarity = min(max(cosine, -1.0), 1.0)  # rounding can pass the bounds
  return Verdict(
    same=similarity > point['threshold'],
    similarity=similarity,
    photos=tuple(photos),
    **point,
  )
