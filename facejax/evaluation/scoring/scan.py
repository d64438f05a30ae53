"""One pass over the scores of row features against column features.

Rows stay on every device, columns are split over the devices, and the scores
exist a tile at a time. What a pass keeps of them is small: counts by class,
the scores from a floor on with their places, the best of every row.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from facejax.array_typing import Array, Bool, Float, Int
from facejax.evaluation.scoring import keys
from facejax.evaluation.scoring.tail import GROUP, add_to_tail, start_tail
from facejax.parallel.mesh import AXES

TILE_ROWS = 512


class Keep(NamedTuple):
  """What a pass keeps; each costs time.

  Attributes:
    counts: whether scores are counted by class.
    tail: groups of 64 scores that may hold one of the tail, for each device;
      0 keeps none.
    best: greatest scores kept of every row; 0 keeps none.
  """

  counts: bool = False
  tail: int = 0
  best: int = 0


class Rows(NamedTuple):
  """Row features, padded to whole tiles.

  Attributes:
    features: float32 [R, D].
    labels: int32 [R], -1 for padding.
  """

  features: Any
  labels: Any


class Columns(NamedTuple):
  """Column features, padded to whole groups on every device.

  Attributes:
    features: float32 [C, D].
    labels: int32 [C], -1 for padding.
    first: int32 [], place of the first column among all.
  """

  features: Any
  labels: Any
  first: Any


def _counted(
  rows: Int[Array, ' R'],
  columns: Int[Array, ' C'],
  row_places: Int[Array, ' R'],
  column_places: Int[Array, ' C'],
  triangle: bool,
) -> Bool[Array, 'R C']:
  """Which scores of a tile are of two different people, each pair once."""
  row, column = rows[:, None], columns[None, :]
  counted = (row != column) & (row >= 0) & (column >= 0)
  if triangle:
    counted &= row_places[:, None] < column_places[None, :]
  return counted


def _top(scores: Float[Array, 'R C'], count: int) -> Float[Array, 'R k']:
  """The greatest scores of each row, by way of the greatest groups.

  The `count` greatest of a row lie in the `count` groups whose own greatest
  are greatest, so few scores are sorted.
  """
  groups = scores.reshape(len(scores), -1, GROUP)
  if groups.shape[1] > count:
    _, best = lax.top_k(groups.max(-1), count)
    scores = jnp.take_along_axis(groups, best[:, :, None], axis=1)
    scores = scores.reshape(len(scores), -1)
  return lax.top_k(scores, min(count, scores.shape[1]))[0]


def _start(
  keep: Keep, num_rows: int, width: int, num_wanted: int
) -> dict[str, Any]:
  """What nothing has been added to."""
  start = {}
  if keep.counts:
    start['counts'] = jnp.zeros(keys.NUM_CLASSES, jnp.int32)
  if num_wanted:
    start['values'] = jnp.zeros((num_wanted, keys.NUM_VALUES), jnp.int32)
  if keep.best:
    start['best'] = jnp.full((num_rows, keep.best), -jnp.inf)
  if keep.tail:
    start['tail'] = start_tail(keep.tail, TILE_ROWS * width // GROUP)
  return start


def _scan_device(
  rows: Rows,
  columns: Columns,
  floor: Float[Array, '...'],
  wanted: Int[Array, ' T'],
  *,
  keep: Keep,
  triangle: bool,
) -> dict[str, Any]:
  """The pass on one device, over its own columns."""
  width = len(columns.labels)
  device = lax.axis_index(AXES)
  floor = jnp.broadcast_to(floor, rows.labels.shape)
  column_places = columns.first + device * width + jnp.arange(width)

  def add_tile(tile: Int[Array, ''], kept: dict[str, Any]) -> dict[str, Any]:
    at = tile * TILE_ROWS
    features = lax.dynamic_slice_in_dim(rows.features, at, TILE_ROWS)
    labels = lax.dynamic_slice_in_dim(rows.labels, at, TILE_ROWS)
    scores = lax.dot_general(
      features,
      columns.features,
      (((1,), (1,)), ((), ())),
      precision=lax.Precision.HIGHEST,
    )
    counted = _counted(
      labels,
      columns.labels,
      at + jnp.arange(TILE_ROWS),
      column_places,
      triangle,
    )
    kept = dict(kept)
    if keep.counts:
      kept['counts'] += keys.count_classes(scores, counted)
    if len(wanted):
      kept['values'] += keys.count_values(scores, counted, wanted)
    scores = jnp.where(counted, scores, -jnp.inf)
    if keep.best:
      kept['best'] = lax.dynamic_update_slice(
        kept['best'], _top(scores, keep.best), (at, 0)
      )
    if keep.tail:
      kept['tail'] = add_to_tail(
        kept['tail'],
        scores,
        lax.dynamic_slice_in_dim(floor, at, TILE_ROWS),
        at,
        keep.tail,
      )
    return kept

  tiles = len(rows.labels) // TILE_ROWS
  if triangle:  # rows behind the last column pair with none of them
    last = jnp.minimum(column_places[-1], len(rows.labels))
    tiles = (last + TILE_ROWS - 1) // TILE_ROWS
  start = _start(keep, len(rows.labels), width, len(wanted))
  kept = lax.fori_loop(0, tiles, add_tile, start)
  return jax.tree.map(lambda leaf: leaf[None], kept)


@functools.partial(jax.jit, static_argnames=('mesh', 'keep', 'triangle'))
def scan(
  rows: Rows,
  columns: Columns,
  floor: Float[Array, '...'],
  wanted: Int[Array, ' T'],
  *,
  mesh: Mesh,
  keep: Keep,
  triangle: bool,
) -> dict[str, Any]:
  """Scores of rows x columns between different people, as `keep` says.

  Args:
    rows: on every device; whole tiles of TILE_ROWS.
    columns: a multiple of GROUP for each device of the mesh.
    floor: scores from it on belong to the tail; or float32 [R], one a row.
    wanted: int32 [T], classes in which single values are counted, -1 none.
    mesh: its devices share the columns.
    keep: what is kept of the scores.
    triangle: whether rows and columns are the same images, so that a pair is
      counted where the row stands before the column.

  Returns:
    For each of S devices: 'counts' int32 [S, 2^18]; 'values' int32
    [S, T, 2^14]; 'best' float32 [S, R, best], falling; 'tail', with 'groups'
    float32 [S, N, 64] of which the first 'count' hold the scores from
    'place' (row, group) on, and 'most', the groups of the fullest tile. Some
    are lost if `tail.room_needed` is more than `keep.tail`.
  """
  everywhere, split = PartitionSpec(), PartitionSpec(AXES)
  return jax.shard_map(
    functools.partial(_scan_device, keep=keep, triangle=triangle),
    mesh=mesh,
    in_specs=(
      Rows(everywhere, everywhere),
      Columns(split, split, everywhere),
      everywhere,
      everywhere,
    ),
    out_specs=split,
    check_vma=False,
  )(rows, columns, floor, wanted)


def scan_with_room(
  *arrays: Any, room: int, keep: Keep, **options: Any
) -> dict[str, Any]:
  """`scan` with so much room for the tail."""
  return scan(*arrays, keep=keep._replace(tail=room), **options)


def pad_rows(
  features: Float[np.ndarray, 'N D'], labels: Int[np.ndarray, ' N'], to: int
) -> tuple[np.ndarray, np.ndarray]:
  """Features and labels with padding of label -1 up to `to` rows."""
  more = to - len(labels)
  return (
    np.pad(np.asarray(features, np.float32), ((0, more), (0, 0))),
    np.pad(np.asarray(labels, np.int32), (0, more), constant_values=-1),
  )
