"""Random changes of aligned crops during training, on the host.

Each has a probability and, but for the mirror, is off by default. All of an
image's numbers come from one draw of fixed length, so switching one change on
does not alter what the others do to it.
"""

import dataclasses
import functools

import cv2
import numpy as np

from facejax.array_typing import Float, UInt8
from facejax.data.images import encode_jpeg
from facejax.errors import UsageError

Number = float | int
_PROBABILITIES = (
  'mirror',
  'warp',
  'crop',
  'low_resolution',
  'blur',
  'color',
  'grayscale',
  'jpeg',
  'occlusion',
)
_MIN_SIGMA = 0.5  # a weaker blur changes nothing
NUM_DRAWS = 29  # uniform numbers that one image takes
_LEVELS = np.arange(256, dtype=np.float32) / 255


@dataclasses.dataclass(frozen=True)
class Augmentation:
  """What may happen to a crop, in the order in which it does.

  Attributes:
    mirror: probability of exchanging left and right.
    shift: largest displacement in x and in y, whole pixels, always drawn.
    warp: probability of a change of scale and rotation.
    warp_scale: largest relative change of size, either way.
    warp_rotation: largest angle, degrees, either way.
    crop: probability of cutting out a square and enlarging it to the whole.
    crop_size: smallest side of that square as a share of the crop's.
    low_resolution: probability of shrinking the crop and enlarging it again.
    low_resolution_size: smallest side that it is shrunk to, pixels.
    blur: probability of a Gaussian blur.
    blur_sigma: largest standard deviation, pixels.
    color: probability of a change of brightness, contrast and gamma.
    color_strength: largest change: of brightness as a share of 255, of
      contrast relative, of gamma as 2 ** (+-2 strength).
    grayscale: probability of losing the colours.
    jpeg: probability of strong JPEG artefacts.
    jpeg_quality: lowest quality, 1 to 95.
    occlusion: probability of a rectangle of one random colour.
    occlusion_size: largest side of it as a share of the crop's.
  """

  mirror: Number = 0.5
  shift: int = 0
  warp: Number = 0.0
  warp_scale: Number = 0.1
  warp_rotation: Number = 10.0
  crop: Number = 0.0
  crop_size: Number = 0.8
  low_resolution: Number = 0.0
  low_resolution_size: int = 28
  blur: Number = 0.0
  blur_sigma: Number = 1.5
  color: Number = 0.0
  color_strength: Number = 0.25
  grayscale: Number = 0.0
  jpeg: Number = 0.0
  jpeg_quality: int = 30
  occlusion: Number = 0.0
  occlusion_size: Number = 0.5

  def __post_init__(self):
    ranges = dict.fromkeys(_PROBABILITIES, (0, 1)) | {
      'shift': (0, 56),
      'warp_scale': (0, 0.9),
      'warp_rotation': (0, 180),
      'crop_size': (0.1, 1),
      'low_resolution_size': (1, 112),
      'blur_sigma': (_MIN_SIGMA, 20),
      'color_strength': (0, 0.9),
      'jpeg_quality': (1, 95),
      'occlusion_size': (0, 1),
    }
    for name, (low, high) in ranges.items():
      if not low <= getattr(self, name) <= high:
        raise UsageError(
          f'augmentation: {name} is {getattr(self, name)}, use {low} to {high}'
        )
    if int(self.shift) != self.shift:
      raise UsageError(f'augmentation: shift is {self.shift}, use whole pixels')

  @functools.cached_property
  def is_identity(self) -> bool:
    """Whether no image is ever changed."""
    return not (self.shift or any(getattr(self, p) for p in _PROBABILITIES))


