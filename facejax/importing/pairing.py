"""Which layer of a file has the place of which layer of a model.

Strictly in order, by kind and shape. Names of files are not read: two exports
of one net rarely agree on them. The first disagreement is an error that names
both sides.

What may differ:
- A norm behind a convolution that ours has folded: it is folded in.
- A bias just before a norm, which ours does not have.
- A residual block's shortcut may come before or after its other branch.
- A classifier at the end stays behind.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from facejax.errors import DataError
from facejax.importing.source import SourceLayer, SourceNet
from facejax.models.tracing import LayerTrace, ModelTrace

_SHORTCUT = 'shortcut'  # part of the names of such layers' modules
Layers = tuple[LayerTrace, ...]


class MismatchError(DataError):
  """A file that does not hold the weights of an architecture.

  Attributes:
    difference: what the file has and what the model wants, at the first place
      where they disagree.
    num_matched: layers of the model before that place.
    num_layers: that the model has.
  """

  def __init__(
    self, where: str, difference: str, *, num_matched: int, num_layers: int
  ):
    place = min(num_matched + 1, num_layers)
    super().__init__(
      f'{where}: layer {place} of {num_layers}: {difference}: name the '
      'architecture that it is of, or auto to try them all'
    )
    self.difference = difference
    self.num_matched = num_matched
    self.num_layers = num_layers


@dataclasses.dataclass(frozen=True)
class Pair:
  """What fills a layer of the model.

  Attributes:
    target: the layer.
    source: the layer that has its place.
    folded: the norm that follows it there and is part of it here; None for
      none.
  """

  target: LayerTrace
  source: SourceLayer
  folded: SourceLayer | None = None


@dataclasses.dataclass(frozen=True)
class Pairing:
  """What fills every layer of a model.

  Attributes:
    pairs: one for each layer.
    left_behind: layers of the file that are no part of the model: a
      classifier, or nothing.
  """

  pairs: tuple[Pair, ...]
  left_behind: tuple[SourceLayer, ...]


def pair_layers(net: SourceNet, trace: ModelTrace, *, name: str) -> Pairing:
  """Finds the layer of the file for every layer of a model.

  Args:
    net: the file's layers.
    trace: the model's.
    name: what to call the model in an error.

  Raises:
    MismatchError: the first layer that does not fit, in the order that gets
      farthest.
  """
  best = None
  for layers in _orders(trace.layers):
    try:
      pairs, left = _pair(net, layers, name)
      _check_left(net, left, trace, name)
      return Pairing(tuple(pairs), left)
    except MismatchError as error:
      if best is None or error.num_matched > best.num_matched:
        best = error
  raise best


def _orders(layers: Layers) -> list[Layers]:
  """The layers as computed, then with all shortcuts first, then last."""
  orders = [layers]
  for sign in (-1, 1):
    moved = _move_shortcuts(layers, sign)
    if moved not in orders:
      orders.append(moved)
  return orders


def _move_shortcuts(layers: Layers, sign: int) -> Layers:
  """The layers with shortcuts before (-1) or after (1) the rest of a block."""
  blocks = {}  # where each starts, by its path
  for position, layer in enumerate(layers):
    for end in range(1, len(layer.path)):
      blocks.setdefault(layer.path[:end], position)

  def key(item: tuple[int, LayerTrace]) -> tuple[int, int]:
    position, layer = item
    for block in with_shortcut:
      if layer.path[: len(block)] == block:
        return blocks[block], sign * (_SHORTCUT in layer.path[len(block)])
    return position, 0

  with_shortcut = {
    layer.path[:end]
    for layer in layers
    for end, part in enumerate(layer.path)
    if end and _SHORTCUT in part
  }
  return tuple(layer for _, layer in sorted(enumerate(layers), key=key))


def _pair(
  net: SourceNet, layers: Layers, name: str
) -> tuple[list[Pair], tuple[SourceLayer, ...]]:
  """What fills each layer, and what is left over."""
  normed = {layer.follows for layer in layers if layer.kind == 'norm'}
  waiting = list(reversed(net.layers))
  pairs = []
  for layer, following in zip(layers, [*layers[1:], None], strict=True):
    source = waiting.pop() if waiting else None
    reason = _difference(source, layer, layer.path in normed)
    if reason is not None:
      raise MismatchError(
        net.where,
        f'the file {_source_text(source)}, {name} wants '
        f'{_target_text(layer)}{reason}',
        num_matched=len(pairs),
        num_layers=len(layers),
      )
    takes_norm = 'bias' in layer.params and layer.kind == 'conv'
    if following is not None and following.kind == 'norm':
      takes_norm = False  # the norm that comes next has its own place
    folded = None
    if takes_norm and waiting and waiting[-1].kind == 'norm':
      folded = waiting.pop()
    pairs.append(Pair(layer, source, folded))
  return pairs, tuple(reversed(waiting))


def kernels_fit(source: SourceLayer, layer: LayerTrace) -> bool:
  """Whether two convolutions have kernels of one shape.

  A dense layer fits the convolution whose kernel is its whole map.
  """
  height, width, inputs, outputs = layer.params['kernel']
  shape = source.arrays['kernel'].shape
  whole = (outputs, inputs * height * width) if layer.groups == 1 else None
  return shape in ((outputs, inputs, height, width), whole)


def _difference(
  source: SourceLayer | None, layer: LayerTrace, is_normed: bool
) -> str | None:
  """None if the layers fit, else what to add to their shapes."""
  if source is None or source.kind != layer.kind:
    return ''
  if layer.kind != 'conv':
    (size,) = set(layer.params.values())
    sizes = {value.shape for value in source.arrays.values()}
    shared = {(1,)} if layer.kind == 'slope' else set()
    return None if sizes == {size} or sizes == shared else ''
  if not kernels_fit(source, layer):
    return ''
  if source.groups not in (None, layer.groups):
    return f' (in {source.groups} groups, and in {layer.groups})'
  strides = layer.strides and (layer.strides, layer.strides)
  if None not in (source.strides, strides) and source.strides != strides:
    return f' (at strides {source.strides}, and {strides})'
  if 'bias' in source.arrays and 'bias' not in layer.params and not is_normed:
    return ' without a bias'
  return None


def _check_left(
  net: SourceNet, left: Sequence[SourceLayer], trace: ModelTrace, name: str
) -> None:
  """Raises MismatchError unless what is left over is a classifier."""
  if not left:
    return
  shape = left[0].arrays.get('kernel', np.zeros(0)).shape
  if len(left) > 1 or shape[1:] != (trace.embedding_size,):
    raise MismatchError(
      net.where,
      f'behind it {name} ends, the file {_source_text(left[0])} and '
      f'{len(left) - 1} layers more',
      num_matched=len(trace.layers),
      num_layers=len(trace.layers),
    )


def _source_text(source: SourceLayer | None) -> str:
  if source is None:
    return 'ends'
  (first, *_) = source.arrays.values()
  return f'has {source.kind} {source.name} {_shape_text(first.shape)}'


def _target_text(layer: LayerTrace) -> str:
  (first, *_) = layer.params.values()
  return f'{layer.kind} {layer.name} {_shape_text(first)}'


def _shape_text(shape: tuple[int, ...]) -> str:
  return 'x'.join(map(str, shape))
