"""Constants of a graph as the arrays of layers."""

from collections.abc import Sequence

import numpy as np

from facejax.importing.graph import Node


def round_number(value: float) -> float:
  """A number as it was written, before float32 made 9.99999975e-06 of it."""
  return float(f'{float(value):.6g}')


def conv_arrays(
  constants: Sequence[np.ndarray],
) -> dict[str, np.ndarray] | None:
  """Kernel and bias of a convolution; None if it is not two-dimensional."""
  if not constants or constants[0].ndim != 4:
    return None
  return dict(zip(('kernel', 'bias'), constants, strict=False))


def dense_arrays(
  node: Node, constants: Sequence[np.ndarray]
) -> dict[str, np.ndarray] | None:
  """Kernel [O, I] and bias [O] of Gemm or MatMul; None if they are neither."""
  attributes = node.attributes
  if not constants or constants[0].ndim != 2 or attributes.get('transA', 0):
    return None
  kernel = constants[0] if attributes.get('transB', 0) else constants[0].T
  arrays = {'kernel': _times(kernel, attributes.get('alpha', 1))}
  if len(constants) > 1:
    bias = _times(constants[1].reshape(-1), attributes.get('beta', 1))
    if bias.size not in (1, kernel.shape[0]):
      return None
    arrays['bias'] = np.broadcast_to(bias, kernel.shape[:1])
  return arrays


def _times(array: np.ndarray, factor: float | int) -> np.ndarray:
  with np.errstate(over='ignore'):  # infinity is refused with its layer
    return array if factor == 1 else array * np.float32(factor)


def channel_vector(
  constant: np.ndarray, *, rank: int | None, channels_last: bool
) -> np.ndarray | None:
  """One number of each channel, or one of all.

  Args:
    constant: what is combined with features, by NumPy's rules of broadcasting.
    rank: axes of the features, None if unknown.
    channels_last: whether their channels stand last.

  Returns:
    [C] or [1]; None if it varies along another axis than the channels.
  """
  if constant.size == 1:
    return constant.reshape(1)
  if constant.size != max(constant.shape):
    return None
  from_behind = constant.ndim - int(np.argmax(constant.shape))
  is_map = constant.ndim > 2 or rank == 4
  expected = 3 if is_map and not channels_last else 1
  return constant.reshape(-1) if from_behind == expected else None


def affine(
  op: str, is_first: bool, constant: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
  """Factor and offset of what a constant does to x: x * factor + offset.

  Args:
    op: Add, Sub, Mul or Div.
    is_first: whether the constant stands before x.
    constant: of one axis.

  Returns:
    float64 arrays of the constant's size; None if it is not finite, divides
    by zero, or x divides it or is subtracted from it.
  """
  constant = constant.astype(np.float64)
  if not np.isfinite(constant).all():
    return None
  ones, zeros = np.ones_like(constant), np.zeros_like(constant)
  if op == 'Add':
    return ones, constant
  if op == 'Mul':
    return constant, zeros
  if is_first or (op == 'Div' and not constant.all()):
    return None
  if op == 'Sub':
    return ones, -constant
  with np.errstate(over='ignore'):  # infinity is refused with its layer
    return 1 / constant, zeros


def normalise(
  pixels: tuple[float, float], factor: np.ndarray, offset: np.ndarray
) -> tuple[float, float] | None:
  """(mean, scale) of pixels after one more affine operation.

  Returns:
    The pair of which (pixels - mean) / scale is the result; None if channels
    differ or the factor is zero.
  """
  if np.ptp(factor) or np.ptp(offset) or factor[0] in (0, np.inf, -np.inf):
    return None
  mean, scale = pixels
  scale = scale / float(factor[0])
  return mean - float(offset[0]) * scale, scale
