"""LeNet-5 as Caffe trains it on handwritten digits.

References:
  LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998;
  BVLC Caffe, examples/mnist/lenet_train_test.prototxt.
"""

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.face_net import FaceNet
from facejax.nn.pooling import max_pool_ceil

CONV_FEATURES = (20, 50)
# Caffe's Xavier filler: uniform, of variance 1 / fan_in.
_xavier = nn.initializers.lecun_uniform()


class LeNet5(FaceNet):
  """Two linear 5 x 5 convolutions, each with a maximum behind it, and fc1.

  The embedding is what the classifier sees: fc1 after its ReLU.

  Attributes:
    image_size: (height, width) of the input, pixels.
    image_channels: 1, grey.
    width: factor on all channels but the embedding's.
    embedding_size: D, outputs of fc1.
  """

  image_size: tuple[int, int] = (28, 28)
  image_channels: int = 1
  width: float = 1.0
  embedding_size: int = 500

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised images, see `FaceNet`."""
    x = images
    for k, features in enumerate(CONV_FEATURES, 1):
      x = self.conv(
        max(1, round(features * self.width)),
        5,
        padding=0,
        use_bias=True,
        kernel_init=_xavier,
        name=f'conv{k}',
      )(x)
      x = max_pool_ceil(x, 2, 2)
    x = self.dense(x, self.embedding_size, name='fc1', kernel_init=_xavier)
    return nn.relu(x)[:, 0, 0]
