"""Blocks of probes against the blocks of a gallery: what `ranking` jits."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

PADDING = -2  # the label of columns that fill a block up
NOWHERE = np.iinfo(np.int32).max  # the row of what is not there
NEVER = -np.inf


class GalleryBlocks(NamedTuple):
  """A gallery in order of identity, in n blocks of W images.

  Attributes:
    features: float32 [n, W, D]; rows of zeros fill the last block.
    labels: int32 [n, W], 0, 1, ... in this order; PADDING where filled up.
    rows: int32 [n, W], the row of every image in the gallery as it was given.
    is_last: bool [n, W], whether an image is the last of its identity.
  """

  features: Any
  labels: Any
  rows: Any
  is_last: Any


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
  """Products a b^T in full float32 on every platform."""
  return jnp.dot(a, b.T, precision=lax.Precision.HIGHEST)


def _better(best, scores, counts, rows):
  """Best score and lowest row, of those found before and those that count."""
  scores = jnp.where(counts, scores, NEVER)
  score = scores.max(1)
  at_best = counts & (scores == score[:, None])
  row = jnp.where(at_best, rows[None, :], NOWHERE).min(1)
  is_better = (score > best[0]) | ((score == best[0]) & (row < best[1]))
  return jnp.where(is_better, score, best[0]), jnp.where(
    is_better, row, best[1]
  )


@jax.jit
def find_best(probes, probe_labels, gallery):
  """Best mate and best other of a block of probes: (score, row) of each."""

  def step(best, block):
    scores = _dot(probes, block.features)
    is_mate = probe_labels[:, None] == block.labels[None, :]
    is_other = ~is_mate & (block.labels != PADDING)[None, :]
    return (
      _better(best[0], scores, is_mate, block.rows),
      _better(best[1], scores, is_other, block.rows),
    ), None

  nothing = (
    jnp.full_like(probes[:, 0], NEVER),
    jnp.full_like(probe_labels, NOWHERE),
  )
  return lax.scan(step, (nothing, nothing), gallery)[0]


def _running_maximum(scores, labels, doublings):
  """Maximum over the columns of one identity up to each; labels are sorted."""
  for power in range(doublings):
    shift = 1 << power
    joined = (labels[shift:] == labels[:-shift])[None, :]
    grown = jnp.maximum(scores[:, shift:], scores[:, :-shift])
    scores = jnp.concatenate(
      [scores[:, :shift], jnp.where(joined, grown, scores[:, shift:])], axis=1
    )
  return scores


@functools.partial(jax.jit, static_argnames='doublings')
def count_ahead(probes, probe_labels, mate_scores, gallery, *, doublings):
  """Other identities whose best score is at least that of the mate."""

  def step(carry, block):
    count, score_before, label_before = carry
    scores = _dot(probes, block.features)
    if doublings:
      # The identity that the block before ended with may go on in this one.
      goes_on = block.labels[0] == label_before
      first = jnp.where(goes_on, score_before, NEVER)
      scores = scores.at[:, 0].max(first)
      scores = _running_maximum(scores, block.labels, doublings)
    is_other = probe_labels[:, None] != block.labels[None, :]
    ahead = block.is_last[None, :] & is_other
    ahead &= scores >= mate_scores[:, None]
    count += ahead.sum(1, dtype=jnp.int32)
    return (count, scores[:, -1], block.labels[-1]), None

  start = (
    jnp.zeros_like(probe_labels),
    jnp.full_like(mate_scores, NEVER),
    jnp.int32(PADDING),
  )
  return lax.scan(step, start, gallery)[0][0]
