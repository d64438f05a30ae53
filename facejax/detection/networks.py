"""The three networks of MTCNN.

Each looks at RGB pixels (x - 127.5) / 128 and says, per window, how probable a
face is and how its box must move, as fractions of the window: x1, y1, x2, y2.

References:
  Zhang et al., Joint Face Detection and Alignment using Multi-task Cascaded
  Convolutional Networks, 2016, https://arxiv.org/abs/1604.02878. Layer sizes
  are those of the published weights.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from facejax.array_typing import Array, Float, PyTree
from facejax.nn.layers import PReLU

PNET_CELL = 12  # pixels seen by one output of the P-Net
PNET_STRIDE = 2
RNET_SIZE = 24
ONET_SIZE = 48


class Block(nn.Module):
  """A convolution without padding, PReLU, and max pooling where asked."""

  features: int
  kernel_size: int
  pool: int = 0
  pool_padding: str = 'SAME'

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B h w O']:
    """Convolves, activates and pools with stride 2."""
    size = (self.kernel_size, self.kernel_size)
    x = nn.Conv(self.features, size, padding='VALID', name='conv')(x)
    x = PReLU(name='activation')(x)
    if self.pool:
      x = nn.max_pool(x, (self.pool, self.pool), (2, 2), self.pool_padding)
    return x


class Hidden(nn.Module):
  """A dense layer over all positions, and PReLU."""

  features: int

  @nn.compact
  def __call__(self, x: Float[Array, 'B H W C']) -> Float[Array, 'B O']:
    """Flattens rows first, then columns and channels."""
    x = nn.Dense(self.features, name='dense')(x.reshape(len(x), -1))
    return PReLU(name='activation')(x)


class PNet(nn.Module):
  """Proposals on a whole image: one output for every second pixel."""

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B H W 3']
  ) -> tuple[Float[Array, 'B h w'], Float[Array, 'B h w 4']]:
    """Face probability and box offsets of every 12 x 12 window."""
    x = Block(10, 3, pool=2, name='block1')(x)
    x = Block(16, 3, name='block2')(x)
    x = Block(32, 3, name='block3')(x)
    scores = nn.Dense(2, name='scores')(x)
    offsets = nn.Dense(4, name='offsets')(x)
    return jax.nn.softmax(scores)[..., 1], offsets


class RNet(nn.Module):
  """Refines proposals, resized to 24 x 24."""

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B 24 24 3']
  ) -> tuple[Float[Array, ' B'], Float[Array, 'B 4']]:
    """Face probability and box offsets."""
    x = Block(28, 3, pool=3, name='block1')(x)
    x = Block(48, 3, pool=3, pool_padding='VALID', name='block2')(x)
    x = Block(64, 2, name='block3')(x)
    x = Hidden(128, name='hidden')(x)
    scores = nn.Dense(2, name='scores')(x)
    offsets = nn.Dense(4, name='offsets')(x)
    return jax.nn.softmax(scores)[..., 1], offsets


class ONet(nn.Module):
  """Decides, refines, and finds five landmarks, at 48 x 48."""

  @nn.compact
  def __call__(
    self, x: Float[Array, 'B 48 48 3']
  ) -> tuple[Float[Array, ' B'], Float[Array, 'B 4'], Float[Array, 'B 5 2']]:
    """Face probability, box offsets, and landmarks (x, y) in the window."""
    x = Block(32, 3, pool=3, name='block1')(x)
    x = Block(64, 3, pool=3, pool_padding='VALID', name='block2')(x)
    x = Block(64, 3, pool=2, name='block3')(x)
    x = Block(128, 2, name='block4')(x)
    x = Hidden(256, name='hidden')(x)
    scores = nn.Dense(2, name='scores')(x)
    offsets = nn.Dense(4, name='offsets')(x)
    landmarks = nn.Dense(10, name='landmarks')(x)
    landmarks = landmarks.reshape(-1, 2, 5).swapaxes(1, 2)
    return jax.nn.softmax(scores)[..., 1], offsets, landmarks


NETWORKS: dict[str, tuple[nn.Module, int]] = {
  'pnet': (PNet(), PNET_CELL),
  'rnet': (RNet(), RNET_SIZE),
  'onet': (ONet(), ONET_SIZE),
}


def parameter_shapes() -> dict[str, PyTree]:
  """What every network's parameters look like, by network name."""

  def shapes(network: nn.Module, size: int) -> Any:
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), image)['params']

  return {name: shapes(*entry) for name, entry in NETWORKS.items()}
