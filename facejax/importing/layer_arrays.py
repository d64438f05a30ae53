"""Layers whose arrays are checked: float32, finite, of sizes that fit."""

from collections.abc import Mapping

import numpy as np

from facejax.errors import DataError
from facejax.importing.source import SourceLayer


def make_layer(
  name: str,
  kind: str,
  arrays: Mapping[str, np.ndarray],
  *,
  where: str,
  labels: Mapping[str, str] | None = None,
  epsilon: float | None = None,
  groups: int | None = None,
  strides: tuple[int, int] | None = None,
) -> SourceLayer:
  """A layer of float32 arrays.

  Args:
    name: of the layer in its file.
    kind: one of `source.KINDS`.
    arrays: as `SourceLayer` has them, of any floating-point type. A norm may
      lack its scale (1) and its bias (0).
    where: what to call the file in an error.
    labels: what the file calls the arrays, by our names; `name` and ours where
      it does not say.
    epsilon: as `SourceLayer` has it.
    groups: as `SourceLayer` has them.
    strides: as `SourceLayer` has them.

  Returns:
    The layer; its arrays are contiguous.

  Raises:
    DataError: integers, NaN, infinity, or sizes that do not fit.
  """
  labels = {ours: f'{name}.{ours}' for ours in arrays} | dict(labels or {})
  labels = {ours: ' '.join(label.split()) for ours, label in labels.items()}
  arrays = {
    k: _float_array(a, f'{where}: {labels[k]}') for k, a in arrays.items()
  }
  if kind == 'norm':
    mean = arrays['mean']
    rest = {'scale': np.ones_like(mean), 'bias': np.zeros_like(mean)}
    arrays = rest | arrays
  _check_sizes(kind, arrays, f'{where}: {name}')
  return SourceLayer(name, kind, arrays, epsilon, groups, strides)


def _float_array(array: np.ndarray, where: str) -> np.ndarray:
  # Integers are quantised weights; bfloat16 has the kind of a raw type.
  if array.dtype.kind in 'iubc?':
    raise DataError(
      f'{where} holds {array.dtype}, not floating-point weights: import the '
      'net as it was before quantisation'
    )
  with np.errstate(over='ignore'):
    array = np.require(array.astype(np.float32), None, ['C', 'A'])
  bad = array.size - np.count_nonzero(np.isfinite(array))
  if bad:
    raise DataError(
      f'{where} has {bad} of {array.size} values that are NaN or infinite in '
      'float32: the training diverged, or the file is damaged'
    )
  return array


def _check_sizes(kind: str, arrays: dict[str, np.ndarray], where: str) -> None:
  shapes = {name: array.shape for name, array in arrays.items()}
  size = next(iter(shapes.values()))[:1]
  if kind == 'conv':
    kernel, size = shapes.pop('kernel'), arrays['kernel'].shape[:1]
    if len(kernel) not in (2, 4) or 0 in kernel:
      raise DataError(f'{where}: has a kernel of shape {kernel}')
  if any(shape != size for shape in shapes.values()) or size == (0,):
    listed = ', '.join(f'{name} {a.shape}' for name, a in arrays.items())
    raise DataError(f'{where}: has arrays that do not fit together: {listed}')
