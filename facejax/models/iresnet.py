"""Improved residual nets of InsightFace's arcface_torch.

`models/ir.py` has the other family that goes by this name.

References:
  Deng et al., ArcFace, 2019, https://arxiv.org/abs/1801.07698, section 3.1;
  deepinsight/insightface, arcface_torch/backbones/iresnet.py (spec 8.1).
"""

import functools
from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.residual import ResidualFaceNet


class IResNetUnit(nn.Module):
  """BN - conv 3 x 3 - BN - PReLU - conv 3 x 3 - BN, added to a shortcut.

  The shortcut is the input, or a 1 x 1 convolution with BN where positions or
  channels change.

  Attributes:
    features: O.
    strides: of the second convolution and of the shortcut.
    conv_norm: makes convolutions with BN behind them.
    norm: `normalize` as the net wants it.
  """

  features: int
  strides: int
  conv_norm: Callable[..., nn.Module]
  norm: Callable[..., Array]

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """One unit."""
    linear = functools.partial(self.conv_norm, activation=None)
    y = self.norm(x, train, name='input_norm')
    y = self.conv_norm(self.features, 3, name='conv1')(y, train)
    y = linear(self.features, 3, self.strides, name='conv2')(y, train)
    if self.strides == 1 and x.shape[-1] == self.features:
      return x + y
    shortcut = linear(self.features, strides=self.strides, name='shortcut')
    return shortcut(x, train) + y


class IResNet(ResidualFaceNet):
  """The net of arcface_torch.

  The scale of the last BN is a parameter, and counted, as in the authors'
  files, where it stays at one: freeze 'embed_norm/scale' to train so.
  """

  def make_unit(self, features: int, strides: int, name: str) -> nn.Module:
    """One `IResNetUnit`, see `ResidualFaceNet`."""
    return IResNetUnit(features, strides, self.conv_norm, self.norm, name=name)
