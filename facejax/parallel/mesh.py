"""The device mesh and the shardings that follow from it.

Two axes: 'data' splits the batch, 'model' joins it for what is split by
identity. Images are split over both; parameters are whole on every device
unless a rule splits them; class weights are split by identity over both.
"""

import math
import os
from collections.abc import Sequence

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from facejax import trees
from facejax.array_typing import PyTree
from facejax.errors import UsageError

_DEVICE_COUNT_FLAG = 'xla_force_host_platform_device_count'
AXES = ('data', 'model')
# What has a row for each identity: class weights, their biases, their momentum.
PER_IDENTITY = '.*head/(class_weights|bias)'


def _cores() -> int:
  """Cores that this process may use."""
  if hasattr(os, 'sched_getaffinity'):  # not on macOS
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def split_cpu(batch_size: int, wanted: int = 0) -> None:
  """Lets a CPU count as several devices; call it before JAX starts.

  XLA runs many small operations on one core alone. With a device a core the
  batch is split instead, and all cores work on all of it: a MobileFaceNet step
  is a quarter faster on two. GPUs and TPUs are not affected.

  Args:
    batch_size: images in a step, which the devices must share equally.
    wanted: devices; 0 takes the most, up to the cores, that divide the batch.

  Raises:
    UsageError: a negative number, or JAX has started with another one.
  """
  if wanted < 0:
    raise UsageError(f'cpu_devices={wanted}: give 0 or more')
  if not wanted:
    if _DEVICE_COUNT_FLAG in os.environ.get('XLA_FLAGS', ''):
      return
    wanted = next(n for n in range(_cores(), 0, -1) if batch_size % n == 0)
  try:
    jax.config.update('jax_num_cpu_devices', wanted)
  except (RuntimeError, ValueError) as error:
    raise UsageError(f'cpu_devices={wanted}: {error}') from None


def make_mesh(
  data: int = -1, model: int = 1, *, devices: Sequence | None = None
) -> Mesh:
  """A mesh of data x model devices.

  Args:
    data: devices along 'data'; -1 takes all that 'model' leaves.
    model: devices along 'model'.
    devices: which ones; default all of the job.

  Returns:
    The mesh.

  Raises:
    UsageError: the product is not the number of devices.
  """
  devices = list(devices if devices is not None else jax.devices())
  if data == -1 and model > 0:
    data = len(devices) // model
  if data < 1 or model < 1 or data * model != len(devices):
    raise UsageError(
      f'a mesh of data={data} x model={model} does not fill the '
      f'{len(devices)} devices of this job: their product must be equal'
    )
  return jax.make_mesh(
    (data, model), AXES, axis_types=(AxisType.Auto,) * 2, devices=devices
  )


def num_shards(mesh: Mesh, axes: Sequence[str] = AXES) -> int:
  """Parts that axes of the mesh split an array in."""
  return math.prod(mesh.shape[axis] for axis in axes)


def sharding_rules(axes: Sequence[str] = AXES) -> trees.Rules:
  """(regex over names, partition of the leaf) of a training state.

  Args:
    axes: that split the identities.
  """
  return ((PER_IDENTITY, PartitionSpec(tuple(axes))),)


def batch_sharding(mesh: Mesh) -> NamedSharding:
  """The first axis split over all devices."""
  return NamedSharding(mesh, PartitionSpec(AXES))


def replicated(mesh: Mesh) -> NamedSharding:
  """A whole copy on every device."""
  return NamedSharding(mesh, PartitionSpec())


def tree_shardings(tree: PyTree, mesh: Mesh, rules: trees.Rules) -> PyTree:
  """The sharding of each leaf by its name; without a rule, replicated.

  Optimiser state is covered by the same rules, since the names of momentum
  leaves end in the names of their parameters.
  """
  specs = trees.match_tree(rules, tree, PartitionSpec())
  return jax.tree.map(
    lambda spec: NamedSharding(mesh, spec),
    specs,
    is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
  )


def check_batch(batch_size: int, mesh: Mesh, *, micro_batches: int = 1) -> None:
  """Refuses a batch that the devices cannot share equally.

  Args:
    batch_size: images in a step.
    mesh: the device mesh.
    micro_batches: parts that it is divided in first.

  Raises:
    UsageError: names the nearest sizes that work.
  """
  unit = mesh.size * micro_batches
  if batch_size < 1 or batch_size % unit:
    lower = batch_size // unit * unit
    options = [str(b) for b in (lower, lower + unit) if b > 0]
    parts = f' in {micro_batches} parts' if micro_batches > 1 else ''
    raise UsageError(
      f'batch_size={batch_size} does not divide over {mesh.size} devices'
      f'{parts}: use {" or ".join(options)}'
    )
