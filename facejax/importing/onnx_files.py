"""Models of ONNX to graphs."""

import os
from typing import Any

import numpy as np
import onnx
from google.protobuf import message
from onnx import external_data_helper, inliner, numpy_helper

from facejax.data.remote import check_reachable, is_remote
from facejax.errors import DataError
from facejax.files import PathLike
from facejax.importing.graph import Graph, Node, one_line

_STANDARD = ('', 'ai.onnx')
_KINDS = 'fiub'  # of NumPy's types: numbers
# What the package raises where a model does not hold what it claims.
_DEFECTS = (
  ArithmeticError,
  AttributeError,
  LookupError,
  OSError,
  RuntimeError,
  TypeError,
  ValueError,
  onnx.checker.ValidationError,
)

# The attributes that anything here asks for, and their types.
_ATTRIBUTES = {
  'FLOAT': ('alpha', 'beta', 'epsilon', 'max', 'min'),
  'INT': ('allowzero', 'axis', 'group', 'keepdims', 'to', 'transA', 'transB'),
  'INTS': ('axes', 'dilations', 'perm', 'shape', 'strides'),
}
_ATTRIBUTE_TYPES = {
  name: onnx.AttributeProto.AttributeType.Value(kind)
  for kind, names in _ATTRIBUTES.items()
  for name in names
}


def read_onnx(path: PathLike) -> Graph:
  """Reads a model.

  Args:
    path: of the .onnx file; data outside of it are read from beside it.

  Returns:
    Its graph.

  Raises:
    DataError: damaged, no model, or its data are missing or lie elsewhere.
  """
  path = check_reachable(path)
  model = _parse(path.read_bytes(), str(path))
  try:
    _load_outside_data(model, path)
    if model.functions:
      model = inliner.inline_local_functions(model)
    return _to_graph(model.graph, str(path))
  except _DEFECTS as error:
    reason = ' '.join(str(error).split())[:200]
    raise DataError(
      f'{path}: is damaged, or its data file is not beside it ({reason})'
    ) from None


def _parse(data: bytes, where: str) -> onnx.ModelProto:
  model = onnx.ModelProto()
  try:
    model.ParseFromString(data)
  except message.DecodeError:
    raise DataError(
      f'{where}: is no ONNX model, or is cut short: copy the file again'
    ) from None
  if not model.graph.node or not model.opset_import:
    raise DataError(f'{where}: is no ONNX model: it has no graph')
  return model


def _load_outside_data(model: onnx.ModelProto, path: Any) -> None:
  if not is_remote(path):
    folder = os.path.dirname(os.path.abspath(path))
    external_data_helper.load_external_data_for_model(model, folder)
  elif any(
    external_data_helper.uses_external_data(tensor)
    for tensor in model.graph.initializer
  ):
    raise DataError(
      f'{path}: has its data in another file: copy both to this machine'
    )


def _to_graph(graph: onnx.GraphProto, where: str) -> Graph:
  constants = {t.name: _array(t) for t in graph.initializer}
  nodes = []
  for node in graph.node:
    if node.op_type == 'Constant' and node.domain in _STANDARD:
      constants[node.output[0]] = _constant(node)
    else:
      nodes.append(_to_node(node))
  inputs = {i.name: _shape(i) for i in graph.input if i.name not in constants}
  if graph.sparse_initializer:
    raise DataError(f'{where}: has sparse weights: export them dense')
  outputs = tuple(output.name for output in graph.output)
  return Graph(where, tuple(nodes), constants, inputs, outputs)


def _array(tensor: onnx.TensorProto) -> np.ndarray:
  array = numpy_helper.to_array(tensor)
  if tensor.data_type == onnx.TensorProto.BFLOAT16:
    return array.astype(np.float32)  # no type of NumPy itself
  if array.dtype.kind not in _KINDS:
    raise ValueError(f'{tensor.name[:80]} is of type {array.dtype}')
  return array


def _to_node(node: onnx.NodeProto) -> Node:
  prefix = '' if node.domain in _STANDARD else f'{node.domain}.'
  attributes = {
    a.name: _attribute(a) for a in node.attribute if a.name in _ATTRIBUTE_TYPES
  }
  name = node.name or (node.output[0] if node.output else '')
  return Node(
    one_line(prefix + node.op_type),
    one_line(name),
    tuple(node.input),
    tuple(node.output),
    attributes,
  )


def _attribute(attribute: onnx.AttributeProto) -> Any:
  if attribute.type != _ATTRIBUTE_TYPES[attribute.name]:
    raise ValueError(f'an attribute {attribute.name} has another type')
  value = onnx.helper.get_attribute_value(attribute)
  return value if isinstance(value, int | float) else tuple(value)


def _constant(node: onnx.NodeProto) -> np.ndarray:
  (attribute,) = node.attribute
  value = onnx.helper.get_attribute_value(attribute)
  if attribute.type == onnx.AttributeProto.TENSOR:
    return _array(value)
  array = np.asarray(value)
  if array.dtype.kind not in _KINDS:
    raise ValueError('a constant is made of other things than numbers')
  return array


def _shape(value: onnx.ValueInfoProto) -> tuple[int | None, ...] | None:
  tensor = value.type.tensor_type
  if not tensor.HasField('shape'):
    return None
  return tuple(d.dim_value or None for d in tensor.shape.dim)
