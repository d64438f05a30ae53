"""A graph to a net: its layers, activations and normalisation.

Weights are what convolutions, dense layers, norms and PReLUs hold. A constant
that is subtracted from the pixels or divides them is the normalisation; one of
each channel in the middle of the net is a norm in two operations, or the bias
of the layer before it. A division by a length at the end changes no direction
and is left out. Every other operation on features is known to have no weights
or is refused, since leaving it out would make another net.
"""

import collections
import dataclasses

import numpy as np

from facejax.errors import DataError
from facejax.importing.graph import (
  Graph,
  Node,
  one_line,
  split_constants,
  unused_names,
)
from facejax.importing.graph_layers import LAYER_OPS, LayerList
from facejax.importing.graph_values import Value, pass_through
from facejax.importing.graph_weights import (
  affine,
  channel_vector,
  normalise,
  round_number,
)
from facejax.importing.source import SourceNet

_ARITHMETIC = ('Add', 'Sub', 'Mul', 'Div', 'Sum')
_CHOICES = ('Max', 'Min', 'Pow')
_PIXEL_CHANNELS = (1, 3)
_RAW = (0.0, 1.0)
_FOLD_FIRST = 'computes weights in the graph: fold them first, as by onnxsim'


def to_net(graph: Graph) -> SourceNet:
  """The net that a graph computes.

  Raises:
    DataError: an operation that no net here has, weights that do not fit, or
      a normalisation that differs between channels.
  """
  walk = _Walk(graph)
  for node in walk.nodes:
    walk.visit(node)
  layers = walk.layers
  if not layers.layers:
    raise DataError(f'{graph.where}: has no layer with weights')
  _, channels, *size = walk.shape
  mean, scale = layers.pixels or _RAW
  normalised = (mean, scale) != _RAW
  return SourceNet(
    where=graph.where,
    layers=tuple(layers.layers),
    is_graph=True,
    activations=frozenset(walk.activations),
    image_size=None if None in size else tuple(size),
    image_channels=channels,
    mean=round_number(mean) if normalised else None,
    scale=round_number(scale) if normalised else None,
    ignored=unused_names(graph),
  )


def _bounds(node: Node, inputs: list[float | None]) -> list[float | None]:
  """Limits of Clip: attributes before opset 11, inputs since."""
  limits = [node.attributes.get('min'), node.attributes.get('max')]
  limits[: len(inputs)] = inputs
  # Exporters write the largest number of a type for no limit.
  return [None if x is None or abs(x) > 1e4 else x for x in limits]


