"""Receptive fields of one model over one set of faces."""

import dataclasses
import pathlib
from typing import Any

import jax.numpy as jnp
import numpy as np

from benchmarks import effective_fields as fields_lib
from benchmarks import field_statistics
from facejax import files, models
from facejax.array_typing import UInt8
from facejax.compression import packed
from facejax.compression.folding import fold_batch_norm
from facejax.data.archives import image_names, open_archive
from facejax.data.preprocessing import fit_batch, normalize
from facejax.errors import DataError
from facejax.evaluation.crops import read_crops
from facejax.inference.face_model import load_model

_BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Study:
  """What was found out about one model.

  Attributes:
    numbers: JSON values.
    drawn: what `field_figure` takes.
  """

  numbers: dict[str, Any]
  drawn: dict[str, Any]


def read_faces(data: str, count: int) -> UInt8[np.ndarray, 'N 112 112 3']:
  """Aligned crops, evenly spread over a folder or archive.

  Raises:
    DataError: no image at all, or fewer than are wanted.
  """
  archive = open_archive(data)
  names = image_names(archive)
  if len(names) < count:
    raise DataError(
      f'{data} holds {len(names)} images, {count} are wanted: lower --num_faces'
    )
  chosen = [names[i * len(names) // count] for i in range(count)]
  return np.concatenate(
    list(read_crops(archive, chosen, batch_size=_BATCH_SIZE))
  )


def study(path: str, crops: UInt8[np.ndarray, 'N 112 112 3']) -> Study:
  """Measures the model in a directory.

  Raises:
    CheckpointError: no usable model directory.
    DataError: a net without a global depthwise convolution.
  """
  model = load_model(path)
  architecture = model.description['architecture']
  net = models.get_model(
    architecture['name'], **{**architecture['fields'], 'folded': True}
  )
  params = packed.unpack_tree(model.variables['params'])
  variables = fold_batch_norm({**model.variables, 'params': params})
  fitted = fit_batch(jnp.asarray(crops), model.preprocessing)
  batches = (
    np.asarray(
      normalize(fitted[start : start + _BATCH_SIZE], model.preprocessing)
    )
    for start in range(0, len(fitted), _BATCH_SIZE)
  )
  fields = fields_lib.effective_fields(
    lambda images: fields_lib.map_before_global(net, variables, images),
    files.progress(batches, desc=f'fields of {path}', unit='batch'),
  )
  kernel = variables['params'][fields_lib.GLOBAL]['conv']['kernel']
  statistics = field_statistics.field_statistics(fields)
  statistics['energy'] = fields_lib.kernel_energy(np.asarray(kernel))
  return Study(
    numbers=_numbers(path, fields, statistics),
    drawn={
      'title': pathlib.Path(path).name,
      'mean_face': np.asarray(fitted.mean(0)).astype(np.uint8),
      'fields': fields,
      'radius': statistics['radius_most'],
      'energy': statistics['energy'],
    },
  )


def _numbers(path: str, fields: Any, statistics: dict[str, Any]) -> dict:
  """Each statistic unit by unit, and its centre against the corners."""
  summary = {}
  for name, values in statistics.items():
    centre, corners = field_statistics.centre_and_corners(values)
    summary[name] = {
      'centre': round(centre, 4),
      'corners': round(corners, 4),
      'units': np.round(values.astype(np.float64), 4).tolist(),
    }
  return {
    'model': path,
    'map': list(fields.shape[:2]),
    'image_size': list(fields.shape[2:]),
    'statistics': summary,
  }
