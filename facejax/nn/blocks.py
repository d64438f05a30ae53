"""Groups of layers that several architectures are made of."""

from typing import Any

import jax
from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.nn.layers import Conv, activate, normalize
from facejax.ops.activations import max_feature_map


class ConvNorm(nn.Module):
  """A convolution, BatchNorm and an activation.

  Attributes:
    features: O; None keeps the number of channels, one kernel each
      (depthwise).
    kernel_size: side, or (height, width).
    strides: the step along both axes.
    groups: of channels, where `features` is given.
    padding: zeros on every side; None is half the kernel.
    activation: see `nn.layers.activate`; None for a linear layer.
    folded: BatchNorm is part of the kernel and a bias.
    dtype: of the result; None follows the parameters.
    conv_path: see `ops.paths.by_path`.
  """

  features: int | None
  kernel_size: int | tuple[int, int] = 1
  strides: int = 1
  groups: int = 1
  padding: int | None = None
  activation: str | None = 'prelu'
  folded: bool = False
  dtype: Any = None
  conv_path: str = 'auto'

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """Convolves, normalises and activates."""
    depthwise = self.features is None
    x = Conv(
      x.shape[-1] if depthwise else self.features,
      self.kernel_size,
      self.strides,
      groups=x.shape[-1] if depthwise else self.groups,
      padding=self.padding,
      use_bias=self.folded,
      dtype=self.dtype,
      conv_path=self.conv_path,
      name='conv',
    )(x)
    if not self.folded:
      x = normalize(x, train, name='norm', dtype=self.dtype)
    return activate(x, self.activation, dtype=self.dtype)


class SqueezeExcite(nn.Module):
  """Weighs channels by what the whole map holds: s = W2 relu(W1 mean(z)).

  Returns sigmoid(s) * z, with W1: C -> C / ratio and W2 back, no bias.

  References:
    Hu et al., Squeeze-and-Excitation Networks, 2018,
    https://arxiv.org/abs/1709.01507 (spec 8.1).
  """

  ratio: int = 16
  dtype: Any = None

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B H W C']:
    """Scales every channel by a number of 0 to 1."""
    channels = x.shape[-1]
    reduced = max(1, channels // self.ratio)
    s = x.mean((1, 2), keepdims=True)
    s = Conv(reduced, dtype=self.dtype, name='reduce')(s)
    s = Conv(channels, dtype=self.dtype, name='expand')(jax.nn.relu(s))
    return x * jax.nn.sigmoid(s)


class MaxFeatureConv(nn.Module):
  """A biased convolution to 2 O channels, of which MFM keeps the larger half.

  References:
    Wu et al., A Light CNN for Deep Face Representation with Noisy Labels,
    2018 (spec 12.1).
  """

  features: int
  kernel_size: int | tuple[int, int] = 3
  strides: int = 1
  padding: int | None = None
  dtype: Any = None
  conv_path: str = 'auto'

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B h w O']:
    """Convolves and lets halves compete."""
    x = Conv(
      2 * self.features,
      self.kernel_size,
      self.strides,
      padding=self.padding,
      use_bias=True,
      dtype=self.dtype,
      conv_path=self.conv_path,
      name='conv',
    )(x)
    return max_feature_map(x)
