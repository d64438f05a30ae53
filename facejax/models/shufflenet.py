"""ShuffleNet as the MobileFaceNet paper compares it (spec 2.5).

Where the ShuffleNet paper leaves room, this is read in it:
- The bottleneck has a quarter of the channels that a unit computes. At stride
  2 these are its output channels without those of the pooled input, which are
  put before them. So the kernels of the net hold 829,998 weights, the 0.83 M
  of the MobileFaceNet paper; a quarter of all output channels, as in the
  authors' later code, gives 880,248.
- Channels are shuffled by the paper's text: as (groups, channels per group),
  transposed and flattened. The authors' later code takes the inverse
  permutation, which is another net only by the order of weights.
- ReLU follows the first convolution and the sum or concatenation, and none the
  depthwise convolution.
- The MobileFaceNet paper sets the first convolution's stride to 1, stride 2
  being much less accurate. The max pooling behind it stays: stride 16 in all,
  so that an image of 112 x 112 ends as 7 x 7, like that paper's other nets.

References:
  Zhang et al., ShuffleNet: An Extremely Efficient Convolutional Neural Network
  for Mobile Devices, 2018, https://arxiv.org/abs/1707.01083, figure 2 and
  Table 1.
  Chen et al., MobileFaceNets, 2018, https://arxiv.org/abs/1804.07573,
  section 4.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.face_net import FaceNet
from facejax.models.stages import scale_width

GROUPS = 3
STEM_FEATURES = 24
# Channels and units; the first unit of every stage has stride 2.
STAGES = ((240, 4), (480, 8), (960, 4))
_REDUCTION = 4
UNIT_MULTIPLE = _REDUCTION * GROUPS
_POOL = ((3, 3), (2, 2), ((1, 1), (1, 1)))


def shuffle_channels(
  x: Float[Array, 'B H W C'], groups: int
) -> Float[Array, 'B H W C']:
  """Deals the channels of every group to all groups of the next layer.

  Channel i C / groups + j goes to j groups + i: 0 1 2 3 4 5 in two groups is
  0 3 1 4 2 5 afterwards.

  Args:
    x: feature map.
    groups: that divide the channels.
  """
  shape = x.shape
  x = x.reshape(*shape[:3], groups, shape[3] // groups)
  return x.swapaxes(3, 4).reshape(shape)


class ShuffleUnit(nn.Module):
  """Grouped 1 x 1, shuffle, depthwise 3 x 3, grouped 1 x 1.

  The input is added, or, at stride 2, stands before the result, averaged over
  3 x 3 with zeros around it.

  Attributes:
    features: O, those of the pooled input included.
    strides: of the depthwise convolution, 1 or 2.
    conv_norm: makes the convolutions.
    first_groups: of the first convolution; 1 in the net's first unit, whose
      input has few channels.
  """

  features: int
  strides: int
  conv_norm: Callable[..., nn.Module]
  first_groups: int = GROUPS

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B h w O']:
    """One unit."""
    conv_norm, concatenates = self.conv_norm, self.strides == 2
    computed = self.features - (x.shape[-1] if concatenates else 0)
    y = conv_norm(
      computed // _REDUCTION,
      groups=self.first_groups,
      activation='relu',
      name='reduce',
    )(x, train)
    y = shuffle_channels(y, GROUPS)
    y = conv_norm(None, 3, self.strides, activation=None, name='depthwise')(
      y, train
    )
    y = conv_norm(computed, groups=GROUPS, activation=None, name='expand')(
      y, train
    )
    if not concatenates:
      return jax.nn.relu(x + y)
    y = jnp.concatenate([nn.avg_pool(x, *_POOL), y], axis=-1)
    return jax.nn.relu(y)


class ShuffleNet(FaceNet):
  """ShuffleNet in three groups: three stages and global average pooling.

  The pooled map is the embedding, 960 numbers at full width.

  Attributes:
    width: factor on all channels, the paper's scale; they are rounded to
      multiples of 12.
    stages: (channels, units) of every stage; the default is the paper's.
  """

  width: float = 1.0
  stages: tuple[tuple[int, int], ...] = STAGES

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    stem = scale_width(STEM_FEATURES, self.width, UNIT_MULTIPLE)
    x = self.conv_norm(stem, 3, activation='relu', name='stem')(images, train)
    x = nn.max_pool(x, *_POOL)
    for s, (features, units) in enumerate(self.stages):
      for u in range(units):
        x = ShuffleUnit(
          scale_width(features, self.width, UNIT_MULTIPLE),
          1 if u else 2,
          self.conv_norm,
          first_groups=GROUPS if s or u else 1,
          name=f'stage{s}_unit{u}',
        )(x, train)
    return x.mean((1, 2))
