"""Depthwise convolutions: one kernel a channel, with a hand-written gradient.

Layout is NHWC; kernels are [kh, kw, 1, C].
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float
from facejax.ops.paths import DIMENSIONS, Padding, by_path, windows


def _shifted_sum(x, taps, kernel_size, strides, padding):
  """Sum over the taps [kh * kw, 1, 1, 1, C] of shifted inputs."""
  views = windows(x, kernel_size, strides, padding)
  return sum(view * tap for view, tap in zip(views, taps, strict=True))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise_shifts(x, kernel, strides, padding):
  taps = kernel.reshape(-1, 1, 1, 1, kernel.shape[-1])
  return _shifted_sum(x, taps, kernel.shape[:2], strides, padding)


def _depthwise_shifts_forward(x, kernel, strides, padding):
  return _depthwise_shifts(x, kernel, strides, padding), (x, kernel)


def _kernel_gradient(x, cotangent, kernel_size, strides, padding):
  """Sum over images and positions of shifted input * cotangent, float32.

  One row of the output after the other: the rows of the input that its taps
  see stay in cache while all kh * kw products are summed. Rows and not images,
  and sums for every image, so that devices that share a batch meet but once.
  """
  (kh, kw), (sh, sw) = kernel_size, strides
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  columns = cotangent.shape[2]

  def add_row(row, total):
    factor = lax.dynamic_index_in_dim(cotangent, row, 1, keepdims=False)
    products = []
    for i in range(kh):
      line = lax.dynamic_index_in_dim(x, row * sh + i, 1, keepdims=False)
      for j in range(kw):
        tap = line[:, j : j + (columns - 1) * sw + 1 : sw]
        products.append((tap * factor).sum(1, dtype=jnp.float32))
    return total + jnp.stack(products)

  zero = jnp.zeros((kh * kw, len(x), x.shape[-1]), jnp.float32)
  return lax.fori_loop(0, cotangent.shape[1], add_row, zero).sum(1)


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
      dimension_numbers=DIMENSIONS,
      feature_group_count=x.shape[-1],
    )

  return by_path(path, shifts, convolution, x, kernel)


def global_depthwise_conv(
  x: Float[Array, 'B H W C'], kernel: Float[Array, 'H W 1 C']
) -> Float[Array, 'B C']:
  """Weights every position of every channel: y_c = sum_ij k_ijc x_ijc.

  References:
    MobileFaceNets, arXiv 1804.07573, section 3.2 (spec 2.1).
  """
  return jnp.einsum('bhwc,hwc->bc', x, kernel[:, :, 0])
