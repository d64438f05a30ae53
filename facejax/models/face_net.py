"""What every architecture here has."""

import functools
from collections.abc import Callable
from typing import Any

from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.errors import DataError
from facejax.nn.blocks import ConvNorm
from facejax.nn.layers import Conv

# How a model computes, which is no property of its weights: model.json does
# not have these fields.
COMPUTE_FIELDS = ('dtype', 'conv_path')


class FaceNet(nn.Module):
  """The base of all architectures: `net(images, train)` embeds faces.

  Arguments of the call:
    images: float [B, H, W, C], pixels after `Preprocessing`, about -1 .. 1.
    train: whether BatchNorm takes its statistics from this batch and moves the
      running ones ('batch_stats' must be mutable), and dropout acts (with the
      key 'dropout').

  It returns raw embeddings [B, D], not of unit norm, and raises DataError for
  images of another size, UsageError for fields that mean nothing.

  Attributes:
    image_size: (height, width) of the input, pixels.
    image_channels: 3 for RGB, 1 for grey.
    folded: BatchNorm is part of the layer before it, as
      `compression.folding.fold_batch_norm` leaves it; for inference alone.
    dtype: of activations and products; parameters, BatchNorm statistics and
      logits stay float32. None follows the parameters.
    conv_path: of convolutions, see `ops.paths.by_path`.
  """

  image_size: tuple[int, int] = (112, 112)
  image_channels: int = 3
  folded: bool = False
  dtype: Any = None
  conv_path: str = 'auto'

  def check_images(self, images: Float[Array, 'B H W C']) -> None:
    """Raises DataError unless the images are what the model takes."""
    wanted = (*self.image_size, self.image_channels)
    if images.shape[1:] != wanted:
      raise DataError(
        f'the model takes images of {wanted}, not {images.shape[1:]}'
      )

  @property
  def conv(self) -> Callable[..., Conv]:
    """`Conv` with this model's dtype and path."""
    return functools.partial(Conv, dtype=self.dtype, conv_path=self.conv_path)

  def dense(
    self, x: Float[Array, 'B H W C'], features: int, *, name: str, **fields: Any
  ) -> Float[Array, 'B 1 1 O']:
    """A biased dense layer over the whole map, inside a compact module.

    Args:
      x: feature map.
      features: O.
      name: of the `Conv` whose kernel is the map.
      **fields: of it, such as `kernel_init`.
    """
    conv = self.conv(
      features, x.shape[1:3], padding=0, use_bias=True, name=name, **fields
    )
    return conv(x)

  @property
  def conv_norm(self) -> Callable[..., ConvNorm]:
    """`ConvNorm` with this model's folding, dtype and path."""
    return functools.partial(
      ConvNorm, folded=self.folded, dtype=self.dtype, conv_path=self.conv_path
    )
