"""From photos to aligned crops, behind one interface."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from facejax import files
from facejax.array_typing import Float, UInt8
from facejax.data.alignment import align_face, template
from facejax.data.landmarks import LandmarkList
from facejax.errors import DataError

# The middle of an LFW photo that the template covers, as fractions of the
# photo's side: medians over the published landmarks of 60 photos.
FALLBACK_SIDE = 0.52
FALLBACK_CENTRE = (0.5, 0.465)


@dataclasses.dataclass(frozen=True)
class Aligned:
  """A photo after its alignment.

  Attributes:
    crop: uint8 [h, w, 3] RGB, or None where no face could be cut out.
    reason: why not, empty otherwise.
    fallback: whether the middle of the photo stands for a face not found.
  """

  crop: np.ndarray | None
  reason: str = ''
  fallback: bool = False


@runtime_checkable
class Aligner(Protocol):
  """Cuts aligned crops from photos; callable from several threads."""

  batch_size: int

  def align(
    self, photos: Sequence[np.ndarray], paths: Sequence[str]
  ) -> list[Aligned]:
    """One result a photo, uint8 [H, W, 3] RGB, in order."""

  def describe(self) -> dict[str, Any]:
    """How it aligns, as JSON values for the manifest."""


def centre_landmarks(photo_size: tuple[int, int]) -> Float[np.ndarray, '5 2']:
  """Where the landmarks would be if the photo were framed like LFW's.

  Args:
    photo_size: (height, width), pixels; of the longer side the middle counts.

  Returns:
    float64 [5, 2], such that the 112 x 112 template covers a square of
    FALLBACK_SIDE of the shorter side about FALLBACK_CENTRE.
  """
  side = min(photo_size)
  height, width = photo_size
  corner = np.array([width - side, height - side]) / 2
  # Pixel centres: the middle of a side of n pixels is at (n - 1) / 2.
  centre = corner + np.array(FALLBACK_CENTRE) * side - 0.5
  scale = FALLBACK_SIDE * side / 112
  return centre + (template((112, 112)) - 55.5) * scale


def cut_face(
  photo: np.ndarray,
  landmarks: np.ndarray | None,
  reason: str,
  image_size: tuple[int, int],
  fallback: bool,
) -> Aligned:
  """The crop by the landmarks, or what stands for it.

  Args:
    photo: uint8 [H, W, 3] RGB.
    landmarks: [5, 2] in it, None where none were found.
    reason: why there are none.
    image_size: (height, width) of the crop, pixels.
    fallback: whether the middle stands for a face not found.
  """
  if landmarks is not None:
    try:
      return Aligned(align_face(photo, landmarks, image_size))
    except DataError as error:
      reason = str(error)
  if fallback:
    middle = centre_landmarks(photo.shape[:2])
    return Aligned(align_face(photo, middle, image_size), fallback=True)
  return Aligned(None, reason)


class LandmarkAligner:
  """Crops photos by a list of landmarks."""

  batch_size = 16

  def __init__(
    self,
    landmarks: LandmarkList,
    image_size: tuple[int, int],
    *,
    fallback: bool = False,
  ):
    """Keeps the list.

    Args:
      landmarks: of the photos, found by their paths.
      image_size: (height, width) of the crops, pixels.
      fallback: whether the middle of a photo stands for one not listed.

    Raises:
      UsageError: no template has this size.
    """
    template(image_size)
    self._image_size, self._fallback = tuple(image_size), fallback
    self._landmarks = landmarks

  def align(
    self,
    photos: Sequence[UInt8[np.ndarray, '_ _ 3']],
    paths: Sequence[str],
  ) -> list[Aligned]:
    """One result a photo, uint8 [H, W, 3] RGB, in order."""
    results = []
    for photo, path in zip(photos, paths, strict=True):
      points, reason = None, ''
      try:
        points = self._landmarks.find(path)
      except DataError as error:
        reason = str(error)
      results.append(
        cut_face(photo, points, reason, self._image_size, self._fallback)
      )
    return results

  def describe(self) -> dict[str, Any]:
    """How it aligns, as JSON values for the manifest."""
    return {
      'method': 'landmarks',
      'landmarks': str(self._landmarks.path),
      'landmarks_sha256': files.checksum(self._landmarks.path),
      'landmarks_scale': self._landmarks.scale,
      'fallback': self._fallback,
      'template': template(self._image_size).tolist(),
    }
