"""Arrays by name, as PyTorch saves them, to layers.

A state dict says which arrays a module has, and nothing of how the modules are
connected: layers come in the order in which the file lists them, which is that
in which the modules were registered.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from facejax.errors import DataError
from facejax.importing.layer_arrays import make_layer
from facejax.importing.pytorch_tensors import Tensor
from facejax.importing.source import SourceLayer

# Modules that are computed last and registered earlier, by their names.
_COMPUTED_LAST = (
  r'(^|\.)output_layer\.',  # Backbone of InsightFace_Pytorch and AdaFace
)
_STATISTICS = ('running_mean', 'running_var')


def _is_array(value: Any) -> bool:
  return isinstance(value, Tensor | np.ndarray)


def _weights(value: Any) -> list[int]:
  """Axes of the arrays called weight, if the value is a state dict."""
  if not isinstance(value, dict):
    return []
  return [
    len(array.shape)
    for name, array in value.items()
    if isinstance(name, str) and name.rpartition('.')[2] == 'weight'
    and _is_array(array)
  ]  # fmt: skip


def _state_dicts(value: Any, place: str, depth: int) -> Iterator[tuple]:
  """(place, state dict), and what is nested in none of them."""
  if _weights(value):
    yield place, value
  elif isinstance(value, dict) and depth:
    for key, inner in value.items():
      yield from _state_dicts(inner, f'{place}[{key!r}]', depth - 1)


def find_state_dict(value: Any, *, where: str) -> dict[str, Any]:
  """The state dict in a checkpoint.

  It is the value itself, or the one dict nested in it that has a weight; of
  several, as of a net and a classifier, the one that has convolutions.

  Args:
    value: what the file holds.
    where: what to call it in an error.

  Returns:
    The arrays (`Tensor` or NumPy) by name, in the order of the file; what is
    no array is left out.

  Raises:
    DataError: there is none, or several.
  """
  found = dict(_state_dicts(value, 'checkpoint', 4))
  if len(found) > 1:
    found = {p: s for p, s in found.items() if 4 in _weights(s)} or found
  if not found:
    raise DataError(
      f'{where}: holds no state dict: no array in it is called weight; save '
      'model.state_dict()'
    )
  if len(found) > 1:
    raise DataError(
      f'{where}: holds several nets, {", ".join(found)}: load it with PyTorch '
      'and save one of them alone'
    )
  (state,) = found.values()
  return {str(k): v for k, v in state.items() if _is_array(v)}


def to_layers(
  state: dict[str, np.ndarray], *, where: str
) -> tuple[tuple[SourceLayer, ...], tuple[str, ...]]:
  """Layers of a state dict, in its order.

  A weight of four or two axes is a convolution or a dense layer; arrays with
  running statistics are a BatchNorm, whose scale is 1 and bias 0 where it has
  none; a weight of one axis alone is a PReLU's slope. Modules of
  `_COMPUTED_LAST` come last.

  Args:
    state: arrays by name.
    where: what to call them in an error.

  Returns:
    The layers, and the names of the arrays that belong to none.

  Raises:
    DataError: a kind of layer that no net here has, or what `make_layer`
      refuses.
  """
  modules = {}
  for name, array in state.items():
    prefix, _, leaf = name.rpartition('.')
    modules.setdefault(prefix, {})[leaf] = array
  modules = dict(sorted(modules.items(), key=lambda m: _is_last(m[0])))
  layers, used = [], set()
  for prefix, arrays in modules.items():
    kind, ours = _kind(arrays, f'{where}: {prefix or "the module"}')
    labels = {
      ours[leaf]: f'{prefix}.{leaf}' if prefix else leaf
      for leaf in arrays
      if leaf in ours
    }
    used.update(labels.values())
    if kind is not None:
      named = {ours[leaf]: a for leaf, a in arrays.items() if leaf in ours}
      layer = make_layer(prefix, kind, named, where=where, labels=labels)
      layers.append(layer)
  return tuple(layers), tuple(name for name in state if name not in used)


def _is_last(prefix: str) -> bool:
  return any(re.search(rule, prefix + '.') for rule in _COMPUTED_LAST)


def _kind(
  arrays: dict[str, np.ndarray], where: str
) -> tuple[str | None, dict[str, str]]:
  """What a module is, and what its arrays are called here."""
  if all(name in arrays for name in _STATISTICS):
    return 'norm', {
      'weight': 'scale',
      'bias': 'bias',
      'running_mean': 'mean',
      'running_var': 'var',
    }
  ndim = arrays['weight'].ndim if 'weight' in arrays else None
  if ndim in (2, 4):
    return 'conv', {'weight': 'kernel', 'bias': 'bias'}
  if ndim == 1 and 'bias' not in arrays:
    return 'slope', {'weight': 'slope'}
  if ndim == 1:
    raise DataError(
      f'{where} has a weight and a bias of one axis and no running statistics: '
      'a norm other than BatchNorm, which no net here has'
    )
  if ndim == 5:
    raise DataError(
      f'{where} is a convolution in three dimensions, which no net here has'
    )
  return None, {}
