"""Kernels of the asymmetric distance: logits of a probe against stored bits.

A score sum_l u_l * (+1 or -1) is sum_l |u_l| - 2 * sum of |u_l| over the bits
that differ from the signs of the logits. The weights |u_l| are rounded to
whole steps, so that the second sum is, up to a bound that is known, a weighted
count of bits: 2^b times a popcount for each bit b of the weights. Rows that may
be among the best by that bound get their exact score.
"""

import math

import numpy as np

from facejax.search.codes import GROUP, fill_tile
from facejax.search.compiled import compiled, count_ones
from facejax.search.selection import (
  NO_ROW,
  key_score,
  replace_worst,
  score_key,
)

WEIGHT_BITS = 6
MAX_WEIGHT = 2**WEIGHT_BITS - 1
NIBBLE_BITS = 4
NIBBLE_VALUES = 16
_NIBBLES_PER_WORD = 16
_FAR = np.uint64(2**62)


@compiled
def _costs(block, signs, planes, width, costs):
  """Weighted distances of a group in steps; returns the least."""
  least = _FAR
  for row in range(GROUP):
    cost = np.uint64(0)
    for bit in range(WEIGHT_BITS):
      ones = np.uint64(0)
      for word in range(len(width)):
        differing = block[word, row] ^ signs[word]
        ones += count_ones(differing & planes[bit * len(width) + word])
      cost += ones << np.uint64(bit)
    costs[row] = cost
    least = min(least, cost)
  return least


@compiled
def _exact_score(words, table):
  """The score by a table of the sums of four logits, added up in order."""
  score = 0.0
  for place in range(len(table)):
    word = words[place // _NIBBLES_PER_WORD]
    shift = NIBBLE_BITS * (place % _NIBBLES_PER_WORD)
    nibble = word >> np.uint64(shift) & np.uint64(NIBBLE_VALUES - 1)
    score += table[place, nibble]
  return np.float32(score)


@compiled
def _cost_limit(worst, bounds):
  """Least cost of which no row can beat the worst key.

  Args:
    worst: key.
    bounds: float64 [3]: sum of |u|; the step; how many steps a cost is above
      the true one at most.
  """
  if worst == NO_ROW:
    return _FAR
  steps = (bounds[0] - np.float64(key_score(worst))) / (2 * bounds[1])
  # Two more steps cover the rounding of this line and of the scores.
  return np.uint64(max(0, math.floor(steps + bounds[2]) + 2))


@compiled
def scan_weighted(
  words, first_row, removed, signs, planes, tables, bounds, width, tile, heaps
):
  """Scores rows and keeps the best of every probe.

  Args:
    words: uint64 [N, W], the rows from `first_row` on.
    first_row: place of the first of them in the gallery.
    removed: bool [T] of the gallery, or empty.
    signs: uint64 [B, W], codes of the probes.
    planes: uint64 [B, WEIGHT_BITS * W], bit by bit of the weights.
    tables: float64 [B, L / 4, 16], sums of four logits by their stored bits.
    bounds: float64 [B, 3], see `_cost_limit`.
    width: `codes.width`.
    tile: `codes.make_tile`.
    heaps: uint64 [B, k], keys.
  """
  costs = np.empty(GROUP, np.uint64)
  for start in range(0, len(words), len(tile) * GROUP):
    num_rows = fill_tile(tile, words, start)
    for number in range(len(signs)):
      heap = heaps[number]
      limit = _cost_limit(heap[0], bounds[number])
      for group in range((num_rows + GROUP - 1) // GROUP):
        block = tile[group]
        least = _costs(block, signs[number], planes[number], width, costs)
        if least >= limit:
          continue
        for place in range(min(GROUP, num_rows - group * GROUP)):
          near = start + group * GROUP + place
          row = first_row + near
          if costs[place] >= limit or (len(removed) > 0 and removed[row]):
            continue
          key = score_key(_exact_score(words[near], tables[number]), row)
          if key < heap[0]:
            replace_worst(heap, key)
            limit = _cost_limit(heap[0], bounds[number])


@compiled
def rank_words(words, rows, tables, heaps):
  """Scores some rows of every probe and keeps the best.

  Args:
    words: uint64 [B, c, W], codes of the rows.
    rows: int64 [B, c]; -1 is none.
    tables: float64 [B, L / 4, 16], see `scan_weighted`.
    heaps: uint64 [B, k], keys.
  """
  for number in range(len(rows)):
    heap = heaps[number]
    for place in range(rows.shape[1]):
      if rows[number, place] < 0:
        continue
      score = _exact_score(words[number, place], tables[number])
      key = score_key(score, rows[number, place])
      if key < heap[0]:
        replace_worst(heap, key)
