"""From a file of another system to a model directory."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from facejax import files, trees
from facejax.array_typing import PyTree
from facejax.checkpoint.model_directory import write_model_directory
from facejax.data import preprocessing as preprocessing_lib
from facejax.data.records import FaceRecords
from facejax.errors import DataError
from facejax.evaluation.calibration import calibrate, mean_embedding
from facejax.files import PathLike
from facejax.importing.opening import read_net
from facejax.importing.proof import embed_by_graph
from facejax.importing.search import AUTO
from facejax.importing.translation import Translation, translate
from facejax.inference.description import describe_model
from facejax.inference.embedding import golden_images, make_embed_function

_MOST_ERROR = 1e-3  # of a unit-norm embedding, to that of the file's own graph


def import_weights(
  path: PathLike,
  *,
  format: str,
  output: PathLike,
  architecture: str = AUTO,
  symbol: PathLike | None = None,
  mean: float | int | None = None,
  scale: float | int | None = None,
  color_order: str = 'RGB',
  calibration: PathLike | None = None,
  overwrite: bool = False,
  batch_size: int = 128,
) -> dict[str, Any]:
  """Writes a model directory of another system's weights.

  An ONNX import is proven: the file's own graph and the model embed one image,
  and have to agree.

  Args:
    path: the file.
    format: 'onnx', 'pytorch' or 'mxnet'.
    output: the new model directory.
    architecture: a name of `facejax.models.MODELS`, or 'auto'.
    symbol: of MXNet, the file of the graph, if it is not beside `path`.
    mean: subtracted from pixels before the net; None for what the graph has
      in it, else 127.5.
    scale: divides them afterwards; None likewise, else 128.
    color_order: 'RGB' or 'BGR', that the net was trained with; a net of one
      channel takes grey images, whatever it says.
    calibration: a prepared set of people it was not trained on, for
      thresholds and the mean of mode 'centred'; None stores neither.
    overwrite: replaces what stands at `output`.
    batch_size: images in one call of the model.

  Returns:
    model_dir, architecture, fields, num_parameters, preprocessing and
    preprocessing_from, matched (how many layers of the file), left_behind,
    assumptions, max_abs_error (of the proof; None without), thresholds (by
    false-accept rate), size (bytes on disk). The same, and the place of every
    layer, in import.json of the folder.

  Raises:
    DataError: the file cannot be read, fits no architecture, has values that
      are not finite, or computes something else.
    UsageError: `output` exists, or what is given contradicts the file.
  """
  files.check_new_directory(output, overwrite=overwrite)
  held_out = None if calibration is None else FaceRecords(calibration)
  net = read_net(path, format=format, symbol=symbol)
  translation = translate(
    net,
    architecture=architecture,
    mean=mean,
    scale=scale,
    color_order=color_order,
  )
  variables = jax.device_put(translation.match.variables)
  description = _describe(
    translation,
    variables,
    held_out,
    batch_size=batch_size,
    imported={'from': str(path), 'format': format}
    | {'sha256': files.checksum(path)},
  )
  error = None
  if format == 'onnx':
    error = _prove(path, translation, description['golden'])
  write_model_directory(
    output, description=description, variables=variables, overwrite=overwrite
  )
  result = _report(translation, description, output, error)
  files.write_json(
    files.Path(output) / 'import.json',
    {**result, 'layers': translation.match.matched, 'ignored': net.ignored},
  )
  return result


def _describe(
  translation: Translation,
  variables: PyTree,
  held_out: FaceRecords | None,
  *,
  batch_size: int,
  imported: dict[str, Any],
) -> dict[str, Any]:
  """The `model.json`, thresholds and mean included where people are given."""
  mean, thresholds, mean_from = None, None, None
  if held_out is not None:
    embed = make_embed_function(
      translation.architecture, translation.fields, translation.preprocessing
    )

    def embed_crops(crops: np.ndarray) -> jax.Array:
      return embed(variables, crops)

    thresholds = calibrate(embed_crops, held_out, batch_size=batch_size)
    mean, count = mean_embedding(embed_crops, held_out, batch_size=batch_size)
    # Of the calibration set: that of the net's training is not at hand.
    mean_from = {
      'set': str(held_out.directory),
      'identities_checksum': held_out.identities_checksum,
      'num_images': count,
    }
  return describe_model(
    variables,
    architecture=translation.architecture,
    fields=translation.fields,
    preprocessing=translation.preprocessing,
    training_mean=mean,
    thresholds=thresholds,
    training_data={'imported': imported, 'training_mean_from': mean_from},
  )


def _prove(
  path: PathLike, translation: Translation, golden: dict[str, Any]
) -> float:
  """How far the golden embedding is from that of the file's own graph.

  Raises:
    DataError: too far: the file computes what its weights do not show; or
      the graph cannot be computed.
  """
  contract = translation.preprocessing
  if translation.preprocessing_from == 'graph':
    contract = dataclasses.replace(contract, mean=0.0, scale=1.0)
  crops = jnp.asarray(golden_images(golden['seed']))
  pixels = preprocessing_lib.fit_batch(crops, contract)
  pixels = preprocessing_lib.normalize(pixels, contract)
  expected = embed_by_graph(path, np.asarray(pixels))[0]
  actual = np.asarray(golden['embedding'], np.float32)
  if expected.shape != actual.shape:
    error = float('inf')
  else:
    error = float(np.abs(actual - expected).max())
  if not error <= _MOST_ERROR:
    raise DataError(
      f'{path}: its graph computes another embedding than '
      f'{translation.architecture} with its weights (off by {error:.2g}): the '
      'layers fit, what stands between them does not'
    )
  return error


def _report(
  translation: Translation,
  description: dict[str, Any],
  output: PathLike,
  error: float | None,
) -> dict[str, Any]:
  """What `import_weights` returns."""
  entries = (description['thresholds'] or {}).get('at', [])
  match = translation.match
  return {
    'model_dir': str(output),
    'architecture': translation.architecture,
    'fields': translation.fields,
    'num_parameters': trees.parameter_count(match.variables['params']),
    'preprocessing': translation.preprocessing.to_json(),
    'preprocessing_from': translation.preprocessing_from,
    'matched': len(match.matched),
    'left_behind': match.left_behind,
    'assumptions': translation.assumptions,
    'max_abs_error': error,
    'thresholds': {f'{e["far"]:g}': e['threshold'] for e in entries},
    'size': files.directory_bytes(output),
  }
