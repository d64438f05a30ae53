"""AlexNet as Caffe has it, in two groups.

References:
  Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural
  Networks, 2012; BVLC Caffe, models/bvlc_alexnet/train_val.prototxt.
"""

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.face_net import FaceNet
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


class AlexNet(FaceNet):
  """Five convolutions, two of them with local response norm, fc6 and fc7.

  The embedding is what the published classifier sees: fc7 after its ReLU.

  Attributes:
    image_size: (height, width) of the input, pixels.
    width: factor on all channels but the embedding's.
    embedding_size: D, outputs of fc7.
    dropout: share that a training step drops of fc6 and of fc7; needs the key
      'dropout'.
  """

  image_size: tuple[int, int] = (227, 227)
  width: float = 1.0
  embedding_size: int = 4096
  dropout: float = 0.5

  @nn.compact
  def __call__(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised images, see `FaceNet`."""
    self.check_images(images)
    x = images
    for k, layer in enumerate(CONVOLUTIONS, 1):
      features, size, strides, padding, groups, competes, pools = layer
      x = self.conv(
        scale_width(features, self.width),
        size,
        strides,
        groups=groups,
        padding=padding,
        use_bias=True,
        name=f'conv{k}',
      )(x)
      x = nn.relu(x)
      x = local_response_norm(x) if competes else x
      x = max_pool_ceil(x, 3, 2) if pools else x
    dense = (
      ('fc6', scale_width(FC6_FEATURES, self.width)),
      ('fc7', self.embedding_size),
    )
    for name, features in dense:
      x = self.dense(x, features, name=name)
      x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
    return x[:, 0, 0]
