"""Curves and measurements of a report in one .npz, and back.

A later comparison of models draws from it. It holds plain arrays, nothing
pickled: `index`, a JSON text that says which arrays belong to which curve, and
the arrays, numbered as the index has them; measurements keep their names.
"""

import dataclasses
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from facejax import files
from facejax.errors import DataError
from facejax.evaluation.metrics import OperatingPoint
from facejax.evaluation.reporting.curves import (
  CandidateCurve,
  Curves,
  Degradation,
  DirCurve,
  RocCurve,
  ScoreHistogram,
)
from facejax.evaluation.reporting.thinning import thin_dir, thin_roc

_KINDS = {
  'roc': RocCurve,
  'histogram': ScoreHistogram,
  'dir': DirCurve,
  'candidates': CandidateCurve,
  'degradation': Degradation,
}
_PREFIX = 'measurement.'
_VERSION = 1


def _points_to_json(
  points: Mapping[float, OperatingPoint],
) -> list[list[float]]:
  """Rate asked for, TAR, FAR and threshold of every operating point."""
  return [[float(far), *map(float, point)] for far, point in points.items()]


def _points_from_json(rows: list[list[float]]) -> dict[float, OperatingPoint]:
  return {far: OperatingPoint(*rest) for far, *rest in rows}


def _pack(curve: Any, place: str, arrays: dict[str, np.ndarray]) -> dict:
  """Fields of a curve as JSON values; its arrays go into `arrays`."""
  fields = {}
  for field in dataclasses.fields(curve):
    value = getattr(curve, field.name)
    if isinstance(value, np.ndarray):
      arrays[f'{place}.{field.name}'] = value
    elif isinstance(value, Mapping):
      fields[field.name] = _points_to_json(value)
    else:
      fields[field.name] = value
  return fields


def encode(
  curves: Curves, measurements: Mapping[str, np.ndarray], *, title: str
) -> bytes:
  """An .npz of curves and measurements; long curves are thinned.

  Args:
    curves: of a report.
    measurements: of a report; no array of objects.
    title: of the report.
  """
  arrays: dict[str, np.ndarray] = {}
  index: dict[str, Any] = {'version': _VERSION, 'title': title}
  thinned = dataclasses.replace(
    curves,
    roc={name: thin_roc(curve) for name, curve in curves.roc.items()},
    dir={name: thin_dir(curve) for name, curve in curves.dir.items()},
  )
  for kind in _KINDS:
    index[kind] = [
      [name, _pack(curve, f'{kind}.{number}', arrays)]
      for number, (name, curve) in enumerate(getattr(thinned, kind).items())
    ]
  index['cmc'] = list(curves.cmc)
  for number, shares in enumerate(curves.cmc.values()):
    arrays[f'cmc.{number}'] = shares
  arrays |= {_PREFIX + name: value for name, value in measurements.items()}
  buffer = io.BytesIO()
  np.savez_compressed(
    buffer, index=np.array(json.dumps(index)), allow_pickle=False, **arrays
  )
  return buffer.getvalue()


def _unpack(kind: str, number: int, fields: dict, arrays: Any) -> Any:
  """A curve from its fields and arrays."""
  made = _KINDS[kind]
  fields = dict(fields)
  if 'points' in fields:
    fields['points'] = _points_from_json(fields['points'])
  for field in dataclasses.fields(made):
    key = f'{kind}.{number}.{field.name}'
    if key in arrays:
      fields[field.name] = arrays[key]
  return made(**fields)


def _decode(arrays: Any) -> tuple[Curves, dict[str, np.ndarray], str]:
  """What `encode` was given."""
  index = json.loads(str(arrays['index']))
  if index['version'] != _VERSION:
    raise ValueError(f'its version is {index["version"]}, not {_VERSION}')
  found = {
    kind: {
      name: _unpack(kind, number, fields, arrays)
      for number, (name, fields) in enumerate(index.get(kind, ()))
    }
    for kind in _KINDS
  }
  cmc = {name: arrays[f'cmc.{n}'] for n, name in enumerate(index['cmc'])}
  measured = {
    key.removeprefix(_PREFIX): arrays[key]
    for key in arrays
    if key.startswith(_PREFIX)
  }
  return Curves(**found, cmc=cmc), measured, index['title']


def read(
  path: files.PathLike,
) -> tuple[Curves, dict[str, np.ndarray], str]:
  """Curves, measurements and title that `encode` put into a file.

  Raises:
    DataError: the file cannot be read, or is none of these.
  """
  path = files.Path(path)
  try:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
      return _decode(arrays)
  except (
    OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile,
  ) as error:  # fmt: skip
    raise DataError(
      f'{path}: is no file of measurements of a report ({error}): run the '
      'evaluation again'
    ) from None
