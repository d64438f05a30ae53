"""Convolutions of compact nets, each by the way that its platform runs well.

Layout is NHWC; kernels are HWIO, [kh, kw, C / groups, O].
"""

import jax
import jax.numpy as jnp
from jax import lax

from facejax.array_typing import Array, Float
from facejax.errors import DataError
from facejax.ops.depthwise import depthwise_conv, global_depthwise_conv
from facejax.ops.paths import DIMENSIONS, Padding, by_path, windows

# Up to so many input channels CPUs multiply patches faster than XLA convolves.
_FEW_CHANNELS = 4


def conv(
  x: Float[Array, 'B H W C'],
  kernel: Float[Array, 'kh kw I O'],
  *,
  strides: tuple[int, int] = (1, 1),
  padding: Padding = ((0, 0), (0, 0)),
  groups: int = 1,
  path: str = 'auto',
) -> Float[Array, 'B h w O']:
  """Any convolution of a face net, by the best way for its shape.

  Args:
    x: feature map, C = I * groups.
    kernel: HWIO; output o looks at the I channels of group o // (O / groups).
    strides: vertical and horizontal step.
    padding: zeros before and after each spatial axis.
    groups: that divide the channels; C of them is a depthwise convolution.
    path: see `ops.paths.by_path`.

  Returns:
    The convolved map; the dtype is that of `x`.

  Raises:
    DataError: the kernel does not fit the channels, or is larger than the map.
    ValueError: an unknown path.
  """
  _check_fit(x, kernel, padding, groups)
  kernel_size, whole = kernel.shape[:2], not any(map(any, padding))
  covers = whole and kernel_size == x.shape[1:3]
  depthwise = groups == x.shape[-1] == kernel.shape[-1]
  if depthwise and covers:
    return global_depthwise_conv(x, kernel)[:, None, None]
  if depthwise:
    return depthwise_conv(
      x, kernel, strides=strides, padding=padding, path=path
    )
  if groups > 1:
    return grouped_conv(
      x, kernel, strides=strides, padding=padding, groups=groups, path=path
    )
  if kernel_size == (1, 1) and whole:
    return pointwise_conv(x[:, :: strides[0], :: strides[1]], kernel)
  if covers:
    return dense_over_map(x, kernel)[:, None, None]
  if x.shape[-1] <= _FEW_CHANNELS:
    return stem_conv(x, kernel, strides=strides, padding=padding, path=path)
  return lax.conv_general_dilated(
    x, kernel, strides, padding, dimension_numbers=DIMENSIONS
  )


def _check_fit(x, kernel, padding: Padding, groups: int) -> None:
  """Raises DataError unless the kernel fits the map."""
  inputs, outputs = kernel.shape[2:]
  if inputs * groups != x.shape[-1] or outputs % groups:
    raise DataError(
      f'a kernel of {kernel.shape} in {groups} groups does not fit a map of '
      f'{x.shape[-1]} channels'
    )
  for size, k, edges in zip(x.shape[1:3], kernel.shape, padding, strict=False):
    if size + sum(edges) < k:
      raise DataError(
        f'a map of {x.shape[1:3]} is too small for a kernel of '
        f'{kernel.shape[:2]}: use larger images or fewer strides'
      )


@jax.custom_vjp
def pointwise_conv(
  x: Float[Array, 'B H W C'],
  kernel: Float[Array, '1 1 C O'],
) -> Float[Array, 'B H W O']:
  """A 1 x 1 convolution as one matrix product over all positions."""
  return jnp.einsum('bhwc,co->bhwo', x, kernel[0, 0])


def _pointwise_forward(x, kernel):
  return pointwise_conv(x, kernel), (x, kernel)


def _pointwise_backward(saved, cotangent):
  """Contracts the positions of both sides as they lie in memory.

  Autodiff transposes the cotangent first, which takes a CPU several times as
  long as the product.
  """
  x, kernel = saved
  dx = jnp.einsum('bhwo,co->bhwc', cotangent, kernel[0, 0])
  dkernel = jnp.einsum('bhwc,bhwo->co', x, cotangent)
  return dx, dkernel[None, None]


pointwise_conv.defvjp(_pointwise_forward, _pointwise_backward)


def dense_over_map(
  x: Float[Array, 'B H W C'], kernel: Float[Array, 'H W C O']
) -> Float[Array, 'B O']:
  """A dense layer over all positions and channels."""
  return jnp.einsum('bhwc,hwco->bo', x, kernel)


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
    path: 'shifts' multiplies gathered patches by the kernel as a matrix, see
      `ops.paths.by_path`.

  Returns:
    The convolved map; the dtype is that of `x`.

  Raises:
    ValueError: an unknown path.
  """

  def shifts(x, kernel):
    views = windows(x, kernel.shape[:2], strides, padding)
    patches = jnp.concatenate(views, axis=-1)
    return pointwise_conv(patches, kernel.reshape(1, 1, -1, kernel.shape[-1]))

  def convolution(x, kernel):
    return lax.conv_general_dilated(
      x, kernel, strides, padding, dimension_numbers=DIMENSIONS
    )

  return by_path(path, shifts, convolution, x, kernel)


def grouped_conv(
  x: Float[Array, 'B H W C'],
  kernel: Float[Array, 'kh kw I O'],
  *,
  strides: tuple[int, int] = (1, 1),
  padding: Padding = ((0, 0), (0, 0)),
  groups: int,
  path: str = 'auto',
) -> Float[Array, 'B h w O']:
  """A convolution whose outputs look at one of several groups of channels.

  Args:
    x: feature map, C = I * groups.
    kernel: HWIO; output o looks at group o // (O / groups).
    strides: vertical and horizontal step.
    padding: zeros before and after each spatial axis.
    groups: G.
    path: 'shifts' sums matrix products a group over the kernel's taps, see
      `ops.paths.by_path`.

  Returns:
    The convolved map; the dtype is that of `x`.

  Raises:
    ValueError: an unknown path.
  """

  def shifts(x, kernel):
    kh, kw, inputs, outputs = kernel.shape
    taps = kernel.reshape(kh * kw, inputs, groups, outputs // groups)
    views = windows(x, (kh, kw), strides, padding)
    y = sum(
      jnp.einsum(
        'bhwgi,igo->bhwgo', v.reshape(*v.shape[:3], groups, inputs), tap
      )
      for v, tap in zip(views, taps, strict=True)
    )
    return y.reshape(*y.shape[:3], outputs)

  def convolution(x, kernel):
    return lax.conv_general_dilated(
      x,
      kernel,
      strides,
      padding,
      dimension_numbers=DIMENSIONS,
      feature_group_count=groups,
    )

  return by_path(path, shifts, convolution, x, kernel)
