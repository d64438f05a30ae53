"""What is known about the values of a graph, and how operations change it."""

import dataclasses

from facejax.importing.graph import Node

_CHANNELS_LAST, _CHANNELS_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
_COPIES = ('Identity', 'Cast', 'Dropout', 'Pad')
_SHAPES = ('Reshape', 'Flatten', 'Squeeze', 'Unsqueeze')
_GLOBAL_POOLS = ('GlobalAveragePool', 'GlobalMaxPool', 'ReduceMean')
_MIXERS = (
  'AveragePool',
  'Concat',
  'Expand',
  'Gather',
  'MaxPool',
  'Sigmoid',
  'Slice',
  'Split',
  'Tanh',
)
# Of sizes, or towards the length of a vector.
_SIDE_MAKERS = (
  'ConstantOfShape',
  'Range',
  'ReduceL1',
  'ReduceL2',
  'ReduceSum',
  'ReduceSumSquare',
  'Shape',
  'Size',
)
_SIDE_KEEPERS = ('Abs', 'Ceil', 'Clip', 'Exp', 'Floor', 'Neg', 'Reciprocal')
_SIDE_KEEPERS += ('ReduceProd', 'Sqrt')


@dataclasses.dataclass(frozen=True)
class Value:
  """What a value of the graph is.

  Attributes:
    pixels: (mean, scale) if it is (pixels - mean) / scale.
    is_side: whether it is no features but sizes, or lengths of embeddings.
    channels_last: whether its last axis are the channels of a map.
    is_mixed: whether it is a map with its channels last as one vector.
    rank: how many axes it has, if that is known.
    layer: the place of the layer that made it, if it is that layer's result.
  """

  pixels: tuple[float, float] | None = None
  is_side: bool = False
  channels_last: bool = False
  is_mixed: bool = False
  rank: int | None = None
  layer: int | None = None


def pass_through(node: Node, value: Value) -> Value | None:
  """What an operation without weights makes of its first input.

  Args:
    node: the operation.
    value: its first input that is no constant.

  Returns:
    What its results are; None if no net here has the operation.
  """
  value = dataclasses.replace(value, layer=None)
  if node.op in _SIDE_MAKERS:
    return Value(is_side=True)
  if value.is_side:
    known = _COPIES + _SHAPES + _GLOBAL_POOLS + _MIXERS + _SIDE_KEEPERS
    return value if node.op in (*known, 'Transpose') else None
  if node.op in _COPIES:
    return value
  if node.op == 'Transpose':
    perm = tuple(node.attributes.get('perm', ()))
    last = perm == _CHANNELS_LAST or (
      value.channels_last and perm != _CHANNELS_FIRST
    )
    return dataclasses.replace(value, channels_last=last)
  if node.op in _SHAPES:
    return _reshaped(node, value)
  value = dataclasses.replace(value, pixels=None)
  if node.op in _GLOBAL_POOLS:  # one place is left, whatever the order
    rank = value.rank if node.attributes.get('keepdims', 1) else None
    return dataclasses.replace(value, channels_last=False, rank=rank)
  return value if node.op in _MIXERS else None


def _reshaped(node: Node, value: Value) -> Value:
  rank = 2 if node.op == 'Flatten' else None
  if node.op in ('Squeeze', 'Unsqueeze'):
    return dataclasses.replace(value, rank=rank)
  mixed = value.is_mixed or value.channels_last
  return dataclasses.replace(
    value, channels_last=False, is_mixed=mixed, rank=rank
  )
