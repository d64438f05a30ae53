"""What the benchmark of the training step times, inside one process."""

from collections.abc import Callable
from typing import Any

import jax

from benchmarks import facejax_training as ours
from benchmarks import layer_profile, reporting, rounds
from benchmarks.settings import Settings
from facejax.errors import UsageError

_PATHS = {'facejax_shifts': 'shifts', 'facejax_grouped': 'convolution'}
OURS = ('facejax', 'facejax_one_device', *_PATHS)


def measure(settings: Settings) -> dict[str, Any]:
  """Everything about one number of threads; the process must be fresh.

  Raises:
    UsageError: a batch of one image, or no GPU where one is wanted.
  """
  default = (32, 64) if settings.device == 'cpu' else (256, 1024)
  batch_sizes = settings.batch_sizes or default
  if min(batch_sizes) < 2:
    raise UsageError(
      '--batch_sizes: BatchNorm cannot train on one image, give 2 or more'
    )
  if settings.device == 'cpu':
    jax.config.update('jax_num_cpu_devices', settings.threads)
  result = reporting.describe(settings)
  result['batches'] = [
    _measure_batch(settings, batch_size) for batch_size in batch_sizes
  ]
  return result


def _measure_batch(settings: Settings, batch_size: int) -> dict[str, Any]:
  inputs = ours.draw_input(settings, batch_size)
  sides, skipped, losses = {}, {}, {}
  for name in settings.sides:
    try:
      side = _make_side(name, settings, inputs)
      losses[name] = side()
    except reporting.SKIPPED as error:
      skipped[name] = reporting.reason(error)
    else:
      sides[name] = side
  seconds = rounds.time_rounds(sides, settings.repeats)
  summary = rounds.summarize(seconds, batch_size)
  for name, loss in losses.items():
    summary[name]['first_loss'] = round(loss, 5)
  return {
    'batch_size': batch_size,
    'sides': summary,
    'facejax_over': rounds.speed_ratios(seconds, OURS),
    'skipped': skipped,
    'memory_floor': reporting.floor_shares(
      settings, batch_size, summary, training=True
    ),
    'profile': _profile(settings, inputs),
  }


def _profile(
  settings: Settings, inputs: ours.TrainInput
) -> list[dict[str, Any]] | None:
  """Of the step as training runs it, if it is asked for."""
  if not settings.profile:
    return None
  batch_size = len(inputs.images)
  step, compiled = ours.make_step(
    settings, inputs, num_devices=_num_devices(settings, batch_size)
  )
  return layer_profile.profile(step, compiled, settings, batch_size)


def _num_devices(settings: Settings, batch_size: int) -> int:
  """Devices that share a batch, as `split_cpu` would choose."""
  if settings.device != 'cpu' or batch_size % len(jax.devices()):
    return 1
  return len(jax.devices())


def _make_side(
  name: str, settings: Settings, inputs: ours.TrainInput
) -> Callable[[], float]:
  """The function of one side.

  Raises:
    UnavailableError: it means nothing here, or a peer is not installed.
  """
  if not name.startswith('facejax'):
    from benchmarks import torch_training

    return torch_training.make_step(
      settings, inputs, compiled=name == 'torch_compiled'
    )
  devices = _num_devices(settings, len(inputs.images))
  if name == 'facejax_one_device':
    if devices == 1:
      raise reporting.UnavailableError('the same as facejax')
    devices = 1
  step, _ = ours.make_step(
    settings, inputs, num_devices=devices, path=_PATHS.get(name, 'auto')
  )
  return step
