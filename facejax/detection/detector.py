"""Faces and their landmarks in photos."""

import dataclasses
import math
from collections.abc import Sequence

import jax
import numpy as np

from facejax.array_typing import UInt8
from facejax.detection import cascade
from facejax.detection.weights import load_weights
from facejax.errors import UsageError


@dataclasses.dataclass(frozen=True, slots=True)
class Face:
  """One face of a photo.

  Attributes:
    box: x1, y1, x2, y2 in photo pixels; it may reach beyond the photo.
    score: probability that it is a face.
    landmarks: float32 [5, 2], (x, y) in photo pixels of left eye, right eye,
      nose, left and right mouth corner, left as seen in the image.
  """

  box: tuple[float, float, float, float]
  score: float
  landmarks: np.ndarray


class FaceDetector:
  """MTCNN with the weights of the `mtcnn` wheel.

  References:
    Zhang et al., Joint Face Detection and Alignment using Multi-task Cascaded
    Convolutional Networks, 2016, https://arxiv.org/abs/1604.02878.
  """

  def __init__(
    self,
    *,
    min_face_size: float | int = 20,
    min_face_fraction: float = 0.02,
    scale_factor: float = 0.709,
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
  ):
    """Loads the weights.

    Args:
      min_face_size: side of the smallest face that is sought, pixels.
      min_face_fraction: the same as a fraction of the photo's longer side; the
        larger of both counts. It bounds the work for photos of many megapixels,
        which would otherwise be searched for faces nobody can recognise.
      scale_factor: between levels of the pyramid, below 1; nearer to 1 finds
        more and takes longer.
      thresholds: scores that boxes must exceed in P-Net, R-Net and O-Net.

    Raises:
      UsageError: a value out of its range.
      DataError: the weights are not installed, or not what they should be.
    """
    if not min_face_size >= 12:
      raise UsageError(
        f'min_face_size {min_face_size}: MTCNN sees faces of 12 pixels or more'
      )
    if not 0 <= min_face_fraction <= 1:
      raise UsageError(f'min_face_fraction {min_face_fraction}: use 0 to 1')
    if not 0 < scale_factor < 1:
      raise UsageError(f'scale_factor {scale_factor}: use a value in (0, 1)')
    if not all(0 <= threshold < 1 for threshold in thresholds):
      raise UsageError(f'thresholds {thresholds}: use values of 0 or more, < 1')
    self.min_face_size = min_face_size
    self.min_face_fraction = min_face_fraction
    self.scale_factor = scale_factor
    self.thresholds = thresholds
    self._params = jax.device_put(load_weights())

  def detect(
    self, photos: Sequence[UInt8[np.ndarray, '_ _ 3']]
  ) -> list[list[Face]]:
    """Finds the faces of every photo, best first.

    Args:
      photos: uint8 [H, W, 3] each, RGB, of any size; those that are smaller
        than the smallest face have none.
    """
    smallest = [
      max(self.min_face_size, self.min_face_fraction * max(photo.shape[:2]))
      for photo in photos
    ]
    params, thresholds = self._params, self.thresholds
    found = cascade.propose(
      params['pnet'],
      photos,
      smallest,
      scale_factor=self.scale_factor,
      threshold=thresholds[0],
    )
    found = cascade.refine(
      params['rnet'], photos, found, threshold=thresholds[1]
    )
    found = cascade.decide(
      params['onet'], photos, found, threshold=thresholds[2]
    )
    faces = [[] for _ in photos]
    for i, owner in enumerate(found.owners):
      faces[owner].append(
        Face(
          tuple(found.boxes[i].tolist()),
          float(found.scores[i]),
          found.landmarks[i],
        )
      )
    return faces


def choose_face(
  faces: Sequence[Face], photo_size: tuple[int, int]
) -> Face | None:
  """The face that a photo is of: nearest to its centre (spec 1.1).

  Args:
    faces: of one photo.
    photo_size: (height, width) of the photo, pixels.

  Returns:
    One of `faces`, or None if there is none.
  """
  height, width = photo_size

  def distance(face: Face) -> float:
    x1, y1, x2, y2 = face.box
    return math.hypot(x1 + x2 - width, y1 + y2 - height)

  return min(faces, key=distance, default=None)