class _Walk:
  """One pass over the nodes, with what is known about every value so far."""

  def __init__(self, graph: Graph):
    self.graph = graph
    self.nodes, self.constants = split_constants(graph)
    self.uses = collections.Counter(graph.outputs)
    for node in self.nodes:
      self.uses.update(node.inputs)
    self.layers = LayerList(graph.where)
    self.activations: set[str] = set()
    self.values: dict[str, Value] = {}
    self.shape = self._start()

  def _start(self) -> tuple[int | None, ...]:
    """Makes the one input a value; its shape, channels first."""
    names = [name for name in self.graph.inputs if self.uses[name]]
    if len(names) != 1:
      listed = one_line(', '.join(names[:5]))[:200]
      raise DataError(
        f'{self.graph.where}: needs one input, the image, and has {len(names)}'
        f' ({listed}): weights are missing, or it is no net of one image'
      )
    shape = self.graph.inputs[names[0]]
    rank = None if shape is None else len(shape)
    if rank != 4:
      shape = (None,) * 4
    last = shape[3] in _PIXEL_CHANNELS and shape[1] not in _PIXEL_CHANNELS
    self.values[names[0]] = Value(pixels=_RAW, channels_last=last, rank=rank)
    return (shape[0], shape[3], *shape[1:3]) if last else tuple(shape)

  def visit(self, node: Node) -> None:
    """Finds out what a node's outputs are; keeps its layer."""
    names = [name for name in node.inputs if name]
    for name in names:
      if name not in self.values and name not in self.constants:
        raise self.layers.refusal(
          node, f'needs {name[:80]!r}, which nothing before it makes'
        )
    inputs = [self.values[name] for name in names if name in self.values]
    if inputs:
      result = self._result(node, names, inputs)
    elif any(self.constants[name].dtype.kind == 'f' for name in names):
      raise self.layers.refusal(node, _FOLD_FIRST)
    else:
      result = Value(is_side=True)  # made of sizes
    self.values.update(dict.fromkeys(node.outputs, result))

  def _result(self, node: Node, names: list[str], inputs: list[Value]) -> Value:
    """What a node makes of inputs of which one at least is no constant."""
    features = [value for value in inputs if not value.is_side]
    if node.op in LAYER_OPS:
      if len(inputs) > 1 or names[0] in self.constants:
        raise self.layers.refusal(node, _FOLD_FIRST)
      weights = [self.constants[name] for name in names[1:]]
      return self.layers.add(node, inputs[0], weights)
    if node.op in _ARITHMETIC + _CHOICES:
      if not features:
        return inputs[0]
      return self._arithmetic(node, names, inputs)
    if node.op == 'LpNormalization':
      self.layers.ended = node
      return dataclasses.replace(inputs[0], layer=None)
    if features and node.op in ('Relu', 'Clip'):
      return self._activation(node, inputs[0])
    result = pass_through(node, inputs[0])
    if result is None:
      raise self.layers.refusal(
        node, 'is an operation that no net here has: it cannot be imported'
      )
    return result

  def _activation(self, node: Node, value: Value) -> Value:
    limits = [
      self.constants[name].item() if name in self.constants else None
      for name in node.inputs[1:]
    ]
    low, high = (0, None) if node.op == 'Relu' else _bounds(node, limits)
    if low != 0 or high not in (None, 6):
      raise self.layers.refusal(
        node, f'limits features to {low} and {high}, as no net here does'
      )
    self.activations.add('relu' if high is None else 'relu6')
    return dataclasses.replace(value, pixels=None, layer=None)

  def _arithmetic(
    self, node: Node, names: list[str], inputs: list[Value]
  ) -> Value:
    """Of features, with each other or with a constant or a length."""
    constants = [self.constants[i] for i in names if i in self.constants]
    value = next(v for v in inputs if not v.is_side)
    if node.op == 'Pow':
      return Value(is_side=True)  # a square, on the way to a length
    has_side = any(v.is_side for v in inputs)
    if has_side and not constants and node.op in ('Mul', 'Div'):
      self.layers.ended = node
    elif has_side or len(inputs) * len(constants) > 1 or (
      constants and node.op in _CHOICES
    ):  # fmt: skip
      raise self.layers.refusal(node, 'combines features as no net here does')
    elif constants:
      is_first = names[0] in self.constants
      alone = self.uses[names[is_first]] == 1
      return self._with_constant(node, value, constants[0], is_first, alone)
    return dataclasses.replace(value, pixels=None, layer=None)

  def _with_constant(
    self,
    node: Node,
    value: Value,
    constant: np.ndarray,
    is_first: bool,
    alone: bool,
  ) -> Value:
    vector = channel_vector(
      constant, rank=value.rank, channels_last=value.channels_last
    )
    change = None if vector is None else affine(node.op, is_first, vector)
    if change is None:
      raise self.layers.refusal(node, 'uses a constant as no net here does')
    factor, offset = change
    if value.pixels is not None:
      pixels = normalise(value.pixels, factor, offset)
      if pixels is None:
        raise self.layers.refusal(
          node,
          'normalises channels differently, or by nothing: nets here have one '
          'mean and one scale of all channels',
        )
      return dataclasses.replace(value, pixels=pixels)
    if factor.size > 1:
      return self.layers.add_scaling(node, value, factor, offset, alone=alone)
    if factor[0] != 1 or offset[0] != 0:
      raise self.layers.refusal(
        node, f'uses {vector[0]:g} on features, as no net here does'
      )
    return dataclasses.replace(value, layer=None)
