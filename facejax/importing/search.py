"""Which of all architectures a file is of."""

from facejax import files, models
from facejax.errors import DataError
from facejax.importing.candidates import (
  Fields,
  first_fields,
  fit_architecture,
)
from facejax.importing.matching import Match
from facejax.importing.pairing import MismatchError, kernels_fit
from facejax.importing.source import SourceNet
from facejax.models.tracing import LayerTrace, trace_model

AUTO = 'auto'
_NUM_NEAREST = 3  # architectures that an error compares the file with


class _AbsentError(Exception):
  """Ends the trace of a model that has a layer which the file has not."""


def _num_present(net: SourceNet, name: str) -> int | None:
  """Layers until the first convolution that the file has nowhere.

  Returns:
    None if it has all of them. A kernel of the whole map is not looked for:
    it depends on the size of the image.
  """
  kernels = [layer for layer in net.layers if layer.kind == 'conv']
  seen = []

  def watch(layer: LayerTrace) -> None:
    is_plain = layer.kind == 'conv' and layer.strides is not None
    if is_plain and not any(kernels_fit(k, layer) for k in kernels):
      raise _AbsentError
    seen.append(layer)

  fields = first_fields(net, name)
  try:
    trace_model(models.get_model(name, **fields), watch=watch)
  except _AbsentError:
    return len(seen)
  return None


def find_architecture(
  net: SourceNet,
) -> tuple[str, Fields, Match, tuple[str, ...]]:
  """Looks through all of `facejax.models.MODELS`.

  Of several that fit, which are one net by several names, it is the one that
  leaves least behind, then the one that needs no squeeze-and-excite fields
  because its name says so, then the first.

  Args:
    net: the file's layers.

  Returns:
    The name, its fields, the weights, and the other names that fit.

  Raises:
    DataError: none fits; says how far the nearest went.
  """
  if all(layer.kind != 'conv' for layer in net.layers):
    raise DataError(f'{net.where}: holds no convolution, so it is no face net')
  reached, fits = {}, {}
  for name in files.progress(
    models.MODELS, desc='comparing', unit='model', delay=2
  ):
    reached[name] = _num_present(net, name)
    if reached[name] is None:
      try:
        fits[name] = fit_architecture(net, name)
      except MismatchError as error:
        reached[name] = error.num_matched
  if not fits:
    raise _no_fit(net, sorted(reached, key=lambda name: -reached[name]))

  def preference(name: str) -> tuple[int, bool]:
    fields, match = fits[name]
    return len(match.left_behind), 'se_ratio' in fields

  best, *others = sorted(fits, key=preference)
  return best, *fits[best], tuple(others)


def _no_fit(net: SourceNet, nearest: list[str]) -> DataError:
  """What the nearest architectures want and the file has not."""
  misses = []
  for name in nearest[:_NUM_NEAREST]:
    try:
      fit_architecture(net, name)
    except MismatchError as error:
      misses.append(
        f'{name}, {error.num_matched} of {error.num_layers} layers, then '
        f'{error.difference}'
      )
  return DataError(
    f'{net.where}: fits no architecture; nearest are ' + '; '.join(misses)
  )
