"""Convolutions of compact nets, each by the path that its platform runs well.

XLA on CPU runs grouped convolutions, and convolutions of few input channels,
an order of magnitude below the machine. There the same sums are taken as
shifted multiply-adds or as one matrix product over patches. TPU and GPU keep
the convolution. Values agree to float rounding on every path.

Layout is NHWC; kernels are HWIO, depthwise ones [kh, kw, 1, C].
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float

Padding = tuple[tuple[int, int], tuple[int, int]]
PATHS = ('auto', 'convolution', 'shifts')
# Of the stacked products in a kernel's gradient: within a core's cache.
_CHUNK_BYTES = 1 << 22
_DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')


def _by_path(path: str, shifts: Callable, convolution: Callable, *arrays):
  """Runs one of two equal functions, chosen by name or by platform."""
  if path == 'auto':
    return lax.platform_dependent(*arrays, cpu=shifts, default=convolution)
  if path not in PATHS:
    raise ValueError(f'path {path!r} is none of {PATHS}')
  return {'shifts': shifts, 'convolution': convolution}[path](*arrays)


def _windows(x, kernel_size, strides, padding):
  """The kh * kw shifted views [B, h, w, C] that a kernel's taps multiply."""
  (top, bottom), (left, right) = padding
  # Interior padding of zero; a negative edge crops.
  x = lax.pad(
    x,
    jnp.zeros((), x.dtype),
    ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)),
  )
  batch, height, width, channels = x.shape
  (kh, kw), (sh, sw) = kernel_size, strides
  rows = (height - kh) // sh + 1
  columns = (width - kw) // sw + 1
  return [
    lax.slice(
      x,
      (0, i, j, 0),
      (batch, i + (rows - 1) * sh + 1, j + (columns - 1) * sw + 1, channels),
      (1, sh, sw, 1),
    )
    for i in range(kh)
    for j in range(kw)
  ]


def _shifted_sum(x, taps, kernel_size, strides, padding):
  """Sum over the taps [kh * kw, 1, 1, 1, C] of shifted inputs."""
  windows = _windows(x, kernel_size, strides, padding)
  return sum(window * tap for window, tap in zip(windows, taps, strict=True))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise_shifts(x, kernel, strides, padding):
  taps = kernel.reshape(-1, 1, 1, 1, kernel.shape[-1])
  return _shifted_sum(x, taps, kernel.shape[:2], strides, padding)


def _depthwise_shifts_forward(x, kernel, strides, padding):
  return _depthwise_shifts(x, kernel, strides, padding), (x, kernel)


