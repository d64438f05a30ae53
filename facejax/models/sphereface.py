"""The nets of SphereFace: residual units without BatchNorm.

References:
  Liu et al., SphereFace: Deep Hypersphere Embedding for Face Recognition,
  2017, https://arxiv.org/abs/1704.08063, Table 2; wy1iu/sphereface (spec 4.1).
"""

from collections.abc import Callable

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.models.pooled import PooledFaceNet
from facejax.models.stages import Units, scale_width, stage_units
from facejax.nn.layers import PReLU

UNITS = {
  4: (0, 0, 0, 0),
  10: (0, 1, 2, 0),
  20: (1, 2, 4, 1),
  36: (2, 4, 8, 2),
  64: (3, 8, 16, 3),
}
STAGE_FEATURES = (64, 128, 256, 512)
# Caffe's Xavier filler: uniform, of variance 1 / fan_in.
_xavier = nn.initializers.lecun_uniform()
# Units begin close to the identity; without BatchNorm deep nets need it.
_unit_init = nn.initializers.normal(0.01)


class Unit(nn.Module):
  """x + PReLU(conv(PReLU(conv x))), 3 x 3, as wide as its input."""

  conv: Callable[..., nn.Module]

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B H W C']:
    """One unit."""
    y = x
    for k in (1, 2):
      y = self.conv(
        x.shape[-1],
        3,
        use_bias=True,
        kernel_init=_unit_init,
        name=f'conv{k}',
      )(y)
      y = PReLU(name=f'activation{k}')(y)
    return x + y


class SphereFace(PooledFaceNet):
  """Four stages: a convolution of stride 2, then residual units.

  The units' biases are parameters, and counted, as in the authors' files,
  where they stay at zero: freeze 'stage.*_unit.*/bias' to train so.

  In module A the whole last stage has the width of conv 2 (spec 4.4).

  Attributes:
    image_size: (height, width) of the input, pixels.
    width: factor on all channels but the embedding's.
    embedding_size: D of the final layer; of module A, see `PooledFaceNet`.
    depth: layers with kernels, one of `UNITS`.
    units: residual units of the stages; None takes those of `depth`.
  """

  image_size: tuple[int, int] = (112, 96)
  width: float = 1.0
  embedding_size: int = 512
  depth: int = 20
  units: Units | None = None

  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Embeds normalised faces, see `FaceNet`."""
    x = images
    units = stage_units(self.depth, self.units, UNITS)
    *widths, last = (scale_width(f, self.width) for f in STAGE_FEATURES)
    widths.append(self.last_width(last, self.embedding_size))
    for s, count in enumerate(units):
      x = self.conv(
        widths[s],
        3,
        2,
        use_bias=True,
        kernel_init=_xavier,
        name=f'stage{s}',
      )(x)
      x = PReLU(name=f'stage{s}_activation')(x)
      for u in range(count):
        x = Unit(self.conv, name=f'stage{s}_unit{u}')(x)
    if self.pooled:
      return self.splice(x)
    x = self.dense(x, self.embedding_size, name='embed', kernel_init=_xavier)
    return x[:, 0, 0]
