"""Which architecture a file is of, and with which fields.

The file decides what its shapes show: the size of the embedding and of the
image, the number of its channels, whether norms are folded, the activation and
squeeze-and-excite blocks. Fields that it does not show, such as a width, stay
as the architecture's name has them.
"""

import functools
import itertools
from collections.abc import Iterator
from typing import Any

from facejax import models
from facejax.errors import DataError
from facejax.importing.matching import Match, match_layers
from facejax.importing.pairing import MismatchError
from facejax.importing.source import SourceLayer, SourceNet
from facejax.models.mobilefacenet import SE_POSITIONS
from facejax.models.tracing import ModelTrace, trace_model

_IMAGE_SIZES = ((112, 112), (112, 96), (96, 96))
Fields = dict[str, Any]


@functools.lru_cache(maxsize=256)
def _cached_trace(
  make: Any, name: str, fields: tuple[tuple[str, Any], ...]
) -> ModelTrace:
  del make  # what the name means, as a part of the key
  return trace_model(models.get_model(name, **dict(fields)))


def _trace(name: str, fields: Fields) -> ModelTrace:
  return _cached_trace(models.MODELS[name], name, tuple(sorted(fields.items())))


def _settable(name: str) -> Fields:
  """Fields that an architecture's name leaves open, with their defaults."""
  make = models.MODELS[name]
  fixed = make.keywords if isinstance(make, functools.partial) else {}
  default = models.get_model(name)
  return {
    field: getattr(default, field)
    for field in default.__dataclass_fields__
    if field not in {'parent', 'name', *fixed}
  }


def _convs(net: SourceNet) -> list[SourceLayer]:
  return [layer for layer in net.layers if layer.kind == 'conv']


def _embedding_sizes(net: SourceNet) -> list[int]:
  """Outputs of the last layer, and of that before if it may be a classifier."""
  convs = _convs(net)
  sizes = [convs[-1].arrays['kernel'].shape[0]]
  if net.layers[-1] is convs[-1] and len(convs) > 1:
    before = convs[-2].arrays['kernel'].shape[0]
    if convs[-1].arrays['kernel'].shape[1:] == (before,):
      sizes.append(before)
  return sizes


def _activation(net: SourceNet, default: str) -> str:
  if any(layer.kind == 'slope' for layer in net.layers):
    return 'prelu'
  if net.activations:
    return 'relu6' if 'relu6' in net.activations else 'relu'
  return 'relu' if default == 'prelu' else default


def _count_fits(net: SourceNet, trace: ModelTrace) -> bool:
  """Whether the number of convolutions does, a classifier counted or not."""
  wanted = sum(layer.kind == 'conv' for layer in trace.layers)
  return wanted in (len(_convs(net)), len(_convs(net)) - 1)


def _may_squeeze(net: SourceNet) -> bool:
  """Whether a layer follows another that it undoes, with no norm between."""
  for first, second in itertools.pairwise(net.layers):
    if first.kind == second.kind == 'conv':
      outputs, inputs = first.arrays['kernel'].shape[:2]
      if second.arrays['kernel'].shape[:2] == (inputs, outputs):
        return True
  return False


def _squeeze_excite(
  net: SourceNet, name: str, fields: Fields, settable: Fields
) -> list[Fields]:
  """Fields of squeeze-and-excite blocks that the file has, or nothing."""
  plain = _trace(name, fields)
  is_possible = 'se_ratio' in settable and _may_squeeze(net)
  if not is_possible or _count_fits(net, plain):
    return [{}]
  positions = SE_POSITIONS if 'se_position' in settable else (None,)
  known = {layer.path for layer in plain.layers}
  found = []
  for position in positions:
    extra = {'se_ratio': 1}
    if position is not None:
      extra['se_position'] = position
    trace = _trace(name, fields | extra)
    if not _count_fits(net, trace):
      continue
    convs = [layer.path for layer in trace.layers if layer.kind == 'conv']
    reduce = next(i for i, path in enumerate(convs) if path not in known)
    outputs, inputs = _convs(net)[reduce].arrays['kernel'].shape[:2]
    found.append(extra | {'se_ratio': max(1, inputs // outputs)})
  return found or [{}]


def first_fields(net: SourceNet, name: str) -> Fields:
  """What the file shows of an architecture's fields without comparing layers.

  The image size is the architecture's own, and norms are not folded.

  Args:
    net: the file's layers, of which one is a convolution.
    name: of `facejax.models.MODELS`.
  """
  settable = _settable(name)
  fields = {'image_size': settable['image_size'], 'folded': False}
  kernel = _convs(net)[0].arrays['kernel']
  if kernel.ndim == 4:
    fields['image_channels'] = kernel.shape[1]
  if 'activation' in settable:
    fields['activation'] = _activation(net, settable['activation'])
  if 'embedding_size' in settable:
    fields['embedding_size'] = _embedding_sizes(net)[0]
  return fields


def _candidates(net: SourceNet, name: str) -> Iterator[Fields]:
  """Fields to try, the likeliest first; one alone if the count cannot fit."""
  settable, first = _settable(name), first_fields(net, name)
  blocks = _squeeze_excite(net, name, first, settable)
  if not _count_fits(net, _trace(name, first | blocks[0])):
    yield first
    return
  embeddings = [{}]
  if 'embedding_size' in settable:
    embeddings = [{'embedding_size': size} for size in _embedding_sizes(net)]
  sizes = [net.image_size]
  if net.image_size is None:
    sizes = list(dict.fromkeys([first['image_size'], *_IMAGE_SIZES]))
  for folded in (False, True):
    for block in blocks:
      for size in sizes:
        for embedding in embeddings:
          shape = {'image_size': size, 'folded': folded}
          yield first | shape | embedding | block


def fit_architecture(net: SourceNet, name: str) -> tuple[Fields, Match]:
  """The fields of an architecture that a file is of, and its weights.

  Args:
    net: the file's layers.
    name: of `facejax.models.MODELS`.

  Raises:
    DataError: the file has no convolution.
    MismatchError: no fields fit; of those that get farthest.
    UsageError: an unknown name.
  """
  models.get_model(name)
  if not _convs(net):
    raise DataError(f'{net.where}: holds no convolution, so it is no face net')
  best = None
  for fields in _candidates(net, name):
    try:
      return fields, match_layers(net, _trace(name, fields), name=name)
    except MismatchError as error:
      if best is None or error.num_matched > best.num_matched:
        best = error
  raise best


def describe_assumptions(
  net: SourceNet, name: str, fields: Fields
) -> list[str]:
  """What the file does not show of the fields, a sentence each."""
  sentences = []
  has_slopes = any(layer.kind == 'slope' for layer in net.layers)
  if 'activation' in fields and not (has_slopes or net.activations):
    sentences.append(
      f'activation {fields["activation"]}: the file does not say which it is'
    )
  whole_maps = [
    layer.params['kernel'][:2]
    for layer in _trace(name, fields).layers
    if layer.kind == 'conv' and layer.strides is None
  ]
  if net.image_size is None and set(whole_maps) <= {(1, 1)}:
    height, width = fields['image_size']
    sentences.append(f'images of {height}x{width}: the file fits any size')
  return sentences
