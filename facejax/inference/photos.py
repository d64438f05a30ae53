"""From photos of any size to embeddings: detect, choose, align, embed."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import jax
import numpy as np

from facejax import files
from facejax.array_typing import AnyArray, Float, UInt8
from facejax.data.alignment import align_face, similarity_transform, template
from facejax.data.images import decode_image
from facejax.data.preprocessing import CANONICAL_SIZE
from facejax.detection import Face, FaceDetector, choose_face
from facejax.errors import DataError, UsageError
from facejax.inference.face_model import FaceModel

# A path, or pixels uint8 [H, W, 3] in RGB order.
Photo = Any
# Of photos that are looked at together, unless one has more: 100 MB.
_PIXELS_AT_ONCE = 1 << 25
# Linear interpolation sees all pixels down to half the photo's scale.
_FINEST_SCALE = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class EmbeddedPhoto:
  """The face that a photo is of.

  Invariant: crop and embedding are both there or both None, and so is the face
  where it was looked for.

  Attributes:
    name: what errors call the photo: its path, or 'photo 0', 'photo 1', ...
    face: the one nearest to the middle of the photo, in photo pixels; None if
      none was found, or if the photo was an aligned crop to begin with.
    num_faces: how many were found; None if none was looked for.
    crop: uint8 [112, 112, 3] RGB, aligned to the template of spec 1.2.
    embedding: float32 [D], unit norm.
  """

  name: str
  face: Face | None
  num_faces: int | None
  crop: np.ndarray | None
  embedding: np.ndarray | None


@functools.cache
def _default_detector() -> FaceDetector:
  """The one that callers share who bring none."""
  return FaceDetector()


def photo_name(photo: Photo, number: int) -> str:
  """What errors call a photo."""
  is_path = isinstance(photo, (str, os.PathLike))
  return os.fspath(photo) if is_path else f'photo {number}'


def read_photo(photo: Photo, name: str) -> UInt8[np.ndarray, 'H W 3']:
  """The pixels of a photo, turned as its EXIF orientation says.

  Args:
    photo: path of a JPEG, PNG, BMP or WebP file, grey or with transparency
      too, or an array uint8 [H, W, 3] in RGB order.
    name: what to call it in an error.

  Raises:
    DataError: a file that cannot be read or is no image, or another array.
  """
  if isinstance(photo, (str, os.PathLike)):
    try:
      return decode_image(files.Path(photo).read_bytes(), name)
    except OSError as error:
      reason = error.strerror or error
      raise DataError(f'{name}: cannot be read ({reason})') from None
  if not isinstance(photo, (np.ndarray, jax.Array)):
    given = f'a {type(photo).__name__}'
  elif photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
    given = f'{photo.dtype} {list(photo.shape)}'
  elif not photo.size:
    given = f'no pixels, {list(photo.shape)}'
  else:
    return np.ascontiguousarray(photo)
  raise DataError(
    f'{name}: expected a path or an array uint8 [H, W, 3], RGB, got {given}'
  )


def align_photo(
  photo: UInt8[np.ndarray, 'H W 3'], landmarks: Float[np.ndarray, '5 2']
) -> UInt8[np.ndarray, '112 112 3']:
  """`align_face` for faces of any size.

  Alignment samples a photo without a filter before it, so most pixels of a very
  large face would be skipped and the noise of the others kept: such a photo is
  shrunk first, by averages, to no less than twice the crop's scale. Those that
  exceed the crop's scale less than four times are left as they are.

  Args:
    photo: uint8 [H, W, 3] RGB.
    landmarks: float [5, 2], (x, y) in photo pixels.

  Raises:
    DataError: the landmarks belong to no face.
  """
  matrix = similarity_transform(landmarks, template(CANONICAL_SIZE))
  scale = np.hypot(matrix[0, 0], matrix[1, 0])
  factor = int(_FINEST_SCALE / scale)
  if factor > 1:
    full = np.array(photo.shape[1::-1])
    size = np.maximum(full // factor, 1)
    photo = cv2.resize(photo, size.tolist(), interpolation=cv2.INTER_AREA)
    # Landmarks count from the centre of the first pixel.
    landmarks = (landmarks + 0.5) * (size / full) - 0.5
  return align_face(photo, landmarks)


def _groups(
  photos: Sequence[Photo] | AnyArray, batch_size: int
) -> Iterator[list[tuple[str, np.ndarray]]]:
  """Names and pixels, as many at a time as are looked at together."""
  group, pixels = [], 0
  for number, photo in enumerate(photos):
    name = photo_name(photo, number)
    image = read_photo(photo, name)
    area = image.shape[0] * image.shape[1]
    if group and (len(group) == batch_size or pixels + area > _PIXELS_AT_ONCE):
      yield group
      group, pixels = [], 0
    group.append((name, image))
    pixels += area
  if group:
    yield group


def _ahead(groups: Iterator[list]) -> Iterator[list]:
  """Passes groups on, the next one being read while one is in use."""
  with ThreadPoolExecutor(1) as pool:
    waiting = pool.submit(next, groups, None)
    while (group := waiting.result()) is not None:
      waiting = pool.submit(next, groups, None)
      yield group


def _cut(name: str, photo: np.ndarray, faces: Sequence[Face]) -> EmbeddedPhoto:
  """The crop of the face that a photo is of, yet without its embedding."""
  face, crop = choose_face(faces, photo.shape[:2]), None
  if face is not None:
    try:
      crop = align_photo(photo, face.landmarks)
    except DataError:  # five points that no face can have: none was found
      face = None
  return EmbeddedPhoto(name, face, len(faces), crop, None)


def find_faces(
  photos: Sequence[Photo] | AnyArray,
  *,
  detector: FaceDetector | None = None,
  batch_size: int = 32,
) -> Iterator[EmbeddedPhoto]:
  """One result a photo, in order, yet without embeddings; see `embed_photos`.

  Args:
    photos: see `embed_photos`.
    detector: see `embed_photos`.
    batch_size: photos in one call of the detector.

  Raises:
    DataError: a photo that cannot be read.
  """
  detector = detector or _default_detector()
  for group in _ahead(_groups(photos, batch_size)):
    found = detector.detect([image for _, image in group])
    for (name, image), faces in zip(group, found, strict=True):
      yield _cut(name, image, faces)


def embed_found(
  model: FaceModel, found: Sequence[EmbeddedPhoto], *, batch_size: int
) -> list[EmbeddedPhoto]:
  """Fills in the embeddings of the crops there are.

  The last batch is filled up to a power of two, so that few sizes are compiled
  whatever numbers come.

  Args:
    model: embeds the crops.
    found: of photos, in any order.
    batch_size: crops in one call of the model.
  """
  embedded = list(found)
  places = [i for i, photo in enumerate(found) if photo.crop is not None]
  for start in range(0, len(places), batch_size):
    batch = places[start : start + batch_size]
    size = min(batch_size, 1 << (len(batch) - 1).bit_length())
    crops = np.zeros((size, *CANONICAL_SIZE, 3), np.uint8)
    crops[: len(batch)] = [found[i].crop for i in batch]
    for i, row in zip(batch, model.embed(crops)[: len(batch)], strict=True):
      embedded[i] = dataclasses.replace(found[i], embedding=row)
  return embedded


def embed_photos(
  model: FaceModel,
  photos: Sequence[Photo] | AnyArray,
  *,
  detector: FaceDetector | None = None,
  batch_size: int = 32,
) -> list[EmbeddedPhoto]:
  """Embeds the face that each photo is of.

  Of several faces the one nearest to the middle counts, as in the preparation
  of training sets (spec 1.1). A photo without a face is an answer and no error:
  its `face`, `crop` and `embedding` are None. However many photos there are,
  100 MB of them are held, as much is read ahead, and one more.

  Args:
    model: embeds the crops, by its own preprocessing.
    photos: paths, or arrays uint8 [H, W, 3] in RGB order, of any size.
    detector: None takes a `FaceDetector` with its defaults, which sees faces
      of at least 20 pixels and 2 % of the longer side.
    batch_size: photos a call of the detector, and crops a call of the model.

  Returns:
    One result a photo, in order.

  Raises:
    DataError: a photo that cannot be read; says which.
    UsageError: one photo instead of several, or a batch size below 1.
  """
  if isinstance(photos, (str, os.PathLike)) or getattr(photos, 'ndim', 4) == 3:
    raise UsageError('embed_photos takes a list of photos: [photo] for one')
  if batch_size < 1:
    raise UsageError(f'batch_size {batch_size}: use at least 1')
  found = files.progress(
    find_faces(photos, detector=detector, batch_size=batch_size),
    desc='finding faces',
    total=len(photos),
    unit='img',
    delay=5,
  )
  return embed_found(model, list(found), batch_size=batch_size)
