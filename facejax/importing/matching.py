"""A file's weights as the variables of a model."""

import dataclasses
from collections.abc import Iterable

import numpy as np
from flax import traverse_util

from facejax.array_typing import PyTree
from facejax.importing import conversion
from facejax.importing.pairing import Pair, pair_layers
from facejax.importing.source import SourceNet
from facejax.models.tracing import ModelTrace
from facejax.nn.layers import NORM_EPSILON


@dataclasses.dataclass(frozen=True)
class Match:
  """A file's weights as variables of a model.

  Attributes:
    variables: {'params': ..., 'batch_stats': ...}, float32; no statistics
      where the model has none.
    matched: our path 'stem/conv' by the name of the file's layer. Two layers
      may have one path: a norm that was folded into its convolution.
    left_behind: names of the file's layers that are no part of the model.
    assumptions: what the file does not say, and what had to be changed; a
      sentence each.
  """

  variables: PyTree
  matched: dict[str, str]
  left_behind: tuple[str, ...]
  assumptions: tuple[str, ...]


def match_layers(net: SourceNet, trace: ModelTrace, *, name: str) -> Match:
  """Gives every layer of a model its weights.

  Args:
    net: the file's layers.
    trace: the model's.
    name: what to call the model in an error.

  Raises:
    MismatchError: the first layer that does not fit.
  """
  pairing = pair_layers(net, trace, name=name)
  pairs = pairing.pairs
  biases = _absorbed_biases(pairs)
  params, statistics, matched = {}, {}, {}
  for pair in pairs:
    arrays, moving = _convert(pair, biases.get(pair.target.follows))
    path = pair.target.path
    params |= {(*path, key): value for key, value in arrays.items()}
    statistics |= {(*path, key): value for key, value in moving.items()}
    for source in (pair.source, pair.folded):
      if source is not None:
        matched[source.name] = pair.target.name
  variables = {'params': traverse_util.unflatten_dict(params)}
  if statistics:
    variables['batch_stats'] = traverse_util.unflatten_dict(statistics)
  return Match(
    variables=variables,
    matched=matched,
    left_behind=tuple(layer.name for layer in pairing.left_behind),
    assumptions=tuple(_assumptions(pairs)),
  )


def _absorbed_biases(
  pairs: Iterable[Pair],
) -> dict[tuple[str, ...] | None, np.ndarray]:
  """Biases of the file that the norm behind takes, by the layer's path."""
  return {
    pair.target.path: pair.source.arrays['bias']
    for pair in pairs
    if pair.target.kind == 'conv'
    and 'bias' in pair.source.arrays
    and 'bias' not in pair.target.params
  }


def _convert(
  pair: Pair, bias: np.ndarray | None
) -> tuple[conversion.Arrays, conversion.Arrays]:
  """Parameters and statistics of one layer, from what fills it.

  Args:
    pair: the layer.
    bias: that the file adds just before a norm, and the model does not.
  """
  target, source = pair.target, pair.source
  if target.kind == 'slope':
    return conversion.convert_slope(source, target.params), {}
  if target.kind == 'conv':
    return conversion.convert_conv(source, pair.folded, target.params), {}
  if bias is not None:
    source = conversion.absorb_bias(source, bias)
  if target.statistics:
    return conversion.convert_norm(source)
  return conversion.convert_affine(source), {}


def _assumptions(pairs: Iterable[Pair]) -> Iterable[str]:
  """Sentences about norms, for whoever wonders what the import did."""
  pairs = tuple(pairs)
  folded = [pair.folded for pair in pairs if pair.folded is not None]
  norms = [pair.source for pair in pairs if pair.source.kind == 'norm']
  epsilons = [norm.epsilon for norm in (*norms, *folded)]
  if count := epsilons.count(None):
    yield (
      f'epsilon {conversion.DEFAULT_EPSILON:g} of {count} norms: the file does '
      "not say, and it is PyTorch's default"
    )
  others = {norm.epsilon for norm in norms} - {None, NORM_EPSILON}
  if others:
    listed = ', '.join(f'{epsilon:g}' for epsilon in sorted(others))
    yield f'the epsilon of the file, {listed}, is part of the scales of norms'
  if folded:
    yield f'{len(folded)} norms are folded into the layers before them'
