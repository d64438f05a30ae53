"""Improved residual nets of InsightFace_Pytorch, with squeeze-excite or not.

`models/iresnet.py` has the other family that goes by this name.

References:
  Deng et al., ArcFace, 2019, https://arxiv.org/abs/1801.07698, section 3.1;
  TreB1eN/InsightFace_Pytorch, model.py (spec 8.1).
"""

import functools
from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.residual import ResidualFaceNet
from facejax.nn.blocks import SqueezeExcite
from facejax.nn.layers import PReLU


class IRUnit(nn.Module):
  """BN - conv 3 x 3 - PReLU - conv 3 x 3 - BN (- SE), added to a shortcut.

  The shortcut takes every n-th position where the channels stay, and is a
  1 x 1 convolution with BN where they change.

  Attributes:
    features: O.
    strides: of the second convolution and of the shortcut.
    conv: makes convolutions.
    conv_norm: makes convolutions with BN behind them.
    norm: `normalize` as the net wants it.
    squeeze_excite: makes the SE block; None for none.
  """

  features: int
  strides: int
  conv: Callable[..., nn.Module]
  conv_norm: Callable[..., nn.Module]
  norm: Callable[..., Array]
  squeeze_excite: Callable[..., nn.Module] | None = None

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """One unit."""
    linear = functools.partial(self.conv_norm, activation=None)
    if x.shape[-1] == self.features:
      shortcut = x[:, :: self.strides, :: self.strides]
    else:
      shortcut = linear(self.features, strides=self.strides, name='shortcut')(
        x, train
      )
    y = self.norm(x, train, name='input_norm')
    y = self.conv(self.features, 3, name='conv1')(y)
    y = PReLU(name='activation')(y)
    y = linear(self.features, 3, self.strides, name='conv2')(y, train)
    if self.squeeze_excite:
      y = self.squeeze_excite(name='se')(y)
    return shortcut + y


class IRNet(ResidualFaceNet):
  """The net of InsightFace_Pytorch.

  Attributes:
    se_ratio: of squeeze-and-excite blocks, 16 in `ir_se...`; None for none.
    dropout: see `ResidualFaceNet`; ArcFace's is 0.4.
  """

  se_ratio: int | None = None
  dropout: float = 0.4

  def make_unit(self, features: int, strides: int, name: str) -> nn.Module:
    """One `IRUnit`, see `ResidualFaceNet`."""
    squeeze_excite = None
    if self.se_ratio is not None:
      squeeze_excite = functools.partial(
        SqueezeExcite, self.se_ratio, self.dtype
      )
    return IRUnit(
      features,
      strides,
      self.conv,
      self.conv_norm,
      self.norm,
      squeeze_excite,
      name=name,
    )
