"""MobileFaceNet, its variants -M and -S, and what its paper compares.

References:
  Chen et al., MobileFaceNets: Efficient CNNs for Accurate Real-Time Face
  Verification on Mobile Devices, 2018, https://arxiv.org/abs/1804.07573,
  Table 1 (spec 2.1).
"""

import functools
from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.errors import UsageError
from facejax.models.pooled import PooledFaceNet
from facejax.models.stages import scale_width
from facejax.nn.blocks import SqueezeExcite

# Expansion, channels, blocks, stride of the first block.
STAGES = (
  (2, 64, 5, 2),
  (4, 128, 1, 2),
  (2, 128, 6, 1),
  (4, 128, 1, 2),
  (2, 128, 2, 1),
)
STEM_FEATURES = 64
TAILS = ('depthwise', 'average', 'dense')
SE_POSITIONS = ('depthwise', 'residual')


class Bottleneck(nn.Module):
  """Expand by 1 x 1, convolve depthwise, project by 1 x 1 without activation.

  The input is added where the shape allows it: stride 1, equal channels.

  Attributes:
    features: O.
    hidden: channels between expanding and projecting.
    strides: of the depthwise convolution.
    conv_norm: makes the convolutions.
    activation: after expanding and the depthwise convolution.
    squeeze_excite: makes the SE block; None for none.
    se_position: 'depthwise', after that convolution, or 'residual', after the
      projection.
  """

  features: int
  hidden: int
  strides: int
  conv_norm: Callable[..., nn.Module]
  activation: str = 'prelu'
  squeeze_excite: Callable[..., nn.Module] | None = None
  se_position: str = 'depthwise'

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """One block."""
    conv_norm, activation = self.conv_norm, self.activation
    y = conv_norm(self.hidden, activation=activation, name='expand')(x, train)
    y = conv_norm(
      None, 3, self.strides, activation=activation, name='depthwise'
    )(y, train)
    if self.squeeze_excite and self.se_position == 'depthwise':
      y = self.squeeze_excite(name='se')(y)
    y = conv_norm(self.features, activation=None, name='project')(y, train)
    if self.squeeze_excite and self.se_position == 'residual':
      y = self.squeeze_excite(name='se')(y)
    return x + y if x.shape == y.shape else y


class MobileFaceNet(PooledFaceNet):
  """The net of Table 1, 220,965,376 multiply-adds at 112 x 112.

  Conv 2 of module A is the 1 x 1 convolution `last`; pooling stands for the
  global operator and for the linear layer.

  Attributes:
    width: factor on all channels but the embedding's.
    embedding_size: D of the final linear layer; None leaves that layer out
      (-M and -S), and D is the channels before it. Of module A, see
      `PooledFaceNet`.
    last_features: channels of the 1 x 1 convolution before the global
      operator, or None to leave that convolution out (-S).
    activation: 'prelu', 'relu' or 'relu6'.
    stem_strides: of the first convolution, 2 in the paper.
    tail: the global operator: 'depthwise' (the paper's), 'average' pooling,
      or 'dense', a full layer over the map to the embedding.
    expansion_scale: factor on the expansion of every block.
    se_ratio: of squeeze-and-excite blocks; None for none.
    se_position: of them, 'depthwise' or 'residual' (spec 8.1).
    dropout: share of the pooled features that a training step drops, before
      the final linear layer in module B; needs the key 'dropout'.
    stages: (expansion, channels, blocks, stride of the first) of every stage;
      the default is the paper's.
  """

  width: float = 1.0
  embedding_size: int | None = 128
  last_features: int | None = 512
  activation: str = 'prelu'
  stem_strides: int = 2
  tail: str = 'depthwise'
  expansion_scale: float = 1.0
  se_ratio: int | None = None
  se_position: str = 'depthwise'
  dropout: float = 0.0
  stages: tuple[tuple[int, int, int, int], ...] = STAGES

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    self._check_fields()
    conv_norm, activation = self.conv_norm, self.activation
    x = conv_norm(
      scale_width(STEM_FEATURES, self.width),
      3,
      self.stem_strides,
      activation=activation,
      name='stem',
    )(images, train)
    x = conv_norm(None, 3, activation=activation, name='stem_depthwise')(
      x, train
    )
    for s, (expansion, features, blocks, strides) in enumerate(self.stages):
      for b in range(blocks):
        x = Bottleneck(
          scale_width(features, self.width),
          round(x.shape[-1] * expansion * self.expansion_scale),
          strides if b == 0 else 1,
          conv_norm,
          activation,
          self._squeeze_excite(),
          self.se_position,
          name=f'stage{s}_block{b}',
        )(x, train)
    if self.last_features is not None:
      last = self.last_width(
        scale_width(self.last_features, self.width), self.embedding_size
      )
      x = conv_norm(last, activation=activation, name='last')(x, train)
    return self._embed(x, train)

  def _check_fields(self) -> None:
    """Raises UsageError for fields that mean nothing."""
    self.check_pooling()
    for field, known in (('tail', TAILS), ('se_position', SE_POSITIONS)):
      if getattr(self, field) not in known:
        raise UsageError(
          f'{field} {getattr(self, field)!r}: use one of {", ".join(known)}'
        )
    if self.tail == 'dense' and self.embedding_size is None:
      raise UsageError("tail 'dense' needs an embedding_size")
    if self.pooled and (self.last_features is None or self.tail != TAILS[0]):
      raise UsageError(
        f'last_features={self.last_features} tail={self.tail!r}: pooled '
        'features stand in place of the tail, and need last_features'
      )

  def _squeeze_excite(self) -> Callable[..., nn.Module] | None:
    if self.se_ratio is None:
      return None
    return functools.partial(SqueezeExcite, self.se_ratio, self.dtype)

  def _embed(self, x: Array, train: bool) -> Array:
    """The global operator, then the linear layer; or pooled features."""
    conv_norm, whole_map = self.conv_norm, x.shape[1:3]
    dropout = nn.Dropout(self.dropout, deterministic=not train)
    if self.pooled:
      return dropout(self.splice(x))
    if self.tail == 'dense':
      x = conv_norm(
        self.embedding_size, whole_map, padding=0, activation=None, name='embed'
      )(dropout(x), train)
      return x[:, 0, 0]
    if self.tail == 'average':
      x = x.mean((1, 2), keepdims=True)
    else:
      x = conv_norm(None, whole_map, padding=0, activation=None, name='global')(
        x, train
      )
    x = dropout(x)
    if self.embedding_size is not None:
      x = conv_norm(self.embedding_size, activation=None, name='embed')(
        x, train
      )
    return x[:, 0, 0]
