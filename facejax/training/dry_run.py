"""A training step on devices that are not here: what it needs, if it fits.

The step of a config is compiled for a described mesh of fake CPU devices,
from shapes alone. `training/memory.py` says what of the result is exact and
what is the compiler's estimate; docs/scaling.md shows results.
"""

from collections.abc import Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from facejax import files
from facejax.data.mixture import open_faces
from facejax.errors import UsageError
from facejax.parallel import mesh as mesh_lib
from facejax.training import memory, remedies
from facejax.training.loop_checks import check_config, data_paths
from facejax.training.recipe import make_learner
from facejax.training.remedies import size_text

DEVICE_MEMORY = 80  # GiB, which makers write as GB
# Share of a device that is left to its runtime: context, buffers of the
# collectives, workspaces of convolutions, gaps between buffers.
HEADROOM = 0.08

_GIB = 2**30


def usable_bytes(device_memory: float | int) -> int:
  """Bytes of a device that a step may take, of its GiB."""
  return round(device_memory * _GIB * (1 - HEADROOM))


def describe_devices(count: int) -> list[Any]:
  """Fake CPU devices in place of those that are meant.

  Call it before JAX starts. More than `count` are made, for the answer to
  what would fit.

  Args:
    count: N, devices of the mesh.

  Returns:
    N devices.

  Raises:
    UsageError: no positive number, or JAX has started with fewer devices.
  """
  if count < 1:
    raise UsageError(f'devices={count}: give 1 or more')
  wanted = count * remedies.MOST_DEVICES
  try:
    jax.config.update('jax_num_cpu_devices', wanted)
    jax.config.update('jax_platforms', 'cpu')
  except RuntimeError:  # JAX has started; it may have enough of them
    pass
  devices = jax.devices('cpu')
  if len(devices) < count:
    raise UsageError(
      f'devices={count}: JAX has started with {len(devices)} CPU devices: '
      'describe them in a process of its own, before anything is computed'
    )
  return devices[:count]


def estimate(
  config: ConfigDict,
  *,
  num_identities: int,
  devices: Sequence[Any] | None = None,
  device_memory: float | int = DEVICE_MEMORY,
) -> dict[str, Any]:
  """Compiles a config's step for devices and counts what it needs.

  Args:
    config: as `configs/base.py` defines it; its mesh says how the
      devices are arranged. No data is read.
    num_identities: K.
    devices: from `describe_devices`; default all that JAX has.
    device_memory: of each, GiB.

  Returns:
    JSON values: 'devices', 'mesh', 'num_identities', 'batch_size';
    'bytes_per_device' by part and 'total'; which of the parts are 'exact' and
    which 'estimated'; 'device_memory_bytes', 'usable_bytes' (less the
    headroom) and whether the total 'fits' there; 'bytes_exchanged_per_step'
    of 'head' and 'gradients'; 'compile_seconds', here and on nothing else.

  Raises:
    UsageError: a value that cannot be.
  """
  if num_identities < 1:
    raise UsageError(f'identities={num_identities}: give 1 or more')
  if not device_memory > 0:
    raise UsageError(f'device_memory={device_memory}: give GiB above 0')
  check_config(config)
  mesh = mesh_lib.make_mesh(
    config.mesh.data, config.mesh.model, devices=devices
  )
  batch_size = config.data.batch_size
  mesh_lib.check_batch(batch_size, mesh, micro_batches=config.micro_batches)
  learner = make_learner(
    config,
    num_identities=num_identities,
    mesh=mesh,
    conv_path='convolution',  # as accelerators compute
  )
  needed = memory.step_memory(learner, batch_size)
  usable = usable_bytes(device_memory)
  return {
    'devices': mesh.size,
    'mesh': dict(mesh.shape),
    'num_identities': num_identities,
    'batch_size': batch_size,
    'bytes_per_device': needed.by_name(),
    'exact': list(memory.EXACT),
    'estimated': list(memory.ESTIMATED),
    'device_memory_bytes': round(device_memory * _GIB),
    'usable_bytes': usable,
    'fits': needed.total <= usable,
    'bytes_exchanged_per_step': memory.exchanged_bytes(learner, batch_size),
    'compile_seconds': round(needed.compile_seconds, 1),
  }


def _show(result: dict[str, Any]) -> None:
  """The parts on stderr, largest first."""
  parts = dict(result['bytes_per_device'])
  total = parts.pop('total')
  for name, size in sorted(parts.items(), key=lambda part: -part[1]):
    kind = 'estimated' if name in result['estimated'] else 'exact'
    files.note(f'{name:16s} {size_text(size):>12s}  {kind}')
  files.note(f'{"total":16s} {size_text(total):>12s}  per device')


def run(
  config: ConfigDict,
  *,
  num_devices: int,
  num_identities: int | None = None,
  device_memory: float | int = DEVICE_MEMORY,
) -> dict[str, Any]:
  """`estimate` for devices that are described here; refuses what cannot fit.

  Args:
    config: see `estimate`.
    num_devices: N; JAX must not have started.
    num_identities: K; None reads it from the data set of the config.
    device_memory: of each device, GiB.

  Raises:
    UsageError: a value that cannot be, or a step that does not fit: what is
      missing, and what would fit, each compiled too.
    DataError: K is wanted of a data set that cannot be read.
  """
  devices = describe_devices(num_devices)
  if num_identities is None:
    source = open_faces(data_paths(config), config.data.weights)
    num_identities = source.num_identities
  files.note(
    f'compiling a step for {num_devices} devices, {num_identities} identities'
  )
  result = estimate(
    config,
    num_identities=num_identities,
    devices=devices,
    device_memory=device_memory,
  )
  _show(result)
  if not result['fits']:

    def measure(changed: ConfigDict, factor: int) -> dict[str, Any]:
      return estimate(
        changed,
        num_identities=num_identities,
        devices=jax.devices('cpu')[: factor * num_devices],
        device_memory=device_memory,
      )

    raise UsageError(remedies.refusal(config, result, measure))
  return result
