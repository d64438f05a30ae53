"""A face-recognition model, float or packed, ready to use."""

import functools
from typing import Any

import flax.errors
import jax
import jax.numpy as jnp
import numpy as np

from facejax import models
from facejax.array_typing import Float
from facejax.checkpoint.model_directory import (
  ModelDirectory,
  read_model_directory,
)
from facejax.data.preprocessing import CANONICAL_SIZE
from facejax.errors import (
  CheckpointError,
  DataError,
  UsageError,
  UserError,
)
from facejax.files import PathLike
from facejax.inference import embedding
from facejax.inference.description import read_preprocessing

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
      self._embed = embedding.make_embed_function(
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
    self._check_images(images)
    if not len(images):
      return np.zeros((0, self.embedding_size), np.float32)
    embeddings = np.asarray(self._embed(self.variables, images), np.float32)
    return embedding.normalize_rows(embeddings) if normalize else embeddings

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
    """Recomputes the golden embedding.

    Raises:
      CheckpointError: the model does not compute what its writer stored.
    """
    path = self.directory.path
    golden = self.description['golden']
    expected = np.asarray(golden['embedding'], np.float32)
    try:
      actual = embedding.golden_embedding(
        self._embed, self.variables, golden['seed']
      )
    except (flax.errors.FlaxError, TypeError, ValueError) as error:
      text = ' '.join(str(error).split())
      raise CheckpointError(
        f'{path}: params/ does not fit the architecture of model.json '
        f'({text[:200]})'
      ) from None
    same = actual.shape == expected.shape
    distance = 1 - float(actual @ expected) if same else float('nan')
    limit = _NARROW_TOLERANCE if self._is_narrow else _GOLDEN_TOLERANCE
    if not distance <= limit:
      raise CheckpointError(
        f'{path}: its golden embedding is off by a cosine distance of '
        f'{distance:.2g}: the folder was altered or damaged, restore it from '
        'a copy'
      )

  def _check_images(self, images: Any) -> None:
    """Refuses what would be embedded to nonsense."""
    sizes = {CANONICAL_SIZE, tuple(self.preprocessing.image_size)}
    wanted = ' or '.join(
      f'[B, {height}, {width}, 3]' for height, width in sorted(sizes)
    )
    if not isinstance(images, (np.ndarray, jax.Array)):
      raise DataError(
        f'images: expected an array uint8 {wanted}, got a '
        f'{type(images).__name__}'
      )
    good = images.ndim == 4 and images.shape[3] == 3
    if not good or images.shape[1:3] not in sizes or images.dtype != np.uint8:
      raise DataError(
        f'images: expected RGB uint8 {wanted}, got {images.dtype} '
        f'{list(images.shape)}'
      )


def load_model(
  path: PathLike, *, verify: bool = True, dtype: Any = None
) -> FaceModel:
  """Loads a model directory, float or packed, onto the first device.

  Args:
    path: the folder that training, compressing or importing wrote.
    verify: recomputes the golden embedding.
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
