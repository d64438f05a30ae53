"""Partial FC: each step trains against a sample of the identities.

Of the rows that a shard holds, a step takes those of the identities in its
batch and draws others at random, a number of rows that is the same in every
step, so that it compiles once. Only the sampled rows are read, and only they
and their momentum are written.

References:
  An et al., Killing Two Birds with One Stone: Efficient and Robust Training of
  Face Recognition CNNs by Partial FC, 2022, https://arxiv.org/abs/2203.15565
  (spec 3.6).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from facejax.array_typing import Array, Float, Int, Int32, Key
from facejax.parallel.mesh import AXES

_CERTAIN, _NEVER = 2.0, -1.0  # beside scores of 0 .. 1

Rows = dict[str, Float[Array, '...']]


def sample_size(rate: float, shard_rows: int, batch_size: int) -> int:
  """Rows that a shard samples: its share, or room for all positives.

  Args:
    rate: share of the identities, 0 .. 1.
    shard_rows: rows on the shard.
    batch_size: global batch, which cannot hold more identities than images.
  """
  return max(int(rate * shard_rows), min(batch_size, shard_rows))


def sample_rows(
  labels: Int[Array, ' B'],
  key: Key,
  *,
  rate: float,
  num_identities: int,
  shard_rows: int,
  mesh: Mesh,
  axes: Sequence[str] = AXES,
) -> Int32[Array, ' Sk']:
  """Draws the rows of a step: all positives, and negatives up to the number.

  Args:
    labels: of the global batch.
    key: of the step; each shard draws by itself.
    rate: share of the identities, 0 .. 1.
    num_identities: K; rows past it are drawn when all others are.
    shard_rows: rows on each shard.
    mesh: the device mesh.
    axes: that split the identities.

  Returns:
    For each of the S shards k places within it, ascending and each once;
    split over `axes`.
  """
  size = sample_size(rate, shard_rows, labels.shape[0])

  def draw(labels, key):
    shard = lax.axis_index(axes)
    scores = jax.random.uniform(jax.random.fold_in(key, shard), (shard_rows,))
    identities = shard * shard_rows + jnp.arange(shard_rows)
    scores = jnp.where(identities < num_identities, scores, _NEVER)
    local = labels - shard * shard_rows
    elsewhere = (local < 0) | (local >= shard_rows)
    local = jnp.where(elsewhere, shard_rows, local)
    scores = scores.at[local].set(_CERTAIN, mode='drop')
    _, chosen = lax.top_k(scores, size)
    return jnp.sort(chosen)

  return jax.shard_map(
    draw,
    mesh=mesh,
    in_specs=(PartitionSpec(), PartitionSpec()),
    out_specs=PartitionSpec(tuple(axes)),
  )(labels, key)


def take_rows(
  arrays: Rows,
  sampled: Int32[Array, ' Sk'],
  *,
  mesh: Mesh,
  axes: Sequence[str] = AXES,
) -> Rows:
  """The sampled rows of arrays that have one row an identity.

  Args:
    arrays: by name, each [R, ...] and split over `axes`.
    sampled: from `sample_rows`.
    mesh: the device mesh.
    axes: that split the identities.

  Returns:
    [S k, ...] of each, split alike; nothing crosses the mesh.
  """
  split = PartitionSpec(tuple(axes))
  return jax.shard_map(
    lambda arrays, sampled: jax.tree.map(
      lambda array: array.at[sampled].get(
        indices_are_sorted=True, unique_indices=True
      ),
      arrays,
    ),
    mesh=mesh,
    in_specs=(split, split),
    out_specs=split,
  )(arrays, sampled)


def put_rows(
  arrays: Rows,
  rows: Rows,
  sampled: Int32[Array, ' Sk'],
  *,
  mesh: Mesh,
  axes: Sequence[str] = AXES,
) -> Rows:
  """The arrays with their sampled rows replaced; inverse of `take_rows`."""
  split = PartitionSpec(tuple(axes))
  return jax.shard_map(
    lambda arrays, rows, sampled: jax.tree.map(
      lambda array, new: array.at[sampled].set(
        new, indices_are_sorted=True, unique_indices=True
      ),
      arrays,
      rows,
    ),
    mesh=mesh,
    in_specs=(split, split, split),
    out_specs=split,
  )(arrays, rows, sampled)
