"""InsightFace's own MobileFaceNets, `mbf` and `mbf_large`.

They bear the paper's name and are other nets (formats b8): channels times a
scale while the hidden channels of the blocks stay, so the expansion is 1 or
1/2 where the paper has 2 and 4; other block counts; 512 numbers, with
BatchNorm behind the last linear layer. Layers are called in the order in which
the PyTorch modules register them, so that state dicts match by order and shape.

References:
  https://github.com/deepinsight/insightface,
  recognition/arcface_torch/backbones/mobilefacenet.py (`get_mbf`,
  `get_mbf_large`).
"""

from facejax.array_typing import Array, Float
from facejax.errors import UsageError
from facejax.models.face_net import FaceNet
from facejax.models.mobilefacenet import Bottleneck

# Channels before scaling, hidden channels of the first block (of stride 2) and
# of the blocks that follow it.
STAGES = ((64, 128, 128), (128, 256, 256), (128, 512, 256))
STEM_FEATURES = 64
STEM_GROUPS = 64
STEM_HIDDEN = 128
LAST_FEATURES = 512


class InsightFaceMbf(FaceNet):
  """`get_mbf` of arcface_torch, 437.5 M multiply-adds at 112 x 112.

  Attributes:
    scale: whole factor on the channels between blocks.
    blocks: how many blocks keep the shape behind the first convolution and in
      each of the three stages. A first number of 1 is no block but a 3 x 3
      convolution in 64 groups, which is depthwise at a scale of 1 alone.
    embedding_size: D.
  """

  scale: int = 2
  blocks: tuple[int, ...] = (1, 4, 6, 2)
  embedding_size: int = 512

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    if len(self.blocks) != 1 + len(STAGES):
      raise UsageError(
        f'blocks={self.blocks}: give {1 + len(STAGES)} counts, such as '
        '(1, 4, 6, 2)'
      )
    conv_norm = self.conv_norm
    stem = STEM_FEATURES * self.scale
    x = conv_norm(stem, 3, 2, name='stem')(images, train)
    x = self._after_stem(x, train)
    for s, (features, first, hidden) in enumerate(STAGES, start=1):
      for b in range(1 + self.blocks[s]):
        x = Bottleneck(
          features * self.scale,
          hidden if b else first,
          1 if b else 2,
          conv_norm,
          name=f'stage{s}_block{b}',
        )(x, train)
    x = conv_norm(LAST_FEATURES, name='last')(x, train)
    x = conv_norm(
      None, x.shape[1:3], padding=0, activation=None, name='global'
    )(x, train)
    x = conv_norm(self.embedding_size, activation=None, name='embed')(x, train)
    return x[:, 0, 0]

  def _after_stem(self, x: Array, train: bool) -> Array:
    """The grouped convolution or the blocks before the first stage."""
    features = x.shape[-1]
    if self.blocks[0] == 1:
      return self.conv_norm(
        features, 3, groups=STEM_GROUPS, name='stem_grouped'
      )(x, train)
    for b in range(self.blocks[0]):
      x = Bottleneck(
        features, STEM_HIDDEN, 1, self.conv_norm, name=f'stage0_block{b}'
      )(x, train)
    return x


class InsightFaceMbfLarge(InsightFaceMbf):
  """`get_mbf_large` of arcface_torch, 1,816.5 M multiply-adds at 112 x 112."""

  scale: int = 4
  blocks: tuple[int, ...] = (2, 8, 12, 4)
