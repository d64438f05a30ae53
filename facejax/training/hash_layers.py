"""Adds a hash layer to a finished model; its backbone stays as it is."""

import time
from typing import Any

import numpy as np

from facejax import files
from facejax.checkpoint.model_directory import (
  ModelDirectory,
  write_model_directory,
)
from facejax.data.records import FaceRecords
from facejax.errors import UsageError
from facejax.files import PathLike
from facejax.inference import FaceModel, load_model
from facejax.inference.description import describe_model, read_preprocessing
from facejax.ops.linear_hash import LinearHash
from facejax.training.hash_features import HashFeatures, embed_training_faces
from facejax.training.hash_fitting import (
  METHODS,
  FittedHash,
  check_faces,
  check_hash,
  fit_hash,
)
from facejax.training.hash_settings import HashTraining

__all__ = [
  'DEFAULT_BITS',
  'METHODS',
  'add_hash',
  'fit_hash',
  'write_hashed_model',
]

# Codes tell angles, so the layer sees nothing of an embedding's length.
HASH_INPUT = 'unit'
DEFAULT_BITS = 128


def _with_layer(source: ModelDirectory, layer: LinearHash) -> dict[str, Any]:
  """The variables with the hash layer, of the model's own type of leaves."""
  params = dict(source.variables['params'])
  params['hash'] = {
    'kernel': layer.kernel[None, None],
    'bias': layer.bias,
  }
  return {**source.variables, 'params': params}


def write_hashed_model(
  source: ModelDirectory,
  output: PathLike,
  fitted: FittedHash,
  *,
  overwrite: bool = False,
) -> None:
  """Writes the model with a hash layer beside its old parameters.

  Packed weights stay packed, and the layer is float beside them. Thresholds,
  training mean and classifier are carried over: embeddings do not change.
  `training_data.hash` of the description says how the layer was found.

  Args:
    source: a model directory; a hash layer that it has is replaced.
    output: the new model directory.
    fitted: the layer.
    overwrite: replaces what stands at `output`.

  Raises:
    UsageError: `output` exists.
    CheckpointError: the disk is full, or outputs are not finite.
  """
  old = source.description
  architecture = old['architecture']
  variables = _with_layer(source, fitted.layer)
  description = describe_model(
    variables,
    architecture=architecture['name'],
    fields=architecture['fields']
    | {'hash_bits': len(fitted.layer.bias), 'hash_input': HASH_INPUT},
    preprocessing=read_preprocessing(old),
    training_mean=_array_or_none(old['training_mean']),
    thresholds=old['thresholds'],
    training_data=(old['training_data'] or {}) | {'hash': fitted.report},
    golden_seed=old['golden']['seed'],
  )
  if old['ternary'] is not None:
    rules = [rule for rule in old['ternary']['rules'] if rule[0] != 'hash/.*']
    description['ternary'] = old['ternary'] | {
      'rules': [['hash/.*', 'float'], *rules]
    }
  write_model_directory(
    output,
    description=description,
    variables=variables,
    # Nothing is left to pack, yet the directory is one of packed weights.
    rules=() if source.is_packed else None,
    classifier=source.classifier,
    overwrite=overwrite,
  )


def _array_or_none(values: list[float] | None) -> np.ndarray | None:
  return None if values is None else np.asarray(values, np.float32)


def _check_model(model: FaceModel, replace: bool) -> None:
  """Refuses a model whose hash layer nobody asked to replace."""
  if model.hash_bits and not replace:
    raise UsageError(
      f'{model.directory.path} has a hash layer of {model.hash_bits} bits '
      'already: give the model without it, or --replace_hash'
    )


def _embed(
  model: FaceModel, data: PathLike | None, **options: int
) -> tuple[HashFeatures | None, dict[str, Any]]:
  """The training faces, if there are any, and what they are."""
  if data is None:
    return None, {}
  records = FaceRecords(data)
  features = embed_training_faces(model, records, **options)
  return features, {
    'data': str(data),
    'identities_checksum': records.identities_checksum,
    'num_identities': features.num_identities,
    'num_images': len(features.labels),
  }


def add_hash(
  model: PathLike,
  output: PathLike,
  *,
  data: PathLike | None = None,
  hash_bits: int | None = None,
  method: str = 'trained',
  settings: HashTraining | None = None,
  iterations: int = 50,
  seed: int = 0,
  max_faces: int = 200_000,
  batch_size: int = 128,
  replace: bool = False,
  overwrite: bool = False,
) -> dict[str, Any]:
  """Adds a hash layer to a finished model, float or packed.

  Args:
    model: a model directory.
    output: the new model directory.
    data: a prepared set of training faces; 'random' and 'sign' do without, and
      with it report statistics of their bits.
    hash_bits: L; None is D for 'sign', else 128.
    method: one of `METHODS`, see `fit_hash`.
    settings: of 'trained'.
    iterations: of 'itq'.
    seed: of 'itq' and 'random'.
    max_faces: of a larger set whole people are taken, see
      `embed_training_faces`.
    batch_size: images in one call of the model.
    replace: a hash layer that the model has is replaced.
    overwrite: replaces what stands at `output`.

  Returns:
    model_dir, hash_bits, hash_input, method, bytes_added (of parameters),
    seconds (embedding, fitting), and what is known of the fit: data, seed,
    settings, losses, statistics of the bits.

  Raises:
    UsageError: what cannot be, or `output` exists.
    DataError: the set cannot be read, or does not do.
    CheckpointError: the model cannot be read.
  """
  files.check_new_directory(output, overwrite=overwrite)
  loaded = load_model(model)
  _check_model(loaded, replace)
  size = loaded.embedding_size
  num_bits = hash_bits or (size if method == 'sign' else DEFAULT_BITS)
  check_hash(size, num_bits, method)
  check_faces(method, data is not None)
  start = time.monotonic()
  features, described = _embed(
    loaded, data, batch_size=batch_size, max_faces=max_faces
  )
  embedded = time.monotonic()
  fitted = fit_hash(
    method,
    num_bits,
    size=size,
    features=features,
    settings=settings,
    iterations=iterations,
    seed=seed,
  )
  fitted = fitted._replace(report=described | fitted.report)
  seconds = {
    'embedding': embedded - start,
    'fitting': time.monotonic() - embedded,
  }
  write_hashed_model(loaded.directory, output, fitted, overwrite=overwrite)
  layer_bytes = sum(values.nbytes for values in fitted.layer)
  return {
    'model_dir': str(output),
    'hash_bits': num_bits,
    'hash_input': HASH_INPUT,
    'bytes_added': layer_bytes,
    'seconds': seconds,
    **fitted.report,
  }
