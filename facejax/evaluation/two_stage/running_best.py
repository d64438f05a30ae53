"""Who is found with c candidates, for every c at once.

A first stage puts the gallery in an order for each probe. With c candidates
the second stage takes the most similar of the first c. So one walk along the
order, with the best mate and the best other image so far, answers for every c.
"""

from typing import NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int

NOBODY = np.iinfo(np.int64).min  # below every key
_LOW = np.int64(0xFFFFFFFF)
_SCORE_BITS = 32


class Walk(NamedTuple):
  """What a first stage does for B probes and a gallery of G images.

  `strict` counts ties as errors (spec 13.5); otherwise the lower row of the
  gallery wins them, as a search answers (spec 5).

  Attributes:
    places: int64 [B], place of the first mate in the order, from 1: among c
      candidates is a mate exactly where it is at most c.
    alone: bool [B], whether the first image of the order is a mate.
    alone_strict: bool [B], whether a mate is nearer than everybody else.
    right: bool [B, G], whether the answer is a mate with 1 .. G candidates.
    right_strict: bool [B, G].
    best: int64 [B, G], keys of the answers.
  """

  places: Int[np.ndarray, ' B']
  alone: Bool[np.ndarray, ' B']
  alone_strict: Bool[np.ndarray, ' B']
  right: Bool[np.ndarray, 'B G']
  right_strict: Bool[np.ndarray, 'B G']
  best: Int[np.ndarray, 'B G']


def make_keys(scores: Float[np.ndarray, 'B G']) -> Int[np.ndarray, 'B G']:
  """Integers in the order of spec 5: larger score, then lower column.

  Args:
    scores: float32 [B, G], finite; both zeros are one.
  """
  bits = (scores.astype(np.float32) + np.float32(0)).view(np.int32)
  # Negative floats sort the other way round as integers.
  ordered = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
  columns = _LOW - np.arange(scores.shape[1])
  return (ordered.astype(np.int64) << _SCORE_BITS) | columns


def columns_of_keys(keys: Int[np.ndarray, '*B']) -> Int[np.ndarray, '*B']:
  """The columns that keys are of."""
  return _LOW - (keys & _LOW)


def scores_part(keys: Int[np.ndarray, '*B']) -> Int[np.ndarray, '*B']:
  """Integers that are in the order of the scores alone, and as equal."""
  return keys >> _SCORE_BITS


def walk(
  order: Int[np.ndarray, 'B G'],
  merits: Float[np.ndarray, 'B G'] | Int[np.ndarray, 'B G'],
  keys: Int[np.ndarray, 'B G'],
  is_mate: Bool[np.ndarray, 'B G'],
) -> Walk:
  """Walks along the orders of a first stage.

  Args:
    order: int [B, G], columns of the gallery, the nearest first.
    merits: of the images in this order, never rising: minus the Hamming
      distance, or the asymmetric score.
    keys: int64 [B, G], of the cosines, by column (`make_keys`).
    is_mate: bool [B, G], by column; at least one in a row.
  """
  mates = np.take_along_axis(is_mate, order, 1)
  in_order = np.take_along_axis(keys, order, 1)
  mate, other = (
    np.maximum.accumulate(np.where(counted, in_order, NOBODY), axis=1)
    for counted in (mates, ~mates)
  )
  probes = np.arange(len(order))
  first_mate, first_other = mates.argmax(1), mates.argmin(1)
  nearer = merits[probes, first_mate] > merits[probes, first_other]
  return Walk(
    places=first_mate + 1,
    alone=first_mate == 0,
    alone_strict=nearer | mates.all(1),
    right=mate > other,
    right_strict=scores_part(mate) > scores_part(other),
    best=np.maximum(mate, other),
  )
