"""MobileNetV2 as the MobileFaceNet paper compares it (spec 2.5).

References:
  Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018,
  https://arxiv.org/abs/1801.04381, Table 2.
  Chen et al., MobileFaceNets, 2018, https://arxiv.org/abs/1804.07573,
  sections 3.1 and 4: the first convolution keeps the resolution of the image,
  and a global depthwise convolution may take the place of the pooling.
"""

from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.errors import UsageError
from facejax.models.face_net import FaceNet
from facejax.models.stages import scale_width

STEM_FEATURES = 32
LAST_FEATURES = 1280
# Expansion, channels, blocks, stride of the first block.
STAGES = (
  (1, 16, 1, 1),
  (6, 24, 2, 2),
  (6, 32, 3, 2),
  (6, 64, 4, 2),
  (6, 96, 3, 1),
  (6, 160, 3, 2),
  (6, 320, 1, 1),
)
TAILS = ('average', 'depthwise')


class InvertedResidual(nn.Module):
  """Expand by 1 x 1, convolve depthwise, project by 1 x 1 without activation.

  An expansion of 1 has no first convolution. The input is added where the
  shape allows it: stride 1, equal channels.

  Attributes:
    features: O.
    expansion: hidden channels as a multiple of the input's.
    strides: of the depthwise convolution.
    conv_norm: makes the convolutions.
    activation: after expanding and the depthwise convolution.
  """

  features: int
  expansion: int
  strides: int
  conv_norm: Callable[..., nn.Module]
  activation: str = 'relu6'

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """One block."""
    conv_norm, activation, y = self.conv_norm, self.activation, x
    if self.expansion != 1:
      hidden = x.shape[-1] * self.expansion
      y = conv_norm(hidden, activation=activation, name='expand')(y, train)
    y = conv_norm(
      None, 3, self.strides, activation=activation, name='depthwise'
    )(y, train)
    y = conv_norm(self.features, activation=None, name='project')(y, train)
    return x + y if x.shape == y.shape else y


class MobileNetV2(FaceNet):
  """Seventeen inverted residuals, 1280 channels, a global operator.

  What the operator gives is the embedding. The first convolution has stride 1,
  so that an image of 112 x 112 ends as 7 x 7.

  Attributes:
    width: factor on all channels, which are rounded to multiples of 8; as in
      the paper, the last 1280 only grow with it.
    activation: 'relu6' (the paper's), 'relu' or 'prelu'.
    tail: the global operator: 'average' pooling, or 'depthwise', the
      MobileFaceNet paper's linear global depthwise convolution.
    dropout: share of the embedding that a training step drops; needs the key
      'dropout'.
    stages: (expansion, channels, blocks, stride of the first) of every stage;
      the default is the paper's.
    last_features: D, channels of the 1 x 1 convolution before the operator.
  """

  width: float = 1.0
  activation: str = 'relu6'
  tail: str = 'average'
  dropout: float = 0.0
  stages: tuple[tuple[int, int, int, int], ...] = STAGES
  last_features: int = LAST_FEATURES

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    if self.tail not in TAILS:
      raise UsageError(f'tail {self.tail!r}: use one of {", ".join(TAILS)}')
    conv_norm, activation = self.conv_norm, self.activation
    stem = scale_width(STEM_FEATURES, self.width)
    x = conv_norm(stem, 3, activation=activation, name='stem')(images, train)
    for s, (expansion, features, blocks, strides) in enumerate(self.stages):
      for b in range(blocks):
        x = InvertedResidual(
          scale_width(features, self.width),
          expansion,
          strides if b == 0 else 1,
          conv_norm,
          activation,
          name=f'stage{s}_block{b}',
        )(x, train)
    last = scale_width(self.last_features, max(1.0, self.width))
    x = conv_norm(last, activation=activation, name='last')(x, train)
    if self.tail == 'average':
      x = x.mean((1, 2))
    else:
      x = conv_norm(
        None, x.shape[1:3], padding=0, activation=None, name='global'
      )(x, train)[:, 0, 0]
    return nn.Dropout(self.dropout, deterministic=not train)(x)
