"""The best k of a product on GPU or TPU: tiles of a gallery on all devices.

The gallery is split by rows over the devices. Each goes through its own rows,
a tile at a time, and keeps the k least (cost, row); those of all devices are
merged by the same order, so ties go to the lower row on any number of them.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from facejax.array_typing import Array, Bool, Int, Shaped

AXIS = 'rows'
NO_ROW = np.iinfo(np.int32).max
_GROUP = 64
_TILE_ROWS = 1 << 16

# (probes [Q, X], tile of arrays [R, ...]) -> cost [Q, R], int32 or float32.
CostFunction = Callable[[Array, Any], Array]


def make_mesh(devices: Any = None) -> Mesh:
  """One axis over the devices, by default all of this process."""
  devices = jax.local_devices() if devices is None else list(devices)
  return jax.make_mesh(
    (len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices
  )


def round_up(count: int, least: int) -> int:
  """The next power of two: few shapes, so little is compiled."""
  return max(least, 1 << max(count - 1, 0).bit_length())


def rows_per_device(num_rows: int, mesh: Mesh) -> int:
  """Rows of a device with padding: whole tiles, or one that is smaller."""
  share = -(-num_rows // mesh.size)
  if share > _TILE_ROWS:
    return -(-share // _TILE_ROWS) * _TILE_ROWS
  return round_up(share, _GROUP)


def place_rows(array: Shaped[np.ndarray, 'T ...'], mesh: Mesh) -> Array:
  """An array split by rows over the devices, padded with zeros.

  Args:
    array: in memory or a map of a file, of which each device's rows are read.
    mesh: of `make_mesh`.
  """
  share = rows_per_device(len(array), mesh)
  shape = (share * mesh.size, *array.shape[1:])

  def rows_of(index: tuple[slice, ...]) -> np.ndarray:
    part = np.asarray(array[index[0]])
    padded = np.zeros((share, *part.shape[1:]), part.dtype)
    padded[: len(part)] = part
    return padded

  sharding = NamedSharding(mesh, PartitionSpec(AXIS))
  return jax.make_array_from_callback(shape, sharding, rows_of)


def _least(costs: Shaped[Array, 'Q R'], count: int) -> Int[Array, 'Q k']:
  """Places of the `count` least of each row, by way of the least groups.

  They lie in the `count` groups whose own least are least, so few values are
  sorted.
  """
  if jnp.issubdtype(costs.dtype, jnp.integer):
    # No two are equal, so that equal costs go by their place.
    places = jnp.arange(costs.shape[1], dtype=costs.dtype)
    costs = costs * costs.shape[1] + places[None]
  groups = costs.reshape(len(costs), -1, _GROUP)
  if groups.shape[1] <= count:
    return lax.top_k(-costs, min(count, costs.shape[1]))[1]
  _, nearest = lax.top_k(-groups.min(-1), count)
  values = jnp.take_along_axis(groups, nearest[:, :, None], axis=1)
  _, found = lax.top_k(-values.reshape(len(costs), -1), count)
  group = jnp.take_along_axis(nearest, found // _GROUP, axis=1)
  return group * _GROUP + found % _GROUP


def _merge(
  costs: Shaped[Array, 'Q N'], rows: Int[Array, 'Q N'], count: int
) -> tuple[Array, Array]:
  """The `count` least by (cost, row), in order."""
  costs, rows = lax.sort((costs, rows), dimension=1, num_keys=2)
  return costs[:, :count], rows[:, :count]


def _scan_device(
  probes: Shaped[Array, 'Q X'],
  gallery: Any,
  live: Bool[Array, ' N'],
  *,
  cost_of: CostFunction,
  worst: Any,
  top_k: int,
) -> tuple[Array, Array]:
  """(cost, row) of the best on one device, [Q, k] each."""
  num_rows = len(live)
  tile_rows = min(num_rows, _TILE_ROWS)
  first = lax.axis_index(AXIS) * num_rows

  def add_tile(tile, best):
    start = tile * tile_rows
    arrays, alive = jax.tree.map(
      lambda array: lax.dynamic_slice_in_dim(array, start, tile_rows),
      (gallery, live),
    )
    costs = jnp.where(alive[None], cost_of(probes, arrays), worst)
    places = _least(costs, top_k)
    costs = jnp.take_along_axis(costs, places, axis=1)
    rows = jnp.where(costs < worst, first + start + places, NO_ROW)
    costs, rows = (
      jnp.concatenate(pair, axis=1)
      for pair in zip(best, (costs, rows), strict=True)
    )
    return _merge(costs, rows, top_k)

  start = (
    jnp.full((len(probes), top_k), worst),
    jnp.full((len(probes), top_k), NO_ROW, jnp.int32),
  )
  start = lax.pcast(start, (AXIS,), to='varying')
  return lax.fori_loop(0, num_rows // tile_rows, add_tile, start)


@functools.partial(
  jax.jit, static_argnames=('cost_of', 'worst', 'top_k', 'mesh')
)
def scan_devices(
  probes: Shaped[Array, 'Q X'],
  gallery: Any,
  live: Bool[Array, ' N'],
  *,
  cost_of: CostFunction,
  worst: float | int,
  top_k: int,
  mesh: Mesh,
) -> tuple[Array, Array]:
  """The rows of least cost of each probe.

  Args:
    probes: whole on every device.
    gallery: tree of arrays [N, ...] of `place_rows`.
    live: rows that are neither padding nor removed.
    cost_of: the cost of a tile; a function of a module, not a new one a call.
    worst: above all costs, an int for int32 costs, or inf.
    top_k: rows wanted.
    mesh: of `make_mesh`.

  Returns:
    costs [Q, k] and rows int32 [Q, k], best first; `worst` and `NO_ROW` where
    there are fewer.
  """
  rows, whole = PartitionSpec(AXIS), PartitionSpec()
  dtype = jnp.int32 if isinstance(worst, int) else jnp.float32
  scan = jax.shard_map(
    functools.partial(
      _scan_device, cost_of=cost_of, worst=dtype(worst), top_k=top_k
    ),
    mesh=mesh,
    in_specs=(whole, rows, rows),
    out_specs=PartitionSpec(None, AXIS),
  )
  return _merge(*scan(probes, gallery, live), top_k)
