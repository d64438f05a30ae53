"""Alignment of photos by the faces that MTCNN finds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax.array_typing import UInt8
from facejax.data.alignment import template
from facejax.detection import FaceDetector, choose_face
from facejax.preparation.aligners import Aligned, cut_face


class MtcnnAligner:
  """Finds the face nearest to the middle of every photo (spec 1.1)."""

  batch_size = 32

  def __init__(
    self,
    image_size: tuple[int, int],
    *,
    fallback: bool = False,
    min_face_size: float | int = 20,
  ):
    """Loads the detector.

    Args:
      image_size: (height, width) of the crops, pixels.
      fallback: whether the middle of a photo stands for a face not found.
      min_face_size: side of the smallest face that is sought, pixels.

    Raises:
      UsageError: no template has this size, or the face is too small.
      DataError: the weights are not installed.
    """
    template(image_size)
    self._image_size, self._fallback = tuple(image_size), fallback
    self._detector = FaceDetector(min_face_size=min_face_size)

  def align(
    self,
    photos: Sequence[UInt8[np.ndarray, '_ _ 3']],
    paths: Sequence[str],
  ) -> list[Aligned]:
    """One result a photo, uint8 [H, W, 3] RGB, in order."""
    del paths
    results = []
    found = self._detector.detect(photos)
    for photo, faces in zip(photos, found, strict=True):
      face = choose_face(faces, photo.shape[:2])
      landmarks = None if face is None else face.landmarks
      results.append(
        cut_face(
          photo, landmarks, 'no face found', self._image_size, self._fallback
        )
      )
    return results

  def describe(self) -> dict[str, Any]:
    """How it aligns, as JSON values for the manifest."""
    return {
      'method': 'mtcnn',
      'choice': 'nearest to the centre of the photo',
      'min_face_size': self._detector.min_face_size,
      'min_face_fraction': self._detector.min_face_fraction,
      'scale_factor': self._detector.scale_factor,
      'thresholds': list(self._detector.thresholds),
      'fallback': self._fallback,
      'template': template(self._image_size).tolist(),
    }
