"""A net of another system as a model here: weights, fields, preprocessing."""

import dataclasses
from typing import Any

import numpy as np

from facejax import trees
from facejax.data.preprocessing import CANONICAL_SIZE, Preprocessing
from facejax.errors import DataError, UsageError
from facejax.importing.candidates import (
  describe_assumptions,
  fit_architecture,
)
from facejax.importing.matching import Match
from facejax.importing.search import AUTO, find_architecture
from facejax.importing.source import SourceNet

# x = (pixel - 127.5) / 128 (spec 1.4), where neither file nor caller say.
DEFAULT_MEAN = 127.5
DEFAULT_SCALE = 128.0
_CROPS = ((112, 96), (96, 96))  # models of these sizes see a part of the face


@dataclasses.dataclass(frozen=True)
class Translation:
  """What a file is here.

  Attributes:
    architecture: a name of `facejax.models`.
    fields: of its module.
    match: its variables, and where they came from.
    preprocessing: from an aligned crop to its input.
    preprocessing_from: who says how pixels are normalised: 'graph', 'caller',
      or 'assumed' if nobody does.
    assumptions: what the file does not say, a sentence each.
  """

  architecture: str
  fields: dict[str, Any]
  match: Match
  preprocessing: Preprocessing
  preprocessing_from: str
  assumptions: tuple[str, ...]


def translate(
  net: SourceNet,
  *,
  architecture: str = AUTO,
  mean: float | int | None = None,
  scale: float | int | None = None,
  color_order: str = 'RGB',
) -> Translation:
  """Finds the model that a file is of, and how its pixels are prepared.

  Args:
    net: the file's layers.
    architecture: a name of `facejax.models.MODELS`, or 'auto'.
    mean: subtracted from pixels before the net; None for what the graph has
      in it, else 127.5.
    scale: divides them afterwards; None likewise, else 128.
    color_order: 'RGB' or 'BGR', that the net was trained with; a net of one
      channel takes grey images, whatever it says.

  Raises:
    DataError: it fits no architecture, its values are of no use, or it takes
      images of neither one nor three channels.
    UsageError: what is given contradicts the file.
  """
  _check_variances(net)
  origin, mean, scale = _normalisation(net, mean, scale)
  others = ()
  if architecture == AUTO:
    architecture, fields, match, others = find_architecture(net)
  else:
    fields, match = fit_architecture(net, architecture)
  color_order = _color_order(net, fields, color_order)
  _check_finite(net, match)
  assumptions = (
    *match.assumptions,
    *describe_assumptions(net, architecture, fields),
  )
  if origin == 'assumed':
    assumptions += (
      f'pixels are normalised as (x - {mean:g}) / {scale:g}, in {color_order} '
      'order: the file does not say',
    )
  if others:
    assumptions += (f'{", ".join(others)} would fit too',)
  size = fields['image_size']
  return Translation(
    architecture=architecture,
    fields=fields,
    match=match,
    preprocessing=Preprocessing(
      image_size=size,
      crop=size if size in _CROPS else CANONICAL_SIZE,
      mean=mean,
      scale=scale,
      color_order=color_order,
    ),
    preprocessing_from=origin,
    assumptions=assumptions,
  )


def _normalisation(
  net: SourceNet, mean: float | int | None, scale: float | int | None
) -> tuple[str, float | int, float | int]:
  """Who says how pixels are normalised, the mean and the scale."""
  is_given = mean is not None or scale is not None
  if net.mean is not None or net.scale is not None:
    own_mean = 0.0 if net.mean is None else net.mean
    own_scale = 1.0 if net.scale is None else net.scale
    if is_given:
      raise UsageError(
        f'{net.where}: its graph normalises pixels itself, as (x - '
        f'{own_mean:g}) / {own_scale:g}: leave mean and scale out'
      )
    return 'graph', own_mean, own_scale
  mean = DEFAULT_MEAN if mean is None else mean
  scale = DEFAULT_SCALE if scale is None else scale
  if not (np.isfinite([mean, scale]).all() and scale > 0):
    raise UsageError(
      f'mean {mean:g} and scale {scale:g}: pixels of 0 to 255 become (x - '
      'mean) / scale, so the scale has to be above 0'
    )
  return 'caller' if is_given else 'assumed', mean, scale


def _color_order(
  net: SourceNet, fields: dict[str, Any], color_order: str
) -> str:
  """The order of the net's channels."""
  channels = fields.get('image_channels', 3)
  if channels not in (1, 3):
    raise DataError(
      f'{net.where}: takes images of {channels} channels: faces have three '
      'colours here, or are grey'
    )
  return 'GRAY' if channels == 1 else color_order


def _check_variances(net: SourceNet) -> None:
  """Raises DataError for a norm that no training leaves."""
  for layer in net.layers:
    if layer.kind == 'norm' and (layer.arrays['var'] < 0).any():
      raise DataError(
        f'{net.where}: the norm {layer.name} has a negative variance: the '
        'file is damaged, or its arrays stand in another order'
      )


def _check_finite(net: SourceNet, match: Match) -> None:
  """Raises DataError for weights that no net computes with."""
  for name, array in trees.named_leaves(match.variables).items():
    if not np.isfinite(array).all():
      place = name.split('/', 1)[1].rpartition('/')[0]
      layers = [key for key, path in match.matched.items() if path == place]
      raise DataError(
        f'{net.where}: {", ".join(layers)} has values that are not finite: its '
        'training diverged, or the file is damaged'
      )
