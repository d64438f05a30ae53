"""The mates of probes in a gallery: their scores and their ranks, on devices.

No [Q, G] matrix is ever whole: blocks of probes, split over the devices of a
mesh, meet blocks of the gallery one after the other. A device holds the
gallery, 4 G D bytes, and a few blocks of scores, 1 MiB each; the host holds
another copy of the gallery, ordered by identity, while it is handed over.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from facejax import files
from facejax.array_typing import Float, Int
from facejax.errors import DataError
from facejax.evaluation.scoring import rank_blocks
from facejax.evaluation.scoring.rank_blocks import (
  NOWHERE,
  PADDING,
  GalleryBlocks,
)
from facejax.parallel.mesh import batch_sharding, make_mesh, replicated

_ROWS, _COLUMNS = 256, 1024  # probes on a device, gallery images: one block
_NOBODY = -1  # the label of probes without a mate


class Matches(NamedTuple):
  """What a gallery holds for each probe; its mates are of its identity.

  Attributes:
    mate_scores: float32 [Q], the best score of a mate; -inf without one.
    mate_index: int32 [Q], its row in the gallery; -1 without one.
    other_scores: float32 [Q], the best score of somebody else; -inf where the
      gallery holds nobody else.
    other_index: int32 [Q], its row; -1 where there is none.
    ranks: int32 [Q], 1 + the number of other identities whose best score is
      at least the mate's: a tie is an error. 0 without a mate.
  """

  mate_scores: Float[np.ndarray, ' Q']
  mate_index: Int[np.ndarray, ' Q']
  other_scores: Float[np.ndarray, ' Q']
  other_index: Int[np.ndarray, ' Q']
  ranks: Int[np.ndarray, ' Q']


def _power_of_two(least: int, most: int) -> int:
  """The lowest power of two from `least` on, at most `most`: few shapes."""
  return min(most, 1 << max(0, least - 1).bit_length())


def _fill(array: np.ndarray, count: int, value: Any) -> np.ndarray:
  """An array with `count` more rows of a value."""
  filling = np.full((count, *array.shape[1:]), value, array.dtype)
  return np.concatenate([array, filling])


def _block_gallery(gallery, labels, mesh) -> GalleryBlocks:
  """Orders a gallery by identity and puts it on every device."""
  order = np.argsort(labels, kind='stable')
  width = _power_of_two(len(labels), _COLUMNS)
  count = -len(labels) % width
  labels = labels[order]
  is_last = np.append(labels[1:] != labels[:-1], True)
  blocks = GalleryBlocks(
    features=_fill(gallery[order], count, 0),
    labels=_fill(labels, count, PADDING),
    rows=_fill(order.astype(np.int32), count, NOWHERE),
    is_last=_fill(is_last, count, False),
  )
  return jax.device_put(
    GalleryBlocks(*(x.reshape(-1, width, *x.shape[1:]) for x in blocks)),
    replicated(mesh),
  )


def _over_blocks(
  function: Callable[..., Any], arrays: tuple[np.ndarray, ...], mesh: Mesh
) -> list[np.ndarray]:
  """Applies a function of rows to blocks of them; one compilation.

  Args:
    function: of arrays with B rows each to a tree of arrays [B].
    arrays: with Q rows each.
    mesh: its devices share the rows of a block.

  Returns:
    The leaves of the tree, with Q rows.
  """
  count = len(arrays[0])
  size = mesh.size * _power_of_two(-(-count // mesh.size), _ROWS)
  waiting, parts = None, []
  for start in files.progress(
    range(0, count, size), desc='matching', unit='block', delay=5
  ):
    block = [x[start : start + size] for x in arrays]
    block = [_fill(x, size - len(x), 0) for x in block]
    # One block is computed while the next is handed over.
    queued = function(*jax.device_put(block, batch_sharding(mesh)))
    if waiting is not None:
      parts.append(jax.device_get(waiting))
    waiting = queued
  parts.append(jax.device_get(waiting))
  leaves = zip(*map(jax.tree.leaves, parts), strict=True)
  return [np.concatenate(leaf)[:count] for leaf in leaves]


def _count_ahead(arrays, blocks, mesh, *, longest) -> Int[np.ndarray, ' Q']:
  """Others at least as good as mates, of whom nobody is the first: 1 or more.

  Args:
    arrays: features, labels and mates' scores of the probes.
    blocks: the gallery.
    mesh: devices.
    longest: images of the person who has the most.
  """
  within = min(longest, blocks.labels.shape[1])
  count = functools.partial(
    rank_blocks.count_ahead, doublings=(within - 1).bit_length()
  )
  (ahead,) = _over_blocks(lambda *block: count(*block, blocks), arrays, mesh)
  return np.maximum(ahead, 1)  # rounding may not undo a tie


def _check(features, kind):
  """Refuses features that are none, before they are compared."""
  if not len(features):
    raise DataError(f'there are no {kind} images: nothing can be matched')
  bad = np.flatnonzero(~np.isfinite(features).all(1))
  if len(bad):
    raise DataError(
      f'the features of {kind} image {bad[0]} are not finite, nor are those '
      f'of {len(bad) - 1} others'
    )


def match_probes(
  probes: Float[np.ndarray, 'Q D'],
  gallery: Float[np.ndarray, 'G D'],
  probe_labels: Int[np.ndarray, ' Q'],
  gallery_labels: Int[np.ndarray, ' G'],
  *,
  mesh: Mesh | None = None,
) -> Matches:
  """Finds each probe's best mate, the best other image and the mate's rank.

  The score of two images is the inner product of their features; that of a
  probe and an identity is the best over the images that the gallery holds of
  it. Of equal scores the lower row of the gallery is named.

  Args:
    probes: float [Q, D]; unit norm makes scores cosines.
    gallery: float [G, D], in any order, of one or more images a person.
    probe_labels: int [Q], identities; probes whose identity is not in the
      gallery have no mate.
    gallery_labels: int [G].
    mesh: devices that share the probes; None takes those of this
      process.

  Returns:
    Best mate, best other and rank of every probe.

  Raises:
    DataError: no probes, no gallery, or features that are not finite.

  References:
    spec 13.5.
  """
  mesh = make_mesh(devices=jax.local_devices()) if mesh is None else mesh
  _check(probes, 'probe')
  _check(gallery, 'gallery')
  probes, gallery = (np.asarray(x, np.float32) for x in (probes, gallery))
  identities, images = np.unique(gallery_labels, return_counts=True)
  place = np.searchsorted(identities, probe_labels)
  place = np.minimum(place, len(identities) - 1)
  known = identities[place] == probe_labels
  places = np.where(known, place, _NOBODY).astype(np.int32)
  blocks = _block_gallery(
    gallery,
    np.searchsorted(identities, gallery_labels).astype(np.int32),
    mesh,
  )
  mate_scores, mate_rows, other_scores, other_rows = _over_blocks(
    lambda *block: rank_blocks.find_best(*block, blocks), (probes, places), mesh
  )
  ranks = known.astype(np.int32)
  # Only a mate that is not the first needs another look at the gallery.
  late = np.flatnonzero(known & (other_scores >= mate_scores))
  if len(late):
    ranks[late] += _count_ahead(
      (probes[late], places[late], mate_scores[late]),
      blocks,
      mesh,
      longest=int(images.max()),
    )
  return Matches(
    mate_scores=mate_scores,
    mate_index=np.where(mate_rows == NOWHERE, -1, mate_rows),
    other_scores=other_scores,
    other_index=np.where(other_rows == NOWHERE, -1, other_rows),
    ranks=ranks,
  )
