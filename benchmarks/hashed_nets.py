"""Nets of the benchmark of codes: what layers are fitted to, and with them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import facejax
from facejax import files
from facejax.data.records import FaceRecords
from facejax.errors import UsageError
from facejax.evaluation.sources import FaceModel
from facejax.inference.embedding import make_outputs_function
from facejax.ops.linear_hash import LinearHash
from facejax.training.hash_features import (
  HashFeatures,
  embed_training_faces,
  make_hash_features,
)

_BATCH = 128


def training_features(
  net: str, training_set: str | None, cache: str
) -> HashFeatures:
  """Embeddings of the training set, from the cache or into it.

  Args:
    net: a model directory.
    training_set: a prepared set; needed where nothing is kept.
    cache: folder of NET.npz files of plain, flip and labels.

  Raises:
    UsageError: neither is there.
  """
  path = files.Path(cache) / f'{files.Path(net).name}.npz'
  if not path.exists():
    if training_set is None:
      raise UsageError(
        f'{path} does not exist: name a prepared set by --hash_training_set'
      )
    found = embed_training_faces(
      facejax.load_model(net), FaceRecords(training_set), batch_size=_BATCH
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, plain=found.plain, flip=found.flip, labels=found.labels)
    return found
  with np.load(path, allow_pickle=False) as arrays:
    return make_hash_features(
      arrays['plain'], arrays['flip'], arrays['labels'].astype(np.int64)
    )


def with_layer(
  model: FaceModel, layer: LinearHash
) -> Callable[[np.ndarray], Any]:
  """A net with a hash layer: crops to embeddings and logits in one pass."""
  made = model.description['architecture']
  bits = {'hash_bits': layer.kernel.shape[1], 'hash_input': 'unit'}
  outputs = make_outputs_function(
    made['name'], made['fields'] | bits, model.preprocessing
  )
  params = model.variables['params'] | {
    'hash': {'kernel': layer.kernel[None, None], 'bias': layer.bias}
  }
  return functools.partial(outputs, model.variables | {'params': params})
