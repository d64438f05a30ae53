"""What every architecture here has."""

import abc
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn

from facejax.array_typing import Array, Float
from facejax.errors import DataError, UsageError
from facejax.nn.blocks import ConvNorm
from facejax.nn.layers import Conv
from facejax.ops.norms import l2_normalize

# How a model computes, which is no property of its weights: model.json does
# not have these fields.
COMPUTE_FIELDS = ('dtype', 'conv_path')
# What the hash layer sees, and its first weights: logits of about the size of
# the embedding's values, which is 1 where these are normalised.
_HASH_INITS = {
  'raw': nn.initializers.lecun_normal(),
  'unit': nn.initializers.normal(1.0),
}


class FaceOutputs(NamedTuple):
  """What a net says of a batch of faces, in one pass.

  Attributes:
    embedding: raw embeddings [B, D], not of unit norm.
    logits: of the hash layer [B, L]; bit l of a code is logits[l] > 0. None
      without a hash layer.
  """

  embedding: Any
  logits: Any


class FaceNet(nn.Module):
  """The base of all architectures: `net(images, train)` embeds faces.

  `net.apply(..., method='outputs')` gives the hash layer's logits with them.

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
    dtype: of activations and products; parameters, BatchNorm statistics, the
      hash layer and logits of identities stay float32. None follows the
      parameters.
    conv_path: of convolutions, see `ops.paths.by_path`.
    hash_bits: L, outputs of the hash layer u = W_h F + b on the embedding F
      (spec 4.5), in multiples of 8; 0 for none.
    hash_input: 'raw', the embedding as it is, or 'unit', scaled to unit norm.
  """

  image_size: tuple[int, int] = (112, 112)
  image_channels: int = 3
  folded: bool = False
  dtype: Any = None
  conv_path: str = 'auto'
  hash_bits: int = 0
  hash_input: str = 'raw'

  @abc.abstractmethod
  def embed_faces(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Raw embeddings of images of the right size; called by `outputs`."""

  def __call__(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> Float[Array, 'B D']:
    """Raw embeddings, see the class."""
    return self.outputs(images, train).embedding

  @nn.compact
  def outputs(
    self, images: Float[Array, 'B H W C'], train: bool
  ) -> FaceOutputs:
    """Embeddings and what the hash layer makes of them."""
    self.check_images(images)
    self._check_hash_fields()
    embedding = self.embed_faces(images, train)
    logits = self._hash(embedding) if self.hash_bits else None
    return FaceOutputs(embedding, logits)

  def _check_hash_fields(self) -> None:
    """Raises UsageError for fields of the hash layer that mean nothing."""
    if self.hash_bits % 8 or self.hash_bits < 0:
      raise UsageError(
        f'hash_bits={self.hash_bits}: use a positive multiple of 8, since '
        'codes are stored in bytes'
      )
    if self.hash_input not in _HASH_INITS:
      raise UsageError(
        f'hash_input {self.hash_input!r}: use {" or ".join(_HASH_INITS)}'
      )
    if self.hash_input != 'raw' and not self.hash_bits:
      raise UsageError(
        f'hash_input={self.hash_input!r} is of a hash layer: give hash_bits '
        'with it'
      )

  def _hash(self, embedding: Float[Array, 'B D']) -> Float[Array, 'B L']:
    """Logits in float32: narrow types would turn bits near zero over."""
    embedding = embedding.astype(jnp.float32)
    if self.hash_input == 'unit':
      embedding = l2_normalize(embedding)
    return self.dense(
      embedding[:, None, None],
      self.hash_bits,
      name='hash',
      dtype=jnp.float32,
      kernel_init=_HASH_INITS[self.hash_input],
    )[:, 0, 0]

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
