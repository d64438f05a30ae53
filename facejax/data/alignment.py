"""Similarity transforms from landmarks to the template, and the crops."""

import cv2
import numpy as np

from facejax.array_typing import Float, UInt8
from facejax.data.preprocessing import TEMPLATE_112
from facejax.errors import DataError, UsageError

# (height, width) of the crops that have a template of their own: the pixels
# by which their left and upper edge lie inside those of the 112 x 112 crop.
TEMPLATES = {(112, 112): (0, 0), (112, 96): (8, 0), (96, 96): (8, 8)}
# A scale this small against the points' own extents is no scale.
_TINY = 1e-6


def template(image_size: tuple[int, int]) -> Float[np.ndarray, '5 2']:
  """Where the landmarks of a face belong in a crop (spec 1.2).

  Multiples of 112 x 112 and 112 x 96 scale the template. Squares of a multiple
  of 128 scale it by size / 128 and move it by 8 of those pixels to the right,
  as insightface does: the 112 x 112 crop with 16 more rows below and 8 more
  columns on both sides.

  Args:
    image_size: (height, width) of the crop, pixels.

  Returns:
    float64 [5, 2], (x, y) of left eye, right eye, nose, left and right mouth
    corner, left as seen in the image.

  Raises:
    UsageError: no template has this shape.
  """
  height, width = image_size
  points = np.array(TEMPLATE_112)
  ratio = height // 112
  for (rows, columns), inset in TEMPLATES.items():
    if (height, width) == (rows, columns):
      return points - inset
    if (
      rows == 112
      and ratio
      and (height, width) == (rows * ratio, columns * ratio)
    ):
      return (points - inset) * ratio
  if height == width and height > 0 and height % 128 == 0:
    return (points + (8, 0)) * (height / 128)
  raise UsageError(
    f'no landmark template for crops of {height}x{width} (height x width): use '
    '112x112, 112x96, 96x96, multiples of the first two, or of 128x128'
  )


def similarity_transform(
  points: Float[np.ndarray, '*N 5 2'], target: Float[np.ndarray, '5 2']
) -> Float[np.ndarray, '*N 2 3']:
  """Rotation, one scale and shift that take points nearest to a target.

  Least squares over the target's pixels, never a reflection (spec 1.3): with
  P, Q the centred points and Sigma = Q^T P / 5 = U diag(d) V^T,

    rotation = U diag(1, det U det V) V^T
    scale = (d_1 + det U det V d_2) / mean(|P|^2)
    shift = mean(target) - scale * rotation * mean(points).

  Args:
    points: float [..., 5, 2], (x, y) in pixels.
    target: float [5, 2], usually a `template`.

  Returns:
    float64 [..., 2, 3], matrices for `cv2.warpAffine`.

  Raises:
    DataError: points that coincide, are not finite, or fit only mirrored.

  References:
    Umeyama, Least-squares estimation of transformation parameters between two
    point patterns, 1991.
  """
  points = np.asarray(points, np.float64)
  if not np.isfinite(points).all():
    raise DataError('landmarks that are not finite: check their source')
  mean = points.mean(axis=-2, keepdims=True)
  target_mean = target.mean(axis=0)
  centred, goal = points - mean, target - target_mean
  variance = (centred**2).sum(axis=-1).mean(axis=-1)
  extent = np.maximum(np.abs(points).max(axis=(-2, -1), initial=0), 1)
  if (variance <= (_TINY * extent) ** 2).any():
    raise DataError('all five landmarks are one point: check their source')
  sigma = goal.T @ centred / points.shape[-2]
  u, d, vt = np.linalg.svd(sigma)
  sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
  e = np.stack([np.ones_like(sign), sign], axis=-1)
  rotation = (u * e[..., None, :]) @ vt
  scale = (d * e).sum(axis=-1) / variance
  if (scale * np.sqrt(variance) <= _TINY * np.sqrt((goal**2).mean())).any():
    raise DataError('the landmarks fit a face only mirrored: check their order')
  linear = scale[..., None, None] * rotation
  shift = target_mean[:, None] - linear @ mean.swapaxes(-1, -2)
  return np.concatenate([linear, shift], axis=-1)


def align_face(
  photo: UInt8[np.ndarray, 'H W 3'],
  landmarks: Float[np.ndarray, '5 2'],
  image_size: tuple[int, int] = (112, 112),
) -> UInt8[np.ndarray, 'h w 3']:
  """Cuts out a face so that its landmarks come to lie on the template.

  Linear interpolation without a filter before it, black beyond the photo: the
  crops that published models were trained on are made so.

  Args:
    photo: uint8 [H, W, 3].
    landmarks: float [5, 2], (x, y) in photo pixels; (0, 0) is the centre of
      the first pixel.
    image_size: (height, width) of the crop, pixels.

  Raises:
    UsageError: no template has this shape.
    DataError: the landmarks belong to no face.
  """
  matrix = similarity_transform(landmarks, template(image_size))
  height, width = image_size
  return cv2.warpAffine(photo, matrix, (width, height), flags=cv2.INTER_LINEAR)
