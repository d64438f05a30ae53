"""What both families of improved residual nets have in common.

References:
  Deng et al., ArcFace, 2019, https://arxiv.org/abs/1801.07698, section 3.1
  (spec 8.1).
"""

import abc
import functools
from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.errors import UsageError
from facejax.models.pooled import PooledFaceNet
from facejax.models.stages import Units, scale_width, stage_units
from facejax.nn.layers import normalize

UNITS = {
  18: (2, 2, 2, 2),
  34: (3, 4, 6, 3),
  50: (3, 4, 14, 3),
  100: (3, 13, 30, 3),
}
STAGE_FEATURES = (64, 128, 256, 512)


class ResidualFaceNet(PooledFaceNet):
  """A stem, four stages of units, of which the first of each has stride 2.

  The tail is BN - dropout - a dense layer over the map - BN. That of module A
  is BN - pooling - dropout, and its last stage has the width of conv 2.

  Attributes:
    width: factor on all channels but the embedding's.
    embedding_size: D; of module A, see `PooledFaceNet`.
    depth: one of `UNITS`.
    units: of the stages; None takes those of `depth`.
    dropout: share that a training step drops of the map before the dense
      layer, or of the pooled features; needs the key 'dropout'.
  """

  width: float = 1.0
  embedding_size: int = 512
  depth: int = 50
  units: Units | None = None
  dropout: float = 0.0

  @property
  def norm(self) -> Callable[..., Array]:
    """`normalize` with this model's folding and dtype."""
    return functools.partial(normalize, folded=self.folded, dtype=self.dtype)

  @abc.abstractmethod
  def make_unit(self, features: int, strides: int, name: str) -> nn.Module:
    """One residual unit of the family.

    Args:
      features: O.
      strides: of its second convolution and of its shortcut.
      name: of the module.
    """

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    units = stage_units(self.depth, self.units, UNITS)
    widths = self._widths(units)
    stem = scale_width(STAGE_FEATURES[0], self.width)
    x = self.conv_norm(stem, 3, name='stem')(images, train)
    for s, count in enumerate(units):
      for u in range(count):
        strides = 2 if u == 0 else 1
        x = self.make_unit(widths[s], strides, f'stage{s}_unit{u}')(x, train)
    x = self.norm(x, train, name='output_norm')
    x = self.splice(x) if self.pooled else x
    x = nn.Dropout(self.dropout, deterministic=not train)(x)
    if self.pooled:
      return x
    x = self.dense(x, self.embedding_size, name='embed')
    return self.norm(x, train, name='embed_norm')[:, 0, 0]

  def _widths(self, units: Units) -> list[int]:
    """Channels of every stage."""
    widths = [scale_width(features, self.width) for features in STAGE_FEATURES]
    last = max((s for s, count in enumerate(units) if count), default=-1)
    widths[last] = self.last_width(widths[last], self.embedding_size)
    if self.pooled and not any(units):
      raise UsageError(f'units {units}: pooled features need one of them')
    return widths
