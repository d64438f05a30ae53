"""Arrays of a source layer to those of the layer here that it fits.

Kernels go from PyTorch's [O, I / groups, kh, kw] to [kh, kw, I / groups, O]. A
dense layer over a map, [O, C kh kw] with the channels outermost, becomes the
convolution whose kernel is the whole map.

A norm keeps its running statistics. What its inference would change by moves
into values that training adapts anyway:

  another epsilon e    scale sqrt((var + NORM_EPSILON) / (var + e))
  a bias b before it   mean - b

A variance of zero may overflow here; whoever takes the values checks them.
"""

import dataclasses

import numpy as np

from facejax.importing.source import SourceLayer
from facejax.nn.layers import NORM_EPSILON

# Of BatchNorm in PyTorch, where a file does not say.
DEFAULT_EPSILON = 1e-5
Arrays = dict[str, np.ndarray]


def epsilon_of(norm: SourceLayer) -> float:
  """What the source adds to the variance."""
  return DEFAULT_EPSILON if norm.epsilon is None else norm.epsilon


def convert_kernel(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """A kernel in our layout.

  Args:
    kernel: [O, I / groups, kh, kw], or [O, I kh kw] of a dense layer.
    shape: of ours, (kh, kw, I / groups, O).
  """
  height, width, inputs, outputs = shape
  kernel = kernel.reshape(outputs, inputs, height, width)
  return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))


def absorb_bias(norm: SourceLayer, bias: np.ndarray) -> SourceLayer:
  """The norm that does what it did behind a bias [C], without it."""
  mean = norm.arrays['mean'] - bias
  return dataclasses.replace(norm, arrays={**norm.arrays, 'mean': mean})


def convert_norm(norm: SourceLayer) -> tuple[Arrays, Arrays]:
  """Parameters and statistics of a BatchNorm here."""
  arrays = norm.arrays
  scale, var = arrays['scale'], arrays['var']
  epsilon = epsilon_of(norm)
  if epsilon != NORM_EPSILON:
    wide = var.astype(np.float64)
    with np.errstate(divide='ignore', over='ignore', invalid='ignore'):
      factor = np.sqrt((wide + NORM_EPSILON) / (wide + epsilon))
      scale = (scale * factor).astype(np.float32)
  params = {'scale': scale, 'bias': arrays['bias']}
  return params, {'mean': arrays['mean'], 'var': var}


def convert_affine(norm: SourceLayer) -> Arrays:
  """The scale and bias that a norm is at inference."""
  wide = {name: value.astype(np.float64) for name, value in norm.arrays.items()}
  with np.errstate(divide='ignore', over='ignore', invalid='ignore'):
    scale = wide['scale'] / np.sqrt(wide['var'] + epsilon_of(norm))
    shift = wide['bias'] - wide['mean'] * scale
    return {'scale': scale.astype(np.float32), 'bias': shift.astype(np.float32)}


def convert_conv(
  conv: SourceLayer, norm: SourceLayer | None, shapes: dict[str, tuple]
) -> Arrays:
  """Kernel and, where ours has one, bias; with the norm behind folded in.

  Args:
    conv: of the source.
    norm: that follows it there and has no counterpart here, or None.
    shapes: of our parameters.
  """
  kernel = convert_kernel(conv.arrays['kernel'], shapes['kernel'])
  if 'bias' not in shapes:
    return {'kernel': kernel}
  bias = conv.arrays.get('bias', np.zeros(shapes['bias'], np.float32))
  if norm is not None:
    affine = convert_affine(norm)
    kernel = kernel * affine['scale']
    bias = bias * affine['scale'] + affine['bias']
  return {'kernel': kernel, 'bias': bias}


def convert_slope(slope: SourceLayer, shapes: dict[str, tuple]) -> Arrays:
  """A slope a channel, from one a channel or one of all."""
  return {'slope': np.broadcast_to(slope.arrays['slope'], shapes['slope'])}
