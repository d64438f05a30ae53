"""Convolution, normalisation and activation layers of face nets.

Kernels are HWIO and called `kernel`, so that every rule over parameter names
(decay, freezing, ternary) reads the same for all layers. A dense layer over a
map is a convolution whose kernel is the whole map.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from facejax.array_typing import Array, Float
from facejax.errors import UsageError
from facejax.ops import activations, convolution
from facejax.ops.batch_norm import batch_norm

# The statistics' momentum and epsilon of the PyTorch reference (spec 2).
NORM_MOMENTUM = 0.9
NORM_EPSILON = 1e-5
ACTIVATIONS = ('prelu', 'relu', 'relu6')


def fan_out_normal(
  positions: int, features: int
) -> nn.initializers.Initializer:
  """N(0, sqrt(2 / fan_out)), fan_out = kernel positions * outputs per group.

  The true fan-out of a depthwise layer counts one output (spec 2.3).
  """
  return nn.initializers.normal(math.sqrt(2.0 / (positions * features)))


class PReLU(nn.Module):
  """max(x, 0) + slope * min(x, 0), one learned slope per channel."""

  initial_slope: float = 0.25
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, '*B C']) -> Float[Array, '*B C']:
    """Applies the activation; shape and dtype stay."""
    slope = self.param(
      'slope', nn.initializers.constant(self.initial_slope), (x.shape[-1],)
    )
    return activations.prelu(x, slope)


class Conv(nn.Module):
  """A convolution of any kernel, stride and grouping.

  Attributes:
    features: O.
    kernel_size: side, or (height, width).
    strides: the step along both axes.
    groups: of channels that do not see each other; all of them is depthwise.
    padding: zeros on every side; None is half the kernel ('same' at stride 1).
    use_bias: whether a bias [O], from zero, is added.
    kernel_init: None draws from `fan_out_normal`.
    dtype: of the product; None follows the parameters.
    conv_path: see `ops.paths.by_path`.
  """

  features: int
  kernel_size: int | tuple[int, int] = 1
  strides: int = 1
  groups: int = 1
  padding: int | None = None
  use_bias: bool = False
  kernel_init: Any = None
  dtype: Any = None
  conv_path: str = 'auto'

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B h w O']:
    """Convolves; with 'same' padding the output has ceil(H / strides) rows."""
    size = self.kernel_size
    height, width = (size, size) if isinstance(size, int) else size
    per_group = self.features // self.groups
    kernel = self.param(
      'kernel',
      self.kernel_init or fan_out_normal(height * width, per_group),
      (height, width, x.shape[-1] // self.groups, self.features),
    )
    x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
    edges = [
      side // 2 if self.padding is None else self.padding
      for side in (height, width)
    ]
    y = convolution.conv(
      x,
      kernel,
      strides=(self.strides, self.strides),
      padding=tuple((edge, edge) for edge in edges),
      groups=self.groups,
      path=self.conv_path,
    )
    if not self.use_bias:
      return y
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    return y + bias.astype(y.dtype).reshape(1, 1, 1, -1)


def _scale_and_shift(x, scale, shift):
  """One scale and one shift a channel."""
  broadcast = (1,) * (x.ndim - 1) + (-1,)
  return x * scale.reshape(broadcast) + shift.reshape(broadcast)


class Affine(nn.Module):
  """What is left of BatchNorm once its statistics are folded: a x + b."""

  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, '*B C']) -> Float[Array, '*B C']:
    """Scales and shifts every channel."""
    shape = (x.shape[-1],)
    scale = self.param('scale', nn.initializers.ones, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    x, scale, bias = nn.dtypes.promote_dtype(x, scale, bias, dtype=self.dtype)
    return _scale_and_shift(x, scale, bias)


class BatchNorm(nn.Module):
  """Batch normalisation with running statistics.

  Statistics are taken over the global batch, whatever its sharding, and in
  float32, whatever `dtype` is.
  """

  dtype: Any = None

  @nn.compact
  def __call__(
    self, x: Float[Array, '*B C'], train: bool
  ) -> Float[Array, '*B C']:
    """By the batch's statistics, which move the running ones, or by those."""
    shape = (x.shape[-1],)
    scale = self.param('scale', nn.initializers.ones, shape)
    bias = self.param('bias', nn.initializers.zeros, shape)
    mean = self.variable('batch_stats', 'mean', jnp.zeros, shape)
    var = self.variable('batch_stats', 'var', jnp.ones, shape)
    if not train:
      a = scale * lax.rsqrt(var.value + NORM_EPSILON)
      x, a, b = nn.dtypes.promote_dtype(
        x, a, bias - mean.value * a, dtype=self.dtype
      )
      return _scale_and_shift(x, a, b)
    (x,) = nn.dtypes.promote_dtype(x, dtype=self.dtype)
    y, statistics = batch_norm(x, scale, bias, jnp.float32(NORM_EPSILON))
    if not self.is_initializing():
      for running, batch in zip((mean, var), statistics, strict=True):
        running.value = (
          NORM_MOMENTUM * running.value + (1 - NORM_MOMENTUM) * batch
        )
    return y


def normalize(
  x: Float[Array, '*B C'],
  train: bool,
  *,
  name: str,
  folded: bool = False,
  dtype: Any = None,
) -> Float[Array, '*B C']:
  """BatchNorm, or its folded form, inside a compact module.

  Args:
    x: features.
    train: whether statistics come from this batch, and move the running ones.
    name: of the submodule, 'norm' or '..._norm'.
    folded: applies the stored scale and bias alone.
    dtype: of the result; None follows the parameters.
  """
  if folded:
    return Affine(dtype=dtype, name=name)(x)
  return BatchNorm(dtype=dtype, name=name)(x, train)


def activate(
  x: Float[Array, '*B C'],
  activation: str | None,
  *,
  name: str = 'activation',
  dtype: Any = None,
) -> Float[Array, '*B C']:
  """One of `ACTIVATIONS`, or none, inside a compact module.

  Raises:
    UsageError: an unknown activation.
  """
  if activation is None:
    return x
  if activation == 'prelu':
    return PReLU(dtype=dtype, name=name)(x)
  if activation not in ACTIVATIONS:
    raise UsageError(
      f'activation {activation!r}: use one of {", ".join(ACTIVATIONS)}'
    )
  return jax.nn.relu(x) if activation == 'relu' else jax.nn.relu6(x)
