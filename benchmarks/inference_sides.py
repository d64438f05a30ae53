"""What the benchmark of the forward pass times, inside one process."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import facejax_mobilefacenet as ours
from benchmarks import layer_profile, reporting, rounds
from benchmarks.settings import Settings
from facejax.array_typing import PyTree

OURS = ('facejax', 'facejax_split')


def measure(settings: Settings) -> dict[str, Any]:
  """Everything about one number of threads; the process must be fresh."""
  if settings.device == 'cpu':
    jax.config.update('jax_num_cpu_devices', settings.threads)
  result = reporting.describe(settings)
  variables = ours.draw_variables(ours.make_model(settings))
  default = (1, 32, 64) if settings.device == 'cpu' else (256, 1024)
  result['batches'] = [
    _measure_batch(settings, variables, batch_size)
    for batch_size in settings.batch_sizes or default
  ]
  return result


def _measure_batch(
  settings: Settings, variables: PyTree, batch_size: int
) -> dict[str, Any]:
  images = ours.draw_images(settings, batch_size)
  sides, skipped = {}, {}
  for name in settings.sides:
    try:
      sides[name] = _make_side(name, settings, variables, images)
      sides[name]()
    except reporting.SKIPPED as error:
      sides.pop(name, None)
      skipped[name] = reporting.reason(error)
  errors = _errors({name: side() for name, side in sides.items()})
  seconds = rounds.time_rounds(sides, settings.repeats)
  summary = rounds.summarize(seconds, batch_size)
  for name, error in errors.items():
    summary[name]['max_error'] = error
  return {
    'batch_size': batch_size,
    'sides': summary,
    'facejax_over': rounds.speed_ratios(seconds, OURS),
    'skipped': skipped,
    'memory_floor': reporting.floor_shares(
      settings, batch_size, summary, training=False
    ),
    'profile': _profile(settings, variables, images),
  }


def _profile(
  settings: Settings, variables: PyTree, images: np.ndarray
) -> list[dict[str, Any]] | None:
  """Of the folded net on one device, if it is asked for."""
  if not settings.profile:
    return None
  forward, compiled = ours.make_forward(settings, variables, images)
  return layer_profile.profile(forward, compiled, settings, len(images))


def _make_side(
  name: str, settings: Settings, variables: PyTree, images: np.ndarray
) -> Callable[[], Any]:
  """The function of one side.

  Raises:
    UnavailableError: it means nothing here, or a peer is not installed.
  """
  if name.startswith('facejax'):
    devices = settings.threads if name == 'facejax_split' else 1
    if name == 'facejax_split' and (
      settings.device != 'cpu' or devices < 2 or len(images) % devices
    ):
      raise reporting.UnavailableError('nothing to split')
    forward, _ = ours.make_forward(
      settings,
      variables,
      images,
      folded=name != 'facejax_unfolded',
      num_devices=devices,
    )
    return forward
  if name == 'onnxruntime':
    if (settings.device, settings.precision) != ('cpu', 'float32'):
      raise reporting.UnavailableError('float32 on CPU only')
    from benchmarks import onnx_mobilefacenet

    return onnx_mobilefacenet.make_forward(settings, variables, images)
  from benchmarks import torch_mobilefacenet

  return torch_mobilefacenet.make_forward(
    settings, variables, images, compiled=name == 'torch_compiled'
  )


def _errors(embeddings: dict[str, Any]) -> dict[str, float]:
  """The largest difference to the first side, as a share of its largest."""
  arrays = {
    name: np.asarray(value.float().cpu() if hasattr(value, 'cpu') else value)
    for name, value in embeddings.items()
  }
  arrays = {name: np.asarray(a, np.float32) for name, a in arrays.items()}
  first = next(iter(arrays.values()), None)
  return {
    name: float(np.abs(array - first).max() / np.abs(first).max())
    for name, array in arrays.items()
  }
