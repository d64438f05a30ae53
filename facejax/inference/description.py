"""The `model.json` of a freshly trained, compressed or imported model."""

from typing import Any

import numpy as np

from facejax.array_typing import PyTree
from facejax.compression import packed, ternary
from facejax.data.preprocessing import Preprocessing
from facejax.errors import CheckpointError
from facejax.inference import embedding


def describe_model(
  variables: PyTree,
  *,
  architecture: str,
  fields: dict[str, Any],
  preprocessing: Preprocessing,
  rules: ternary.Rules | None = None,
  post_training: bool = False,
  training_mean: np.ndarray | None = None,
  thresholds: dict[str, Any] | None = None,
  training_data: dict[str, Any] | None = None,
  golden_seed: int = 0,
) -> dict[str, Any]:
  """The description that `write_model_directory` stores.

  The golden outputs are those of the model as deployed: with `rules`, of its
  packed weights.

  Args:
    variables: {'params': float parameters, 'batch_stats': ...}.
    architecture: a name of `facejax.models`.
    fields: of its module, JSON values or tuples.
    preprocessing: from an aligned crop to the model's input.
    rules: the ternary rules, None for a float model.
    post_training: whether the weights were packed without ternary training.
    training_mean: float32 [D], mean raw embedding of training faces.
    thresholds: {'at': [{'far', 'threshold', ...}], ...}, see
      `FaceModel.threshold_at`, with what is known of the calibration set.
    training_data: JSON values, for example {'identities_checksum': ...}.
    golden_seed: of the golden input.

  Raises:
    CheckpointError: the embedding is not finite; such a model is of no use.
  """
  if rules is not None:
    params = packed.pack_tree_jit(variables['params'], rules)
    variables = {**variables, 'params': params}
  outputs = embedding.make_outputs_function(architecture, fields, preprocessing)
  golden = embedding.golden_outputs(outputs, variables, golden_seed)
  if not all(np.isfinite(values).all() for values in golden.values()):
    raise CheckpointError(
      f'{architecture}: the embedding of the model is not finite: training '
      'diverged, take an earlier checkpoint'
    )
  applied = None
  if rules is not None:
    applied = {
      'rules': [list(rule) for rule in rules],
      'post_training': post_training,
    }
  return {
    'architecture': {'name': architecture, 'fields': dict(fields)},
    'embedding_size': len(golden['embedding']),
    'hash_bits': len(golden['logits']) if 'logits' in golden else None,
    'preprocessing': preprocessing.to_json(),
    'training_mean': _to_list(training_mean),
    'thresholds': thresholds,
    'ternary': applied,
    'training_data': training_data,
    'golden': {'seed': golden_seed, **golden},
  }


def read_preprocessing(description: dict[str, Any]) -> Preprocessing:
  """The preprocessing contract of a description; JSON lists become tuples."""
  contract = description['preprocessing']
  sizes = {name: tuple(contract[name]) for name in ('image_size', 'crop')}
  return Preprocessing.from_json({**contract, **sizes})


def _to_list(values: np.ndarray | None) -> list[float] | None:
  """Float32 values as JSON numbers that read back to the same bits."""
  if values is None:
    return None
  return np.asarray(values, np.float32).tolist()
