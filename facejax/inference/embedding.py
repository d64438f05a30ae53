"""From aligned crops to embeddings, and the golden input that verifies it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from facejax import models
from facejax.array_typing import Array, Float, PyTree, UInt8
from facejax.compression import packed
from facejax.data import preprocessing as preprocessing_lib
from facejax.data.preprocessing import CANONICAL_SIZE, Preprocessing

EmbedFunction = Callable[[PyTree, Any], Array]


def make_embed_function(
  architecture: str, fields: dict[str, Any], preprocessing: Preprocessing
) -> EmbedFunction:
  """A jitted function (variables, images) -> raw embeddings [B, D].

  Packed weights are unpacked inside it, so that they stay 2-bit in memory
  between calls. Images are uint8 RGB, 112 x 112 or of the model's own size.

  Args:
    architecture: a name of `facejax.models`.
    fields: of its module.
    preprocessing: the model's contract.

  Raises:
    UsageError: an unknown architecture or field.
  """
  module = models.get_model(architecture, **fields)

  @jax.jit
  def embed(variables: PyTree, images: Array) -> Array:
    pixels = images
    if images.shape[1:3] == CANONICAL_SIZE:
      pixels = preprocessing_lib.fit_batch(images, preprocessing)
    pixels = preprocessing_lib.normalize(pixels, preprocessing)
    params = packed.unpack_tree(variables['params'])
    return module.apply({**variables, 'params': params}, pixels, False)

  return embed


def normalize_rows(
  embeddings: Float[np.ndarray, 'B D'],
) -> Float[np.ndarray, 'B D']:
  """Embeddings of unit norm; a zero row stays zero."""
  norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
  return embeddings / np.maximum(norms, 1e-12)


def golden_images(seed: int) -> UInt8[np.ndarray, '1 112 112 3']:
  """The input whose embedding a model directory remembers.

  Drawn from `RandomState`, whose stream NumPy has frozen for good.
  """
  noise = np.random.RandomState(seed).bytes(112 * 112 * 3)
  return np.frombuffer(noise, np.uint8).reshape(1, 112, 112, 3)


def golden_embedding(
  embed: EmbedFunction, variables: PyTree, seed: int
) -> Float[np.ndarray, ' D']:
  """The unit-norm embedding of `golden_images(seed)`."""
  embeddings = np.asarray(embed(variables, golden_images(seed)), np.float32)
  return normalize_rows(embeddings)[0]