def _move(
  image: np.ndarray, augmentation: Augmentation, draws: np.ndarray
) -> np.ndarray:
  """Mirror, shift, scale and rotation in one resampling.

  Args:
    image: uint8 [112, 112, 3].
    augmentation: how much.
    draws: [6] uniform numbers: mirror, x, y, warp, scale, rotation.
  """
  mirror = draws[0] < augmentation.mirror
  warp = draws[3] < augmentation.warp
  if not (warp or augmentation.shift):
    return cv2.flip(image, 1) if mirror else image
  choices = 2 * augmentation.shift + 1
  shift = np.floor(draws[1:3] * choices) - augmentation.shift
  if not (mirror or warp or shift.any()):
    return image
  height, width = image.shape[:2]
  if warp:
    scale = 1 + augmentation.warp_scale * (2 * draws[4] - 1)
    angle = augmentation.warp_rotation * (2 * draws[5] - 1)
    centre = ((width - 1) / 2, (height - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, angle, scale)
  else:
    matrix = np.eye(2, 3)
  if mirror:
    matrix[0] = (0, 0, width - 1) - matrix[0]
  matrix[:, 2] += shift
  return cv2.warpAffine(
    image,
    matrix,
    (width, height),
    # Whole pixels need no interpolation, which takes four times as long.
    flags=cv2.INTER_LINEAR if warp else cv2.INTER_NEAREST,
    borderMode=cv2.BORDER_REPLICATE,
  )


def _crop(
  image: np.ndarray, augmentation: Augmentation, draws: np.ndarray
) -> np.ndarray:
  """A square of the crop, enlarged; draws [4]: whether, side, place."""
  if draws[0] >= augmentation.crop:
    return image
  full = image.shape[0]
  share = augmentation.crop_size + draws[1] * (1 - augmentation.crop_size)
  side = round(full * share)
  top, left = np.floor(draws[2:4] * (full - side + 1)).astype(int)
  part = image[top : top + side, left : left + side]
  return cv2.resize(part, (full, full), interpolation=cv2.INTER_LINEAR)


def _soften(
  image: np.ndarray, augmentation: Augmentation, draws: np.ndarray
) -> np.ndarray:
  """Low resolution and blur.

  Args:
    image: uint8 [112, 112, 3].
    augmentation: how much.
    draws: [4] uniform numbers: whether and how much, for each.
  """
  height, width = image.shape[:2]
  if draws[0] < augmentation.low_resolution:
    smallest = augmentation.low_resolution_size
    side = smallest + round(draws[1] * (height - smallest))
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
  if draws[2] < augmentation.blur:
    sigma = _MIN_SIGMA + draws[3] * (augmentation.blur_sigma - _MIN_SIGMA)
    image = cv2.GaussianBlur(
      image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE
    )
  return image


def _recolor(
  image: np.ndarray, augmentation: Augmentation, draws: np.ndarray
) -> np.ndarray:
  """Brightness, contrast and gamma by one table, and the loss of colour.

  Args:
    image: uint8 [112, 112, 3].
    augmentation: how much.
    draws: [5] uniform numbers: color, the three changes, grayscale.
  """
  if draws[0] < augmentation.color:
    change = augmentation.color_strength * (2 * draws[1:4] - 1)
    levels = _LEVELS ** np.exp2(2 * change[2])
    levels = (levels - 0.5) * (1 + change[1]) + 0.5 + change[0]
    table = np.clip(np.rint(levels * 255), 0, 255).astype(np.uint8)
    image = cv2.LUT(image, table)
  if draws[4] < augmentation.grayscale:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    image = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
  return image


def _compress(
  image: np.ndarray, augmentation: Augmentation, draws: np.ndarray
) -> np.ndarray:
  """JPEG artefacts; draws [2]: whether, and the quality."""
  if draws[0] >= augmentation.jpeg:
    return image
  lowest = augmentation.jpeg_quality
  data = encode_jpeg(image, quality=lowest + round(draws[1] * (95 - lowest)))
  return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def _occlude(
  image: np.ndarray, augmentation: Augmentation, draws: np.ndarray
) -> np.ndarray:
  """A rectangle of one colour; draws [8]: whether, size, place, colour."""
  if draws[0] >= augmentation.occlusion:
    return image
  full = np.array(image.shape[:2])
  size = np.rint(full * augmentation.occlusion_size * draws[1:3]).astype(int)
  top, left = np.floor(draws[3:5] * (full - size + 1)).astype(int)
  image = image.copy()
  image[top : top + size[0], left : left + size[1]] = draws[5:8] * 255
  return image


def augment(
  image: UInt8[np.ndarray, '112 112 3'],
  augmentation: Augmentation,
  draws: Float[np.ndarray, ' 29'],
) -> UInt8[np.ndarray, '112 112 3']:
  """One random version of a crop.

  Args:
    image: RGB, left as it is.
    augmentation: what may happen to it.
    draws: NUM_DRAWS uniform numbers of [0, 1), which decide everything.

  Returns:
    The changed crop, or `image` itself if nothing was drawn.
  """
  image = _move(image, augmentation, draws[:6])
  image = _crop(image, augmentation, draws[25:29])
  image = _soften(image, augmentation, draws[6:10])
  image = _recolor(image, augmentation, draws[10:15])
  image = _compress(image, augmentation, draws[15:17])
  return _occlude(image, augmentation, draws[17:25])
