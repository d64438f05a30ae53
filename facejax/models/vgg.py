"""VGG-Face: sixteen layers of the VGG design.

References:
  Parkhi et al., Deep Face Recognition, 2015, Table 3 (spec 4.2).
"""

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.pooled import PooledFaceNet
from facejax.models.stages import scale_width
from facejax.nn.pooling import max_pool_ceil

# Channels and convolutions of every stage.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
FC6_FEATURES = 4096


class VGGFace(PooledFaceNet):
  """Five stages of 3 x 3 convolutions, a maximum after each, fc6 and fc7.

  The embedding is what the published classifier sees: fc7 after its ReLU.
  Module A pools the map before the last maximum, and what that leaves of it.

  Attributes:
    image_size: (height, width) of the input, pixels; any, fc6 covers the map.
    width: factor on all channels but the embedding's.
    embedding_size: D, outputs of fc7; of module A, see `PooledFaceNet`.
    dropout: share that a training step drops of fc6 and of fc7, or of the
      pooled features; needs the key 'dropout'.
    stages: (channels, convolutions) of every stage; the default is the
      paper's.
  """

  image_size: tuple[int, int] = (224, 224)
  width: float = 1.0
  embedding_size: int = 4096
  dropout: float = 0.5
  stages: tuple[tuple[int, int], ...] = STAGES

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    x = images
    last = self.last_width(
      scale_width(self.stages[-1][0], self.width), self.embedding_size
    )
    for s, (features, convolutions) in enumerate(self.stages, 1):
      for k in range(1, convolutions + 1):
        is_last = (s, k) == (len(self.stages), convolutions)
        x = self.conv(
          last if is_last else scale_width(features, self.width),
          3,
          use_bias=True,
          name=f'conv{s}_{k}',
        )(x)
        x = nn.relu(x)
      conv_map, x = x, max_pool_ceil(x, 2, 2)
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
