"""Nets that may end in pooled features instead of a feature layer.

Module B is a net as it was published: conv 2, down-sampling 2, a dense feature
layer. Module A has no dense layer over the map y of conv 2,

  F = concat(mean(y), local(down(y))),

with `down` the net's own down-sampling, or the maxima of 2 x 2 windows where
it has none, and `local` their mean or maximum: two values a channel.

References:
  Zeng et al., Deep Face Recognition Algorithm Based on Weighted Hashing, 2019,
  section 2.1; the operator of the local branch is a reading of it (spec 4.3).
"""

import math

from facejax.array_typing import Array, Float
from facejax.errors import UsageError
from facejax.models.face_net import FaceNet
from facejax.nn.pooling import LOCAL_POOLS, max_pool_ceil, splice_pools

# Of the local branch where a net has no down-sampling of its own there.
_WINDOW = 2


class PooledFaceNet(FaceNet):
  """A net with a module A beside its module B.

  The width of conv 2 in module A follows from that of the feature layer that
  goes: at least twice as wide, and conv 2 keeps its channels; narrower, and
  conv 2 gets half as many channels as that layer has outputs (rounded down),
  so that F is as wide as the features were: 256 for SphereFace and IR, 64 for
  MobileFaceNet, while VGG keeps its 512 and AlexNet its 256.

  Attributes:
    pooled: module A; False is module B.
    local_pool: how the down-sampled map ends in one value a channel,
      'average' or 'max', which is the largest of the whole map.
    last_ratio: conv 2 gets round(channels * last_ratio) channels instead.
  """

  pooled: bool = False
  local_pool: str = 'average'
  last_ratio: float | int | None = None

  def last_width(
    self, channels: int, feature_layer: int | None, *, groups: int = 1
  ) -> int:
    """Channels of conv 2, or of the stage that it ends.

    Args:
      channels: in module B.
      feature_layer: outputs of the feature layer of module B; None if it has
        none, which keeps the channels.
      groups: of conv 2.

    Raises:
      UsageError: fields that mean nothing.
    """
    self.check_pooling()
    if not self.pooled:
      return channels
    cause = f'embedding_size={feature_layer}'
    if self.last_ratio is not None:
      cause = f'last_ratio={self.last_ratio}'
      width = round(channels * self.last_ratio)
    elif feature_layer is None or feature_layer >= 2 * channels:
      width = channels
    else:
      width = feature_layer // 2
    if width < 1 or width % groups:
      raise UsageError(
        f'{cause}: the last convolution cannot have {width} channels'
        + (f' in {groups} groups' if groups > 1 else '')
      )
    return width

  def splice(
    self,
    x: Float[Array, 'B H W C'],
    downsampled: Float[Array, 'B h w C'] | None = None,
  ) -> Float[Array, 'B D']:
    """F of the map of conv 2, D = 2 C.

    Args:
      x: the map.
      downsampled: what the net's own down-sampling makes of it.
    """
    if downsampled is None:
      downsampled = max_pool_ceil(x, _WINDOW, _WINDOW)
    return splice_pools(x, downsampled, self.local_pool)

  def check_pooling(self) -> None:
    """Raises UsageError for fields of pooling that mean nothing."""
    if self.local_pool not in LOCAL_POOLS:
      raise UsageError(
        f'local_pool {self.local_pool!r}: use {" or ".join(LOCAL_POOLS)}'
      )
    ratio = self.last_ratio
    if ratio is not None and not 0 < ratio < math.inf:
      raise UsageError(
        f'last_ratio={ratio}: use a positive number, such as 0.5'
      )
    if not self.pooled and (self.local_pool != LOCAL_POOLS[0] or ratio):
      raise UsageError(
        'local_pool and last_ratio are of pooled features: give pooled=True '
        'with them'
      )
