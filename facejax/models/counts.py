"""Parameters and multiply-adds of a model, from shapes alone."""

import dataclasses
import functools
import math
from collections.abc import Iterable

from facejax.models.face_net import FaceNet
from facejax.models.tracing import LayerTrace, trace_model


@dataclasses.dataclass(frozen=True)
class Counts:
  """The size of a model, without classifier.

  Attributes:
    parameters: all trained values, BatchNorm's two per channel included.
    folded_parameters: after BatchNorm is folded: weights, one bias per
      normalised channel, activation slopes. The papers count this (spec 2.2).
    multiply_adds: of one image, convolutions and dense layers.
    embedding_size: D.
  """

  parameters: int
  folded_parameters: int
  multiply_adds: int
  embedding_size: int


def count_model(model: FaceNet) -> Counts:
  """Counts without computing anything, by the shapes of the layers."""
  # Every path has the same shapes; 'auto' would trace two.
  return _count(model.clone(conv_path='convolution'))


@functools.cache
def _count(model: FaceNet) -> Counts:
  trace = trace_model(model.clone(folded=False))
  folded = trace_model(model.clone(folded=True)).layers
  return Counts(
    _parameters(trace.layers),
    _parameters(folded),
    sum(
      math.prod(layer.params['kernel']) * layer.positions
      for layer in trace.layers
      if layer.kind == 'conv'
    ),
    trace.embedding_size,
  )


def _parameters(layers: Iterable[LayerTrace]) -> int:
  return sum(
    math.prod(shape) for layer in layers for shape in layer.params.values()
  )
