"""MobileNetV1 as the MobileFaceNet paper compares it (spec 2.5).

References:
  Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile
  Vision Applications, 2017, https://arxiv.org/abs/1704.04861, Table 1.
  Chen et al., MobileFaceNets, 2018, https://arxiv.org/abs/1804.07573,
  section 4: the first convolution keeps the resolution of the image.
"""

from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.face_net import FaceNet
from facejax.models.stages import scale_width

STEM_FEATURES = 32
# Channels and stride of every separable convolution.
BLOCKS = (
  (64, 1),
  (128, 2),
  (128, 1),
  (256, 2),
  (256, 1),
  (512, 2),
  *((512, 1),) * 5,
  (1024, 2),
  (1024, 1),
)


class SeparableConv(nn.Module):
  """A 3 x 3 convolution of each channel, then a 1 x 1 convolution of them all.

  Attributes:
    features: O.
    strides: of the depthwise convolution.
    conv_norm: makes the convolutions.
    activation: after both.
  """

  features: int
  strides: int
  conv_norm: Callable[..., nn.Module]
  activation: str = 'relu'

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """One block."""
    x = self.conv_norm(
      None, 3, self.strides, activation=self.activation, name='depthwise'
    )(x, train)
    return self.conv_norm(
      self.features, activation=self.activation, name='pointwise'
    )(x, train)


class MobileNetV1(FaceNet):
  """Thirteen separable convolutions and global average pooling.

  The pooled map is the embedding, 1024 numbers at full width. The first
  convolution has stride 1, so that an image of 112 x 112 ends as 7 x 7.

  Attributes:
    width: factor on all channels, the paper's width multiplier; they are
      rounded to multiples of 8.
    activation: 'relu' (the paper's), 'prelu' or 'relu6'.
    dropout: share of the pooled features that a training step drops; needs the
      key 'dropout'.
    blocks: (channels, stride) of every block; the default is the paper's.
  """

  width: float = 1.0
  activation: str = 'relu'
  dropout: float = 0.0
  blocks: tuple[tuple[int, int], ...] = BLOCKS

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    x = self.conv_norm(
      scale_width(STEM_FEATURES, self.width),
      3,
      activation=self.activation,
      name='stem',
    )(images, train)
    for b, (features, strides) in enumerate(self.blocks):
      x = SeparableConv(
        scale_width(features, self.width),
        strides,
        self.conv_norm,
        self.activation,
        name=f'block{b}',
      )(x, train)
    return nn.Dropout(self.dropout, deterministic=not train)(x.mean((1, 2)))
