"""From aligned crops to embeddings, and the golden input that verifies it."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from facejax import models
from facejax.array_typing import Array, Float, PyTree, UInt8
from facejax.compression import packed
from facejax.data import preprocessing as preprocessing_lib
from facejax.data.preprocessing import CANONICAL_SIZE, Preprocessing
from facejax.errors import DataError
from facejax.models.face_net import FaceOutputs

OutputsFunction = Callable[[PyTree, Any], FaceOutputs]
EmbedFunction = Callable[[PyTree, Any], Array]


def make_outputs_function(
  architecture: str, fields: dict[str, Any], preprocessing: Preprocessing
) -> OutputsFunction:
  """A jitted function (variables, images) -> all that the net says of them.

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
  def outputs(variables: PyTree, images: Array) -> FaceOutputs:
    pixels = images
    if images.shape[1:3] == CANONICAL_SIZE:
      pixels = preprocessing_lib.fit_batch(images, preprocessing)
    pixels = preprocessing_lib.normalize(pixels, preprocessing)
    params = packed.unpack_tree(variables['params'])
    variables = {**variables, 'params': params}
    return module.apply(variables, pixels, False, method='outputs')

  return outputs


def make_embed_function(
  architecture: str, fields: dict[str, Any], preprocessing: Preprocessing
) -> EmbedFunction:
  """`make_outputs_function` for the raw embeddings [B, D] alone."""
  outputs = make_outputs_function(architecture, fields, preprocessing)
  return lambda variables, images: outputs(variables, images).embedding


def check_images(images: Any, preprocessing: Preprocessing) -> None:
  """Refuses what a model would embed to nonsense.

  Args:
    images: what is to be an array uint8 [B, H, W, 3].
    preprocessing: the model's contract.

  Raises:
    DataError: images of another shape or type.
  """
  sizes = {CANONICAL_SIZE, tuple(preprocessing.image_size)}
  wanted = ' or '.join(
    f'[B, {height}, {width}, 3]' for height, width in sorted(sizes)
  )
  if not isinstance(images, (np.ndarray, jax.Array)):
    raise DataError(
      f'images: expected an array uint8 {wanted}, got a {type(images).__name__}'
    )
  good = images.ndim == 4 and images.shape[3] == 3
  if not good or images.shape[1:3] not in sizes or images.dtype != np.uint8:
    raise DataError(
      f'images: expected RGB uint8 {wanted}, got {images.dtype} '
      f'{list(images.shape)}'
    )


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


def golden_outputs(
  outputs: OutputsFunction, variables: PyTree, seed: int
) -> dict[str, list[float]]:
  """What the net says of `golden_images(seed)`, scaled to unit norm.

  Returns:
    'embedding', and 'logits' of a model with a hash layer; float32 values as
    numbers that read back to the same bits.
  """
  found = outputs(variables, golden_images(seed))._asdict()
  return {
    name: normalize_rows(np.asarray(value, np.float32))[0].tolist()
    for name, value in found.items()
    if value is not None
  }


def golden_distance(
  actual: Mapping[str, list[float]], expected: Mapping[str, Any]
) -> float:
  """The larger of the cosine distances of two `golden_outputs`.

  Returns:
    Infinity where they cannot be compared: one lacks what the other has, has
    another length, or is not finite.
  """
  largest = 0.0
  for name in actual.keys() | expected.keys():
    a, b = actual.get(name), expected.get(name)
    if a is None or b is None or len(a) != len(b):
      return float('inf')
    distance = 1 - float(np.dot(np.float32(a), np.float32(b)))
    if not np.isfinite(distance):
      return float('inf')
    largest = max(largest, distance)
  return largest
