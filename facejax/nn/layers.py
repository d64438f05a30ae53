"""Convolution, normalisation and activation layers of compact face nets.

Kernels are HWIO and called `kernel`, so that every rule over parameter names
(decay, freezing, ternary) reads the same for all layers. Nothing has a bias:
BatchNorm follows.
"""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.ops import convolution

# The statistics' momentum and epsilon of the PyTorch reference (spec 2).
NORM_MOMENTUM = 0.9
NORM_EPSILON = 1e-5


def fan_out_normal(
  positions: int, features: int
) -> nn.initializers.Initializer:
  """N(0, sqrt(2 / fan_out)), fan_out = kernel positions * outputs per group.

  The true fan-out of a depthwise layer counts one output (spec 2.3).
  """
  return nn.initializers.normal(math.sqrt(2.0 / (positions * features)))


class PReLU(nn.Module):
  """max(x, 0) + slope * min(x, 0), one learned slope per channel.

  References:
    He et al., Delving Deep into Rectifiers, 2015.
  """

  initial_slope: float = 0.25
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, '*B C']) -> Float[Array, '*B C']:
    """Applies the activation; shape and dtype stay."""
    slope = self.param(
      'slope', nn.initializers.constant(self.initial_slope), (x.shape[-1],)
    )
    slope = slope.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    return jnp.where(x > 0, x, x * slope)


class Conv(nn.Module):
  """A stem convolution: square kernel, 'same' padding, no bias."""

  features: int
  kernel_size: int = 3
  strides: int = 1
  dtype: Any = None
  path: str = 'auto'

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B h w O']:
    """Convolves; the output has ceil(H / strides) rows."""
    size = self.kernel_size
    kernel = self.param(
      'kernel',
      fan_out_normal(size**2, self.features),
      (size, size, x.shape[-1], self.features),
    )
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    edge = (size // 2, size // 2)
    return convolution.stem_conv(
      x,
      kernel,
      strides=(self.strides, self.strides),
      padding=(edge, edge),
      path=self.path,
    )


class PointwiseConv(nn.Module):
  """A 1 x 1 convolution without bias."""

  features: int
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B H W O']:
    """Mixes channels at every position."""
    kernel = self.param(
      'kernel',
      fan_out_normal(1, self.features),
      (1, 1, x.shape[-1], self.features),
    )
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    return convolution.pointwise_conv(x, kernel)


class DepthwiseConv(nn.Module):
  """One square kernel per channel, 'same' padding, no bias."""

  kernel_size: int = 3
  strides: int = 1
  dtype: Any = None
  path: str = 'auto'

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B h w C']:
    """Convolves each channel; the output has ceil(H / strides) rows."""
    size = self.kernel_size
    kernel = self.param(
      'kernel', fan_out_normal(size**2, 1), (size, size, 1, x.shape[-1])
    )
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    edge = (size // 2, size // 2)
    return convolution.depthwise_conv(
      x,
      kernel,
      strides=(self.strides, self.strides),
      padding=(edge, edge),
      path=self.path,
    )


class GlobalDepthwiseConv(nn.Module):
  """Global depthwise convolution: one weight per position and channel.

  It replaces global average pooling, which weighs the corners of a face like
  its centre (MobileFaceNets, section 3.1).
  """

  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B 1 1 C']:
    """Weighted sum over the whole map."""
    _, height, width, channels = x.shape
    kernel = self.param(
      'kernel',
      fan_out_normal(height * width, 1),
      (height, width, 1, channels),
    )
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    return convolution.global_depthwise_conv(x, kernel)[:, None, None]


class ConvNorm(nn.Module):
  """A convolution, BatchNorm and, unless linear, PReLU.

  Statistics are taken over the global batch, whatever its sharding, and in
  float32, whatever `dtype` is.
  """

  conv: nn.Module
  linear: bool = False
  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """Convolves, normalises and activates."""
    x = self.conv(x)
    x = nn.BatchNorm(
      use_running_average=not train,
      momentum=NORM_MOMENTUM,
      epsilon=NORM_EPSILON,
      dtype=self.dtype,
      name='norm',
    )(x)
    return x if self.linear else PReLU(dtype=self.dtype, name='activation')(x)
