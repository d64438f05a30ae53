"""Nodes of a graph with weights to layers."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from facejax.errors import DataError
from facejax.importing.graph import Node
from facejax.importing.graph_values import Value
from facejax.importing.graph_weights import (
  conv_arrays,
  dense_arrays,
  round_number,
)
from facejax.importing.layer_arrays import make_layer
from facejax.importing.source import SourceLayer

_NORM_INPUTS = ('scale', 'bias', 'mean', 'var')


class LayerList:
  """The layers of a graph so far.

  Attributes:
    where: what to call the file in errors.
    layers: in order of computation.
    pixels: (mean, scale) of what the first of them sees.
    ended: the node that gave embeddings their length, if one did.
  """

  def __init__(self, where: str):
    self.where = where
    self.layers: list[SourceLayer] = []
    self.pixels: tuple[float, float] | None = None
    self.ended: Node | None = None
    self._scalings: set[int] = set()

  def refusal(self, node: Node, problem: str) -> DataError:
    """The error that a node causes."""
    return DataError(f'{self.where}: {node.op} {node.name} {problem}')

  def add(
    self, node: Node, value: Value, weights: Sequence[np.ndarray]
  ) -> Value:
    """Appends the layer that a node is.

    Args:
      node: its operation is one of `LAYER_OPS`.
      value: its input.
      weights: its other inputs.

    Returns:
      What its result is.

    Raises:
      DataError: no net here has such a layer, or it stands where none can.
    """
    return LAYER_OPS[node.op](self, node, value, weights)

  def add_scaling(
    self,
    node: Node,
    value: Value,
    factor: np.ndarray,
    offset: np.ndarray,
    *,
    alone: bool,
  ) -> Value:
    """Appends features * factor + offset, or changes the layer before it.

    An offset behind a convolution or a dense layer is its bias; a factor and
    an offset in two nodes are one norm.

    Args:
      node: the operation.
      value: the features.
      factor: [C].
      offset: [C].
      alone: whether nothing else uses the features.

    Returns:
      What the result is.

    Raises:
      DataError: the layer before has another number of channels.
    """
    place = value.layer if alone else None
    before = None if place is None else self.layers[place]
    if before and place in self._scalings:
      return self._changed(node, value, _scaled, factor, offset)
    if before and before.kind == 'conv' and np.all(factor == 1):
      return self._changed(node, value, _shifted, factor, offset)
    zeros, ones = np.zeros_like(factor), np.ones_like(factor)
    arrays = {'scale': factor, 'bias': offset, 'mean': zeros, 'var': ones}
    result = self._append(node, 'norm', value, arrays, epsilon=0.0)
    self._scalings.add(result.layer)
    return result

  def _changed(
    self,
    node: Node,
    value: Value,
    change: Callable[..., dict[str, np.ndarray]],
    factor: np.ndarray,
    offset: np.ndarray,
  ) -> Value:
    """Puts an operation into the layer before it."""
    before = self.layers[value.layer]
    channels = next(iter(before.arrays.values())).shape[0]
    if factor.size != channels:
      raise self.refusal(
        node, f'has {factor.size} numbers for {channels} channels'
      )
    self.layers[value.layer] = make_layer(
      before.name,
      before.kind,
      before.arrays | change(before.arrays, factor, offset),
      where=self.where,
      epsilon=before.epsilon,
      groups=before.groups,
      strides=before.strides,
    )
    return value

  def _append(
    self, node: Node, kind: str, value: Value, arrays: Mapping, **fields
  ) -> Value:
    """Appends a layer; says what its result is."""
    if self.ended is not None:
      raise self.refusal(
        node,
        f'stands behind {self.ended.op} {self.ended.name}, which gives '
        'embeddings their length: cut the net there',
      )
    if value.pixels is None and not self.layers:
      raise self.refusal(
        node,
        'is the first layer, but its pixels have been changed by more than a '
        'subtraction and a division: export the net without that',
      )
    if value.pixels is not None:
      if self.pixels not in (None, value.pixels):
        raise self.refusal(node, 'sees other pixels than the layers before it')
      self.pixels = value.pixels
    layer = make_layer(node.name, kind, arrays, where=self.where, **fields)
    self.layers.append(layer)
    return dataclasses.replace(
      value, pixels=None, layer=len(self.layers) - 1, is_mixed=False
    )

  def _conv(
    self, node: Node, value: Value, weights: Sequence[np.ndarray]
  ) -> Value:
    strides = tuple(node.attributes.get('strides', (1, 1)))
    dilations = set(node.attributes.get('dilations', (1,)))
    arrays = conv_arrays(weights)
    if arrays is None or dilations != {1} or len(strides) != 2:
      raise self.refusal(
        node, 'is no plain convolution of two dimensions, as nets here have'
      )
    groups = node.attributes.get('group', 1)
    result = self._append(
      node, 'conv', value, arrays, groups=groups, strides=strides
    )
    return dataclasses.replace(result, rank=4, channels_last=False)

  def _dense(
    self, node: Node, value: Value, weights: Sequence[np.ndarray]
  ) -> Value:
    arrays = dense_arrays(node, weights)
    if arrays is None:
      raise self.refusal(node, 'is no dense layer: its weights are no matrix')
    if value.is_mixed:
      raise self.refusal(
        node,
        'is a dense layer on a map whose channels stand last, so that its '
        'weights have another order than in nets here: export the net with '
        'its channels first (NCHW)',
      )
    result = self._append(node, 'conv', value, arrays)
    return dataclasses.replace(result, rank=2 if node.op == 'Gemm' else None)

  def _norm(
    self, node: Node, value: Value, weights: Sequence[np.ndarray]
  ) -> Value:
    if len(weights) != len(_NORM_INPUTS):
      raise self.refusal(
        node, 'has no statistics: export the net for inference'
      )
    arrays = dict(zip(_NORM_INPUTS, weights, strict=True))
    epsilon = round_number(node.attributes.get('epsilon', 1e-5))
    return self._append(node, 'norm', value, arrays, epsilon=epsilon)

  def _slope(
    self, node: Node, value: Value, weights: Sequence[np.ndarray]
  ) -> Value:
    if node.op == 'LeakyRelu':  # a slope of all channels
      slope = np.full(1, node.attributes.get('alpha', 0.01), np.float32)
    elif len(weights) == 1 and weights[0].size == max(
      weights[0].shape, default=1
    ):
      slope = weights[0].reshape(-1)
    else:
      raise self.refusal(
        node, 'has slopes that are not one of each channel, as nets here have'
      )
    return self._append(node, 'slope', value, {'slope': slope})


def _scaled(
  arrays: Mapping[str, np.ndarray], factor: np.ndarray, offset: np.ndarray
) -> dict[str, np.ndarray]:
  return {
    'scale': arrays['scale'] * factor,
    'bias': arrays['bias'] * factor + offset,
  }


def _shifted(
  arrays: Mapping[str, np.ndarray], factor: np.ndarray, offset: np.ndarray
) -> dict[str, np.ndarray]:
  del factor  # ones
  return {'bias': arrays.get('bias', 0) + offset}


LAYER_OPS = {
  'Conv': LayerList._conv,
  'Gemm': LayerList._dense,
  'MatMul': LayerList._dense,
  'BatchNormalization': LayerList._norm,
  'PRelu': LayerList._slope,
  'LeakyRelu': LayerList._slope,
}
