"""Symbols of MXNet, with their arrays, to graphs in the words of ONNX.

A symbol is JSON: nodes with an operation ('null' for what comes from outside),
a name, inputs as [node, output, ...] and parameters, all of them strings, under
'param' in the oldest files, 'attr' in later and 'attrs' in the newest.

References:
  Apache MXNet 1.9, operators' parameters and their defaults.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from facejax.errors import DataError
from facejax.files import PathLike, read_json
from facejax.importing.graph import Graph, Node, one_line
from facejax.importing.mxnet_operators import OPERATORS, Operation, integers

_STATISTICS = ('moving_mean', 'moving_var')
_PARAMETERS = ('attr', 'param', 'attrs')
# What a symbol that is none raises.
_DEFECTS = (
  ArithmeticError,
  AttributeError,
  LookupError,
  RecursionError,
  TypeError,
  ValueError,
)


def read_symbol(path: PathLike, arrays: Mapping[str, np.ndarray]) -> Graph:
  """Reads a symbol.

  Args:
    path: of the JSON file.
    arrays: its weights by name.

  Returns:
    The graph. A norm of fixed scale has ones for it, whatever is stored.

  Raises:
    DataError: no such file, or no symbol.
  """
  try:
    symbol = read_json(path)
    return _to_graph(symbol['nodes'], symbol['heads'], dict(arrays), str(path))
  except _DEFECTS as error:
    reason = one_line(f'{type(error).__name__}: {error}')[:100]
    raise DataError(f'{path}: is no symbol of MXNet ({reason})') from None


def _to_graph(
  entries: list[dict[str, Any]],
  heads: list[list[int]],
  constants: dict[str, np.ndarray],
  where: str,
) -> Graph:
  nodes, inputs = [], {}
  for place, entry in enumerate(entries):
    parameters = _parameters(entry)
    if entry['op'] == 'null':
      if entry['name'] not in constants:
        inputs[str(entry['name'])] = _shape(parameters)
      continue
    names = [_value_name(entries, link, place) for link in entry['inputs']]
    make = OPERATORS.get(entry['op'])
    operation = make(parameters) if make else Operation(one_line(entry['op']))
    names = _with_constants(operation, entry['name'], names, constants)
    outputs = tuple(f'{place}/{k}' for k in range(_num_outputs(parameters)))
    nodes.append(
      Node(
        operation.op,
        one_line(entry['name']),
        tuple(names),
        outputs,
        operation.attributes,
      )
    )
  outputs = tuple(_value_name(entries, head, len(entries)) for head in heads)
  return Graph(where, tuple(nodes), constants, inputs, outputs)


def _parameters(entry: dict[str, Any]) -> dict[str, str]:
  """Parameters of an entry; the oldest files keep others in 'attr'."""
  merged = {}
  for key in _PARAMETERS:
    merged |= entry.get(key) or {}
  return {key: str(value) for key, value in merged.items()}


def _num_outputs(parameters: dict[str, str]) -> int:
  """Outputs that other nodes may name; of most only the first is there."""
  return min(max(int(parameters.get('num_outputs', '3')), 3), 1024)


def _value_name(
  entries: list[dict[str, Any]], link: list[int], before: int
) -> str:
  place, output = link[:2]
  if not 0 <= place < before:
    raise ValueError('a node uses what comes after it')
  entry = entries[place]
  return str(entry['name']) if entry['op'] == 'null' else f'{place}/{output}'


def _with_constants(
  operation: Operation,
  name: str,
  names: list[str],
  constants: dict[str, np.ndarray],
) -> list[str]:
  """Names of a node's inputs, with those that the symbol does not list."""
  if operation.scalar is not None:
    key = f'{name}/scalar'
    constants[key] = np.asarray(operation.scalar)
    return [*names, key]
  if operation.op == 'BatchNormalization' and len(names) == 3:
    # The oldest symbols do not list what a norm has collected.
    names = [*names, *(f'{name}_{suffix}' for suffix in _STATISTICS)]
  if operation.has_fixed_scale and names[1] in constants:
    key = f'{name}/scale'
    constants[key] = np.ones_like(constants[names[1]])
    return [names[0], key, *names[2:]]
  return names


def _shape(parameters: dict[str, str]) -> tuple[int | None, ...] | None:
  """Shape of an input, if the symbol says; 0 is any length."""
  shape = integers(parameters.get('__shape__', ''))
  return tuple(n if n > 0 else None for n in shape) or None
