"""AlexNet as Caffe has it, in two groups.

References:
  Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural
  Networks, 2012; BVLC Caffe, models/bvlc_alexnet/train_val.prototxt.
"""

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.pooled import PooledFaceNet
from facejax.models.stages import scale_width
from facejax.nn.pooling import max_pool_ceil
from facejax.ops.local_response import local_response_norm

# Channels, kernel, stride, padding, groups; whether neighbouring channels are
# normalised, and whether the map is pooled, afterwards.
CONVOLUTIONS = (
  (96, 11, 4, 0, 1, True, True),
  (256, 5, 1, 2, 2, True, True),
  (384, 3, 1, 1, 1, False, False),
  (384, 3, 1, 1, 2, False, False),
  (256, 3, 1, 1, 2, False, True),
)
FC6_FEATURES = 4096


class AlexNet(PooledFaceNet):
  """Five convolutions, two of them with local response norm, fc6 and fc7.

  The embedding is what the published classifier sees: fc7 after its ReLU.
  Module A pools the map before the last maximum, and what that leaves of it.

  Attributes:
    image_size: (height, width) of the input, pixels.
    width: factor on all channels but the embedding's.
    embedding_size: D, outputs of fc7; of module A, see `PooledFaceNet`.
    dropout: share that a training step drops of fc6 and of fc7, or of the
      pooled features; needs the key 'dropout'.
  """

  image_size: tuple[int, int] = (227, 227)
  width: float = 1.0
  embedding_size: int = 4096
  dropout: float = 0.5

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised images, see `FaceNet`."""
    x = images
    widths = self._widths()
    for k, layer in enumerate(CONVOLUTIONS, 1):
      _, size, strides, padding, groups, competes, pools = layer
      x = self.conv(
        widths[k - 1],
        size,
        strides,
        groups=groups,
        padding=padding,
        use_bias=True,
        name=f'conv{k}',
      )(x)
      x = nn.relu(x)
      conv_map = local_response_norm(x) if competes else x
      x = max_pool_ceil(conv_map, 3, 2) if pools else conv_map
    if self.pooled:
      x = self.splice(conv_map, x)
      return nn.Dropout(self.dropout, deterministic=not train)(x)
    dense = (
      ('fc6', scale_width(FC6_FEATURES, self.width)),
      ('fc7', self.embedding_size),
    )
    for name, features in dense:
      x = self.dense(x, features, name=name)
      x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
    return x[:, 0, 0]

  def _widths(self) -> list[int]:
    """Channels of every convolution."""
    *widths, last = (
      scale_width(features, self.width) for features, *_ in CONVOLUTIONS
    )
    groups = CONVOLUTIONS[-1][4]
    return [*widths, self.last_width(last, self.embedding_size, groups=groups)]
