"""Scores of templates, on all devices, a block of rows at a time."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from facejax import files
from facejax.array_typing import Array, Float, Int
from facejax.parallel.mesh import batch_sharding, make_mesh, replicated

_ROWS = 256  # templates whose scores are in memory at a time


@jax.jit
def _products(
  queries: Float[Array, 'Q D'], gallery: Float[Array, 'G D']
) -> Float[Array, 'Q G']:
  """Inner products, in full float32 also where devices would round."""
  return jnp.matmul(queries, gallery.T, precision=jax.lax.Precision.HIGHEST)


def score_blocks(
  queries: Float[np.ndarray, 'Q D'],
  gallery: Float[np.ndarray, 'G D'],
  *,
  desc: str,
) -> Iterator[tuple[int, Float[np.ndarray, 'B G']]]:
  """Inner products of all queries with the gallery, block by block.

  Queries are split over the local devices, the gallery is whole on each, and
  one block is computed while the one before is used.

  Args:
    queries: float32 [Q, D].
    gallery: float32 [G, D].
    desc: what the progress bar says is being done.

  Yields:
    Number of the first query of a block, and its scores, float32 [B, G].
  """
  mesh = make_mesh(devices=jax.local_devices())
  rows = -(-_ROWS // mesh.size) * mesh.size
  gallery = jax.device_put(gallery, replicated(mesh))
  waiting = None
  for start in files.progress(
    range(0, len(queries) + rows, rows), desc=desc, unit='block', delay=2
  ):
    block = queries[start : start + rows]
    scores = None
    if len(block):
      padding = np.zeros((rows - len(block), block.shape[1]), block.dtype)
      block = np.concatenate([block, padding])
      scores = _products(jax.device_put(block, batch_sharding(mesh)), gallery)
    if waiting is not None:
      first, found = waiting
      yield first, np.asarray(found)[: len(queries) - first]
    waiting = None if scores is None else (start, scores)


def _used(
  index: Int[np.ndarray, ' P'], count: int
) -> tuple[Int[np.ndarray, ' U'], Int[np.ndarray, ' P']]:
  """The rows that an index names, and the index among these."""
  named = np.zeros(count, bool)
  named[index] = True
  return np.flatnonzero(named), (np.cumsum(named) - 1).astype(np.int32)[index]


def pair_scores(
  features: Float[np.ndarray, 'T D'],
  first: Int[np.ndarray, ' P'],
  second: Int[np.ndarray, ' P'],
) -> Float[np.ndarray, ' P']:
  """Inner products of listed pairs, of millions of them too.

  Lists of IJB pair a few thousand templates with each other many times over.
  So whole blocks of the matrix of all scores are computed and the listed ones
  are picked out, which moves far less memory than gathering both templates of
  every pair: on two cores it is several times faster.

  Args:
    features: float32 [T, D], of unit norm.
    first: int [P], rows.
    second: int [P], rows.

  Returns:
    float32 [P], in the order of the pairs.
  """
  rows, first = _used(first, len(features))
  columns, second = _used(second, len(features))
  order = None
  if (np.diff(first) < 0).any():
    order = np.argsort(first, kind='stable')
    first, second = first[order], second[order]
  scores = np.empty(len(first), np.float32)
  for start, block in score_blocks(
    features[rows], features[columns], desc='scoring pairs'
  ):
    low, high = np.searchsorted(first, [start, start + len(block)])
    scores[low:high] = block[first[low:high] - start, second[low:high]]
  if order is None:
    return scores
  unsorted = np.empty_like(scores)
  unsorted[order] = scores
  return unsorted
