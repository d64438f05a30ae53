"""SphereFace-20 with max-feature-map convolutions in place of PReLU.

The thesis names residual modules with MFM and gives no table of layers; this
is the reading of spec 12.4, whose channels hold SphereFace-20's size.

References:
  Li, Deep Network Model Compression and its Application to Face Recognition,
  thesis, 2018; Wu et al., A Light CNN for Deep Face Representation with Noisy
  Labels, 2018, https://arxiv.org/abs/1511.02683.
"""

import functools
from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.face_net import FaceNet
from facejax.models.stages import Units, scale_width, stage_units
from facejax.nn.blocks import MaxFeatureConv

UNITS = {20: (1, 2, 4, 1)}
STAGE_FEATURES = (48, 96, 192, 256)


class MaxFeatureUnit(nn.Module):
  """x + mfm(mfm(x)), 3 x 3, as wide as its input; no activation afterwards."""

  conv: Callable[..., nn.Module]

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B H W C']:
    """One unit."""
    y = self.conv(x.shape[-1], name='conv1')(x)
    return x + self.conv(x.shape[-1], name='conv2')(y)


class ResNetMFM(FaceNet):
  """Four stages: an MFM convolution of stride 2, then residual units.

  Attributes:
    image_size: (height, width) of the input, pixels.
    width: factor on all channels but the embedding's.
    embedding_size: D of the final layer.
    units: residual units of the stages.
  """

  image_size: tuple[int, int] = (112, 96)
  width: float = 1.0
  embedding_size: int = 512
  units: Units = UNITS[20]

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    conv = functools.partial(
      MaxFeatureConv, dtype=self.dtype, conv_path=self.conv_path
    )
    x = images
    for s, count in enumerate(stage_units(20, self.units, UNITS)):
      features = scale_width(STAGE_FEATURES[s], self.width)
      x = conv(features, strides=2, name=f'stage{s}')(x)
      for u in range(count):
        x = MaxFeatureUnit(conv, name=f'stage{s}_unit{u}')(x)
    x = self.conv(
      self.embedding_size,
      x.shape[1:3],
      padding=0,
      use_bias=True,
      name='embed',
    )(x)
    return x[:, 0, 0]
