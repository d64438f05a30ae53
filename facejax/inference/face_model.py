"""A face-recognition model, float or packed, ready to use."""

import functools
from typing import Any

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np

from facejax import models
from facejax.array_typing import Float, UInt8
from facejax.checkpoint.model_directory import (
  ModelDirectory,
  read_model_directory,
)
from facejax.errors import (
  CheckpointError,
  UsageError,
  UserError,
)
from facejax.files import PathLike
from facejax.inference import embedding
from facejax.inference.description import read_preprocessing
from facejax.ops import hamming

# Cosine distances: between platforms, and from a narrower type than float32.
_GOLDEN_TOLERANCE = 1e-4
_NARROW_TOLERANCE = 1e-2


class FaceModel:
  """Embeds aligned face crops.

  Attributes:
    directory: the model directory it was read from.
    description: its `model.json`.
    preprocessing: from an aligned crop to the model's input.
    variables: its parameters; packed ones stay packed.
  """

  def __init__(self, directory: ModelDirectory, *, dtype: Any = None):
    """Builds the architecture that the description names.

    Args:
      directory: as read.
      dtype: of activations and products, such as 'bfloat16'; None is float32.

    Raises:
      CheckpointError: the description is not usable.
      UsageError: a dtype that is none.
    """
    models.check_dtype(dtype)
    self._is_narrow = dtype is not None and jnp.dtype(dtype).itemsize < 4
    self.directory = directory
    self.description = directory.description
    self.variables = directory.variables
    try:
      architecture = self.description['architecture']
      self.preprocessing = read_preprocessing(self.description)
      self._outputs = embedding.make_outputs_function(
        architecture['name'],
        architecture['fields'] | ({} if dtype is None else {'dtype': dtype}),
        self.preprocessing,
      )
    except (KeyError, TypeError, UserError) as error:
      raise CheckpointError(
        f'{directory.path / "model.json"} is not usable: {error}'
      ) from None

  @property
  def embedding_size(self) -> int:
    """Length D of an embedding."""
    return self.description['embedding_size']

  @property
  def hash_bits(self) -> int:
    """Bits L of a code; 0 for a model without a hash layer."""
    return self.description['hash_bits'] or 0

  @property
  def is_packed(self) -> bool:
    """Whether the weights are held in 2 bits."""
    return self.directory.is_packed

  @functools.cached_property
  def training_mean(self) -> Float[np.ndarray, ' D'] | None:
    """The mean raw embedding of training faces, if it is stored."""
    mean = self.description['training_mean']
    return None if mean is None else np.asarray(mean, np.float32)

  def embed(
    self, images: Any, *, normalize: bool = True
  ) -> Float[np.ndarray, 'B D']:
    """Embeds aligned faces; compiled once for every batch shape.

    Args:
      images: array uint8 [B, 112, 112, 3], RGB, aligned to the template of spec
        1.2; or of the model's own input size, already cropped to it.
      normalize: scales the embeddings to unit norm.

    Returns:
      float32 [B, D].

    Raises:
      DataError: images of another shape or type.
    """
    embedding.check_images(images, self.preprocessing)
    if not len(images):
      return np.zeros((0, self.embedding_size), np.float32)
    found = self._outputs(self.variables, images).embedding
    embeddings = np.asarray(found, np.float32)
    return embedding.normalize_rows(embeddings) if normalize else embeddings

  def embed_and_hash(
    self, images: Any, *, normalize: bool = True
  ) -> tuple[Float[np.ndarray, 'B D'], Float[np.ndarray, 'B L']]:
    """Embeddings and hash logits, in one pass of the net.

    Args:
      images: as `embed` takes them.
      normalize: scales the embeddings, not the logits, to unit norm.

    Returns:
      float32 [B, D], and float32 [B, L]: bit l of a code is
      logits[l] > 0, and the logits themselves are the query of the asymmetric
      distance.

    Raises:
      UsageError: the model has no hash layer.
      DataError: images of another shape or type.
    """
    if not self.hash_bits:
      raise UsageError(
        f'{self.directory.path} has no hash layer: add one by '
        'python -m launch.add_hash'
      )
    embedding.check_images(images, self.preprocessing)
    if not len(images):
      return (
        np.zeros((0, self.embedding_size), np.float32),
        np.zeros((0, self.hash_bits), np.float32),
      )
    found = jax.device_get(self._outputs(self.variables, images))
    embeddings, logits = (np.asarray(x, np.float32) for x in found)
    if normalize:
      embeddings = embedding.normalize_rows(embeddings)
    return embeddings, logits

  def hash(self, images: Any) -> UInt8[np.ndarray, 'B bytes']:
    """Binary codes, bit l in byte l // 8, the least significant first.

    Args:
      images: as `embed` takes them.

    Returns:
      uint8 [B, L // 8].

    Raises:
      UsageError: the model has no hash layer.
      DataError: images of another shape or type.
    """
    return np.asarray(hamming.pack_bits(self.embed_and_hash(images)[1]))

  def threshold_at(self, far: float) -> float:
    """The cosine similarity above which two faces count as one person.

    Args:
      far: the false-accept rate, one of those that were calibrated.

    Raises:
      UsageError: the model has no threshold for it; lists those it has.
    """
    thresholds = (self.description['thresholds'] or {}).get('at', [])
    for entry in thresholds:
      if np.isclose(entry['far'], far, rtol=1e-6, atol=0):
        return entry['threshold']
    known = ', '.join(f'{entry["far"]:g}' for entry in thresholds) or 'none'
    raise UsageError(
      f'{self.directory.path} has no threshold for a false-accept rate of '
      f'{far:g}; calibrated rates: {known}'
    )

  def verify(self) -> None:
    """Recomputes the golden embedding, and the golden hash logits.

    Raises:
      CheckpointError: the model does not compute what its writer stored.
    """
    path = self.directory.path
    expected = dict(self.description['golden'])
    try:
      actual = embedding.golden_outputs(
        self._outputs, self.variables, expected.pop('seed')
      )
    except (flax.errors.FlaxError, TypeError, ValueError) as error:
      text = ' '.join(str(error).split())
      raise CheckpointError(
        f'{path}: params/ does not fit the architecture of model.json '
        f'({text[:200]})'
      ) from None
    self._check_sizes(actual)
    limit = _NARROW_TOLERANCE if self._is_narrow else _GOLDEN_TOLERANCE
    distance = embedding.golden_distance(actual, expected)
    if not distance <= limit:
      raise CheckpointError(
        f'{path}: its golden output is off by a cosine distance of '
        f'{distance:.2g}: the folder was altered or damaged, restore it from '
        'a copy'
      )

  def _check_sizes(self, outputs: dict[str, list[float]]) -> None:
    """Refuses a description of other lengths than its parameters have."""
    for field, name in (
      ('embedding_size', 'embedding'),
      ('hash_bits', 'logits'),
    ):
      said, found = getattr(self, field), len(outputs.get(name, ()))
      if said != found:
        raise CheckpointError(
          f'{self.directory.path}: model.json says {field} {said}, its params '
          f'have {found}: the folder was altered, restore it from a copy'
        )


def load_model(
  path: PathLike, *, verify: bool = True, dtype: Any = None
) -> FaceModel:
  """Loads a model directory, float or packed, onto the first device.

  Args:
    path: the folder that training, compressing or importing wrote.
    verify: recomputes the golden outputs, see `FaceModel.verify`.
    dtype: of activations and products, such as 'bfloat16' on TPU and GPU; the
      weights stay as they are. None is float32.

  Raises:
    CheckpointError: no model directory, or a damaged one.
    UsageError: a dtype that is none.
  """
  model = FaceModel(read_model_directory(path), dtype=dtype)
  if verify:
    model.verify()
  return model
