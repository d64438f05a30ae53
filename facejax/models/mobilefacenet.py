"""MobileFaceNet and its variants -M and -S.

References:
  Chen et al., MobileFaceNets: Efficient CNNs for Accurate Real-Time Face
  Verification on Mobile Devices, 2018, https://arxiv.org/abs/1804.07573,
  Table 1 (spec 2.1).
"""

from typing import Any

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.errors import DataError
from facejax.nn.layers import (
  Conv,
  ConvNorm,
  DepthwiseConv,
  GlobalDepthwiseConv,
  PointwiseConv,
)

# Expansion, channels, blocks, stride of the first block.
STAGES = (
  (2, 64, 5, 2),
  (4, 128, 1, 2),
  (2, 128, 6, 1),
  (4, 128, 1, 2),
  (2, 128, 2, 1),
)
STEM_FEATURES = 64


def scale_width(features: int, width: float) -> int:
  """Channels at a width factor, in multiples of 8 and at least 8."""
  return max(8, round(features * width / 8) * 8)


class Bottleneck(nn.Module):
  """Expand by 1 x 1, convolve depthwise, project by 1 x 1 without activation.

  The input is added where the shape allows it: stride 1, equal channels.
  """

  features: int
  expansion: int
  strides: int
  dtype: Any = None
  path: str = 'auto'

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """One block; `expansion` multiplies the input's channels."""
    dtype = self.dtype
    expanded = PointwiseConv(x.shape[-1] * self.expansion, dtype, parent=None)
    y = ConvNorm(expanded, dtype=dtype, name='expand')(x, train)
    depthwise = DepthwiseConv(3, self.strides, dtype, self.path, parent=None)
    y = ConvNorm(depthwise, dtype=dtype, name='depthwise')(y, train)
    projected = PointwiseConv(self.features, dtype, parent=None)
    y = ConvNorm(projected, linear=True, dtype=dtype, name='project')(y, train)
    return x + y if x.shape == y.shape else y


class MobileFaceNet(nn.Module):
  """The net of Table 1, 220,965,376 multiply-adds at 112 x 112.

  Attributes:
    image_size: (height, width) of the input; the kernel of the global
      depthwise convolution is the map that remains of it.
    width: factor on all channels but the embedding's.
    embedding_size: D of the final linear layer.
    last_features: channels of the 1 x 1 convolution before the global
      depthwise one, or None to leave that convolution out (-S).
    final_linear: whether the linear 1 x 1 convolution after the global
      depthwise one is there (not in -M and -S, where D is its channels).
    dropout: share of the pooled features that a training step drops before
      the final linear layer; needs the key 'dropout'.
    stages: (expansion, channels, blocks, stride of the first) of every stage;
      the default is the paper's.
    dtype: of activations and products; None follows the parameters.
    path: of the depthwise and stem convolutions, see `ops.convolution`.
  """

  image_size: tuple[int, int] = (112, 112)
  width: float = 1.0
  embedding_size: int = 128
  last_features: int | None = 512
  final_linear: bool = True
  dropout: float = 0.0
  stages: tuple[tuple[int, int, int, int], ...] = STAGES
  dtype: Any = None
  path: str = 'auto'

  @nn.compact
  def __call__(
    self, images: Float[Array, 'B H W 3'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces.

    Args:
      images: RGB pixels after `Preprocessing`, about -1 .. 1.
      train: whether BatchNorm takes its statistics from this batch.

    Returns:
      Raw embeddings (not of unit norm).

    Raises:
      DataError: the images are not of `image_size`.
    """
    if images.shape[1:] != (*self.image_size, 3):
      raise DataError(
        f'the model takes images of {(*self.image_size, 3)}, '
        f'not {images.shape[1:]}'
      )
    dtype, path = self.dtype, self.path
    stem = Conv(
      scale_width(STEM_FEATURES, self.width),
      strides=2,
      dtype=dtype,
      path=path,
      parent=None,
    )
    x = ConvNorm(stem, dtype=dtype, name='stem')(images, train)
    depthwise = DepthwiseConv(dtype=dtype, path=path, parent=None)
    x = ConvNorm(depthwise, dtype=dtype, name='stem_depthwise')(x, train)
    for s, (expansion, features, blocks, strides) in enumerate(self.stages):
      for b in range(blocks):
        x = Bottleneck(
          scale_width(features, self.width),
          expansion,
          strides if b == 0 else 1,
          dtype,
          path,
          name=f'stage{s}_block{b}',
        )(x, train)
    return self._embed(x, train)

  def _embed(self, x, train: bool):
    """The tail: 1 x 1 convolution, global depthwise, linear 1 x 1."""
    dtype = self.dtype
    if self.last_features is not None:
      last = PointwiseConv(
        scale_width(self.last_features, self.width), dtype, parent=None
      )
      x = ConvNorm(last, dtype=dtype, name='last')(x, train)
    pooled = GlobalDepthwiseConv(dtype, parent=None)
    x = ConvNorm(pooled, linear=True, dtype=dtype, name='global')(x, train)
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    if self.final_linear:
      linear = PointwiseConv(self.embedding_size, dtype, parent=None)
      x = ConvNorm(linear, linear=True, dtype=dtype, name='embed')(x, train)
    return x[:, 0, 0]