def _kernel_gradient(x, cotangent, kernel_size, strides, padding):
  """Sum over images and positions of shifted input * cotangent, float32.

  The kh * kw products are stacked for one reduction, a few images at a time:
  all at once they would be many times the activations, and writing and
  reading them back took a quarter of the training step. A chunk takes every
  n-th image, so that a batch split over devices stays where it is.
  """
  taps = kernel_size[0] * kernel_size[1]
  batch = x.shape[0]
  wanted = max(1, taps * cotangent.size * 4 // _CHUNK_BYTES)
  chunks = next(n for n in range(min(wanted, batch), 0, -1) if batch % n == 0)

  def split(array):
    return array.reshape(batch // chunks, chunks, *array.shape[1:])

  def add_chunk(index, total):
    part, factor = (
      lax.dynamic_index_in_dim(split(array), index, axis=1, keepdims=False)
      for array in (x, cotangent)
    )
    windows = _windows(part, kernel_size, strides, padding)
    products = jnp.stack([window * factor for window in windows], axis=-2)
    return total + products.sum((0, 1, 2), dtype=jnp.float32)

  zero = jnp.zeros((taps, x.shape[-1]), jnp.float32)
  return lax.fori_loop(0, chunks, add_chunk, zero)


def _depthwise_shifts_backward(strides, padding, saved, cotangent):
  """Both gradients as shifts; autodiff would scatter nine padded arrays.

  The input's gradient correlates the dilated cotangent with the flipped
  kernel.
  """
  x, kernel = saved
  kh, kw, _, channels = kernel.shape
  edges = []
  for axis, k in ((1, kh), (2, kw)):
    low = padding[axis - 1][0]
    dilated = (cotangent.shape[axis] - 1) * strides[axis - 1] + 1
    edges.append((k - 1 - low, x.shape[axis] + low - dilated))
  spread = lax.pad(
    cotangent,
    jnp.zeros((), cotangent.dtype),
    ((0, 0, 0), (0, 0, strides[0] - 1), (0, 0, strides[1] - 1), (0, 0, 0)),
  )
  flipped = kernel[::-1, ::-1].reshape(-1, 1, 1, 1, channels)
  dx = _shifted_sum(spread, flipped, (kh, kw), (1, 1), tuple(edges))
  dkernel = _kernel_gradient(x, cotangent, (kh, kw), strides, padding)
  return dx, dkernel.reshape(kernel.shape).astype(kernel.dtype)


_depthwise_shifts.defvjp(_depthwise_shifts_forward, _depthwise_shifts_backward)


def depthwise_conv(
  x: Float[Array, 'B H W C'],
  kernel: Float[Array, 'kh kw 1 C'],
  *,
  strides: tuple[int, int] = (1, 1),
  padding: Padding = ((1, 1), (1, 1)),
  path: str = 'auto',
) -> Float[Array, 'B h w C']:
  """One kernel per channel: y_c = x_c * k_c.

  Args:
    x: feature map.
    kernel: one kh x kw kernel per channel.
    strides: vertical and horizontal step.
    padding: zeros before and after each spatial axis.
    path: 'shifts', 'convolution', or 'auto', which takes shifts on CPU.

  Returns:
    The convolved map; the dtype is that of `x`.

  Raises:
    ValueError: an unknown path.
  """

  def shifts(x, kernel):
    return _depthwise_shifts(x, kernel, strides, padding)

  def convolution(x, kernel):
    return lax.conv_general_dilated(
      x,
      kernel,
      strides,
      padding,
      dimension_numbers=_DIMENSIONS,
      feature_group_count=x.shape[-1],
    )

  return _by_path(path, shifts, convolution, x, kernel)


def global_depthwise_conv(
  x: Float[Array, 'B H W C'], kernel: Float[Array, 'H W 1 C']
) -> Float[Array, 'B C']:
  """Weights every position of every channel: y_c = sum_ij k_ijc x_ijc.

  References:
    MobileFaceNets, arXiv 1804.07573, section 3.2 (spec 2.1).
  """
  return jnp.einsum('bhwc,hwc->bc', x, kernel[:, :, 0])


def stem_conv(
  x: Float[Array, 'B H W C'],
  kernel: Float[Array, 'kh kw C O'],
  *,
  strides: tuple[int, int] = (1, 1),
  padding: Padding = ((1, 1), (1, 1)),
  path: str = 'auto',
) -> Float[Array, 'B h w O']:
  """A full convolution of few input channels, such as an image's three.

  Args:
    x: feature map.
    kernel: HWIO kernel.
    strides: vertical and horizontal step.
    padding: zeros before and after each spatial axis.
    path: 'shifts' multiplies gathered patches by the kernel as a matrix,
      'convolution' convolves, 'auto' takes shifts on CPU.

  Returns:
    The convolved map; the dtype is that of `x`.

  Raises:
    ValueError: an unknown path.
  """

  def shifts(x, kernel):
    windows = _windows(x, kernel.shape[:2], strides, padding)
    patches = jnp.concatenate(windows, axis=-1)
    return pointwise_conv(patches, kernel.reshape(1, 1, -1, kernel.shape[-1]))

  def convolution(x, kernel):
    return lax.conv_general_dilated(
      x, kernel, strides, padding, dimension_numbers=_DIMENSIONS
    )

  return _by_path(path, shifts, convolution, x, kernel)


def pointwise_conv(
  x: Float[Array, 'B H W C'],
  kernel: Float[Array, '1 1 C O'],
) -> Float[Array, 'B H W O']:
  """A 1 x 1 convolution as one matrix product over all positions."""
  return jnp.einsum('bhwc,co->bhwo', x, kernel[0, 0])
