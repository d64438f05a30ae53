"""A computation graph in the words of ONNX, whatever file it came from."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from facejax.errors import DataError

# What NumPy raises where a node does not fit its array.
_MISFITS = (ArithmeticError, LookupError, TypeError, ValueError)
_FLOATING = (
  1,
  10,
  11,
  16,
)  # types of ONNX: float32, float16, float64, bfloat16


@dataclasses.dataclass(frozen=True)
class Node:
  """One operation.

  Attributes:
    op: its name in ONNX's operator set.
    name: of the node in its file, for errors and layers.
    inputs: names of values; '' for one that is left out.
    outputs: names of values.
    attributes: numbers, strings and tuples of them, by ONNX's names.
  """

  op: str
  name: str
  inputs: tuple[str, ...]
  outputs: tuple[str, ...]
  attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Graph:
  """What a file computes.

  Attributes:
    where: what to call the file in errors.
    nodes: every one behind those whose outputs it uses.
    constants: arrays that the file holds, by name.
    inputs: shapes of the values that come from outside, by name; None for an
      axis of any length, and for a shape that the file does not say.
    outputs: names of the results.
  """

  where: str
  nodes: tuple[Node, ...]
  constants: Mapping[str, np.ndarray]
  inputs: Mapping[str, tuple[int | None, ...] | None]
  outputs: tuple[str, ...]


def one_line(name: Any) -> str:
  """A name of a file for an error, which is one line."""
  return ' '.join(str(name).split())


def live_nodes(graph: Graph) -> tuple[Node, ...]:
  """The nodes that the results depend on, in their order."""
  needed, live = set(graph.outputs), []
  for node in reversed(graph.nodes):
    if needed.intersection(node.outputs):
      needed.update(i for i in node.inputs if i)
      live.append(node)
  return tuple(reversed(live))


def split_constants(
  graph: Graph,
) -> tuple[tuple[Node, ...], dict[str, np.ndarray]]:
  """Nodes that compute, and every array that is known before they do.

  Weights may stand behind nodes that copy, turn or reshape them.

  Returns:
    The live nodes but those, and the constants by the names of their values.

  Raises:
    DataError: such a node does not fit its array.
  """
  constants, rest = dict(graph.constants), []
  for node in live_nodes(graph):
    given = [i for i in node.inputs if i]
    if node.op not in _FOLDS or not all(i in constants for i in given):
      rest.append(node)
      continue
    try:
      result = _FOLDS[node.op](node, *(constants[i] for i in given))
    except _MISFITS as error:
      raise DataError(
        f'{graph.where}: {node.op} {node.name} does not fit its array ({error})'
      ) from None
    constants.update(dict.fromkeys(node.outputs[:1], result))
  return tuple(rest), constants


def unused_names(graph: Graph) -> tuple[str, ...]:
  """Names of the file's arrays that the results do not depend on."""
  used = {name for node in live_nodes(graph) for name in node.inputs}
  return tuple(name for name in graph.constants if name not in used)


def _identity(node: Node, array: np.ndarray, *rest: np.ndarray) -> np.ndarray:
  del node, rest
  return array


def _cast(node: Node, array: np.ndarray) -> np.ndarray:
  """Integers as numbers; the width of floating-point ones stays."""
  to_float = node.attributes.get('to') in _FLOATING
  return array.astype(np.float32) if to_float else array


def _transpose(node: Node, array: np.ndarray) -> np.ndarray:
  return array.transpose(node.attributes.get('perm'))


def _reshape(
  node: Node, array: np.ndarray, shape: np.ndarray | None = None
) -> np.ndarray:
  sizes = node.attributes['shape'] if shape is None else shape.tolist()
  sizes = [
    size or (0 if node.attributes.get('allowzero') else array.shape[axis])
    for axis, size in enumerate(sizes)
  ]
  return array.reshape(sizes)


def _flatten(node: Node, array: np.ndarray) -> np.ndarray:
  axis = node.attributes.get('axis', 1)
  return array.reshape(int(np.prod(array.shape[:axis])), -1)


def _axes(node: Node, axes: np.ndarray | None) -> tuple[int, ...] | None:
  """Axes, an attribute before opset 13 and an input since."""
  if axes is not None:
    return tuple(np.atleast_1d(axes).tolist())
  return node.attributes.get('axes')


def _squeeze(
  node: Node, array: np.ndarray, axes: np.ndarray | None = None
) -> np.ndarray:
  return array.squeeze(_axes(node, axes))


def _unsqueeze(
  node: Node, array: np.ndarray, axes: np.ndarray | None = None
) -> np.ndarray:
  return np.expand_dims(array, _axes(node, axes))


# None of them makes more numbers than it gets.
_FOLDS = {
  'Identity': _identity,
  'Cast': _cast,
  'Dropout': _identity,
  'Transpose': _transpose,
  'Reshape': _reshape,
  'Flatten': _flatten,
  'Squeeze': _squeeze,
  'Unsqueeze': _unsqueeze,
}
