"""The margin head of a training run: its parameters and its loss."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from facejax.array_typing import Array, Float, Int, Int32, Key
from facejax.losses.classification import Metrics
from facejax.losses.margin_loss import MarginLoss
from facejax.ops.norms import squared_norm
from facejax.parallel import class_sharded, partial_fc
from facejax.parallel.mesh import AXES, num_shards

INITIALIZERS = ('xavier_uniform', 'normal')
_NORMAL_STD = 0.01  # of Partial FC's authors
_BLOCK_ROWS = 65_536  # of class weights that are drawn at once

Params = dict[str, Float[Array, '...']]
Stats = dict[str, Float[Array, '']]


@dataclasses.dataclass(frozen=True)
class MarginHead:
  """Class weights split by identity, under a margin loss.

  Attributes:
    margin_loss: the loss.
    num_identities: K.
    mesh: the device mesh.
    axes: mesh axes that split the identities.
    sample_rate: share of the identities in a step (Partial FC); 1 takes all.
    dense_momentum: whether a sampled step moves every row by its momentum and
      decay, as InsightFace's, and not only the sampled ones.
    initializer: of the class weights, one of `INITIALIZERS`.
  """

  margin_loss: MarginLoss
  num_identities: int
  mesh: Mesh
  axes: tuple[str, ...] = AXES
  sample_rate: float = 1.0
  dense_momentum: bool = False
  initializer: str = 'xavier_uniform'

  @property
  def rows(self) -> int:
    """R, identities and what pads them to the shards."""
    shards = num_shards(self.mesh, self.axes)
    return class_sharded.padded_rows(self.num_identities, shards)

  @property
  def updates_sample_alone(self) -> bool:
    """Whether rows that a step did not sample stay as they are."""
    return self.sample_rate < 1 and not self.dense_momentum

  def init(self, key: Key, embedding_size: int) -> Params:
    """First values; they do not depend on the mesh, and padding is zero.

    Returns:
      'class_weights' float32 [R, D], or [R, C, D] with C sub-centres, and what
      the loss learns beside them.
    """
    count = self.margin_loss.sub_centers
    shape = (*([count] if count > 1 else []), embedding_size)
    return {
      'class_weights': self._draw_weights(key, shape),
      **self.margin_loss.init_params(self.rows),
    }

  def _draw_weights(
    self, key: Key, shape: tuple[int, ...]
  ) -> Float[Array, 'R *C D']:
    """Random rows, each by its number, so that no mesh changes them.

    In blocks: a generator of random numbers needs several times the memory of
    what it draws.
    """
    bound = (6 / (self.num_identities + shape[-1])) ** 0.5
    shard_rows = self.rows // num_shards(self.mesh, self.axes)
    block = min(_BLOCK_ROWS, shard_rows)

    def draw_row(key, row):
      key = jax.random.fold_in(key, row)
      if self.initializer == 'normal':
        values = _NORMAL_STD * jax.random.normal(key, shape)
      else:
        values = jax.random.uniform(key, shape, minval=-bound, maxval=bound)
      return jnp.where(row < self.num_identities, values, 0.0)

    def draw_shard(key):
      first = lax.axis_index(self.axes) * shard_rows

      def draw_block(number, weights):
        # The last block overlaps the one before where they do not divide.
        start = jnp.minimum(number * block, shard_rows - block)
        rows = first + start + jnp.arange(block)
        drawn = jax.vmap(draw_row, (None, 0))(key, rows)
        return lax.dynamic_update_slice_in_dim(weights, drawn, start, 0)

      weights = jnp.zeros((shard_rows, *shape), jnp.float32)
      return lax.fori_loop(0, -(-shard_rows // block), draw_block, weights)

    return jax.shard_map(
      draw_shard,
      mesh=self.mesh,
      in_specs=PartitionSpec(),
      out_specs=PartitionSpec(tuple(self.axes)),
      check_vma=False,  # of the first, empty value of a loop
    )(key)

  def init_stats(self) -> Stats:
    """Running statistics of the loss; of most there are none."""
    return self.margin_loss.init_stats()

  def sample(self, labels: Int[Array, ' B'], key: Key) -> Int32[Array, ' Sk']:
    """The rows of a step, see `partial_fc.sample_rows`."""
    shards = num_shards(self.mesh, self.axes)
    return partial_fc.sample_rows(
      labels,
      key,
      rate=self.sample_rate,
      num_identities=self.num_identities,
      shard_rows=self.rows // shards,
      mesh=self.mesh,
      axes=self.axes,
    )

  def take(self, arrays: Params, sampled: Int32[Array, ' Sk']) -> Params:
    """The sampled rows of each array; scalars as they are."""
    rows = {name: x for name, x in arrays.items() if x.ndim}
    return {
      **arrays,
      **partial_fc.take_rows(rows, sampled, mesh=self.mesh, axes=self.axes),
    }

  def put(
    self, arrays: Params, new: Params, sampled: Int32[Array, ' Sk']
  ) -> Params:
    """The arrays with new values in their sampled rows; new scalars."""
    rows = {name: x for name, x in arrays.items() if x.ndim}
    put = partial_fc.put_rows(
      rows,
      {name: new[name] for name in rows},
      sampled,
      mesh=self.mesh,
      axes=self.axes,
    )
    return {**new, **put}

  def loss(
    self,
    embeddings: Float[Array, 'B D'],
    labels: Int[Array, ' B'],
    params: Mapping[str, Float[Array, '...']],
    *,
    stats: Stats,
    step: int | Int[Array, ''],
    sampled: Int32[Array, ' Sk'] | None = None,
  ) -> tuple[Float[Array, ''], Metrics, Stats]:
    """The loss of a batch, its metrics, and the statistics after it.

    Args:
      embeddings: raw, split over the whole mesh.
      labels: split alike.
      params: as `init` makes them, or their sampled rows.
      stats: running statistics.
      step: updates done.
      sampled: the rows that `params` holds, None for all.
    """
    norms = jnp.sqrt(squared_norm(embeddings.astype(jnp.float32)))
    stats = self.margin_loss.update_stats(stats, lax.stop_gradient(norms))
    loss, metrics = class_sharded.sampled_cross_entropy(
      embeddings,
      labels,
      params,
      sampled,
      margin_loss=self.margin_loss,
      num_identities=self.num_identities,
      mesh=self.mesh,
      axes=self.axes,
      stats=stats,
      step=step,
    )
    metrics = metrics | {
      'embedding_norm': norms.mean(),
      'embedding_norm_std': norms.std(),
    }
    return loss, metrics, stats
