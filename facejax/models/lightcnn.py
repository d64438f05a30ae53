"""Light CNN: max-feature-map convolutions of grey faces.

References:
  Wu et al., A Light CNN for Deep Face Representation with Noisy Labels, 2018,
  https://arxiv.org/abs/1511.02683, Tables I and II; AlfredXiangWu/LightCNN,
  light_cnn.py (spec 12.2, 12.3).
"""

import functools
from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.errors import UsageError
from facejax.models.face_net import FaceNet
from facejax.models.resnet_mfm import MaxFeatureUnit
from facejax.models.stages import Units, scale_width, stage_units
from facejax.nn.blocks import MaxFeatureConv
from facejax.nn.pooling import max_pool_ceil

# Residual units before each group, by depth.
UNITS = {9: (0, 0, 0, 0), 29: (1, 2, 3, 4)}
STEM_FEATURES = 48
# Channels of every group, and whether the map is pooled afterwards.
GROUPS = ((96, True), (192, True), (128, False), (128, True))
VERSIONS = (1, 2)


class LightCNN(FaceNet):
  """A stem, then four groups: residual units, 1 x 1, 3 x 3, all with MFM.

  Attributes:
    image_size: (height, width) of the input, pixels.
    image_channels: 1, grey.
    width: factor on all channels but the embedding's.
    embedding_size: D.
    depth: one of `UNITS`.
    units: residual units before each group; None takes those of `depth`.
    version: 1 pools the maximum and embeds by MFM; 2 pools maximum + average
      and embeds by a plain dense layer.
    dropout: share of the embedding that a training step drops; needs the key
      'dropout'. The paper's is 0.7.
  """

  image_size: tuple[int, int] = (128, 128)
  image_channels: int = 1
  width: float = 1.0
  embedding_size: int = 256
  depth: int = 9
  units: Units | None = None
  version: int = 1
  dropout: float = 0.7

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    if self.version not in VERSIONS:
      raise UsageError(f'version {self.version}: use 1 or 2')
    conv = functools.partial(
      MaxFeatureConv, dtype=self.dtype, conv_path=self.conv_path
    )
    x = conv(scale_width(STEM_FEATURES, self.width), 5, name='stem')(images)
    x = self._pool(x)
    units = stage_units(self.depth, self.units, UNITS)
    for g, (features, pools) in enumerate(GROUPS):
      for u in range(units[g]):
        x = MaxFeatureUnit(conv, name=f'group{g}_unit{u}')(x)
      x = conv(x.shape[-1], 1, name=f'group{g}_reduce')(x)
      x = conv(scale_width(features, self.width), name=f'group{g}')(x)
      x = self._pool(x) if pools else x
    x = self._embed(x, conv)
    return nn.Dropout(self.dropout, deterministic=not train)(x)[:, 0, 0]

  def _pool(self, x: Array) -> Array:
    """Halves the map; the second version's source leaves odd edges out."""
    if self.version == 1:
      return max_pool_ceil(x, 2, 2)
    half = (2, 2)
    return nn.max_pool(x, half, half) + nn.avg_pool(x, half, half)

  def _embed(self, x: Array, conv: Callable[..., nn.Module]) -> Array:
    """A dense layer over the map, by MFM or plain."""
    if self.version == 2:
      return self.dense(x, self.embedding_size, name='embed')
    return conv(self.embedding_size, x.shape[1:3], padding=0, name='embed')(x)
