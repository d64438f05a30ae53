"""Kernels of the cosine: one score for a pair, whichever way it is reached.

A score is the sum of the products of a pair of vectors in float32, added up as
a tree of halves. Nothing here may be reordered by the compiler, so the score
of a pair has the same bits in every kernel, batch and thread.
"""

import numpy as np

from facejax.search.compiled import compiled
from facejax.search.selection import (
  NO_ROW,
  key_score,
  replace_worst,
  score_key,
)

GROUP = 64
_HALF_SIGN = np.uint32(0x8000)
_HALF_REST = np.uint32(0x7FFF)
# Moves the exponent of float16 bits to where it is in float32.
_HALF_SCALE = np.float32(2.0**112)


@compiled
def _multiply_floats(probe, values, products):
  for place in range(len(products)):
    products[place] = probe[place] * np.float32(values[place])


@compiled
def _multiply_halves(probe, values, products):
  """Products with float16 numbers, given as their bits; exact for finite ones.

  numba has no float16 on CPU.
  """
  for place in range(len(products)):
    bits = np.uint32(values[place])
    moved = (bits & _HALF_SIGN) << np.uint32(16)
    moved |= (bits & _HALF_REST) << np.uint32(13)
    value = np.uint32(moved).view(np.float32) * _HALF_SCALE
    products[place] = probe[place] * value


@compiled
def _sum_of(products):
  """The sum of all values, halves upon halves; uses them up."""
  size = len(products)
  while size > 1:
    half = (size + 1) // 2
    upper = products[half:size]
    for place in range(len(upper)):
      products[place] += upper[place]
    size = half
  return products[0]


@compiled
def _pair_score(probe, values, factor, products):
  """The score of a pair.

  Args:
    probe: float32 [D].
    values: float32 or int8 [D], or the bits of float16 as uint16.
    factor: float32.
    products: float32 [D], overwritten.
  """
  if values.itemsize == 2:
    _multiply_halves(probe, values, products)
  else:
    _multiply_floats(probe, values, products)
  return _sum_of(products) * factor


@compiled
def _factor(factors, row):
  return factors[row] if len(factors) > 0 else np.float32(1)


@compiled
def rank_rows(probes, values, factors, candidates, heaps):
  """Scores the candidates of every probe and keeps the best.

  Args:
    probes: float32 [B, D].
    values: [T, D], see `_pair_score`.
    factors: float32 [T], or empty.
    candidates: int64 [B, c], ascending; -1 is none.
    heaps: uint64 [B, k], keys.
  """
  products = np.empty(probes.shape[1], np.float32)
  for number in range(len(probes)):
    heap, last = heaps[number], np.int64(-1)
    for row in candidates[number]:
      if row == last:
        continue
      last = row
      factor = _factor(factors, row)
      score = _pair_score(probes[number], values[row], factor, products)
      key = score_key(score, row)
      if key < heap[0]:
        replace_worst(heap, key)


@compiled
def scan_rows(probes, values, factors, removed, first_row, heaps):
  """Scores all rows one by one: for few probes.

  Args:
    probes: float32 [B, D].
    values: [N, D], the rows from `first_row` on.
    factors: float32 [T] of the gallery, or empty.
    removed: bool [T] of the gallery, or empty.
    first_row: place of the first row in the gallery.
    heaps: uint64 [B, k], keys.
  """
  products = np.empty(probes.shape[1], np.float32)
  for place in range(len(values)):
    row = first_row + place
    if len(removed) > 0 and removed[row]:
      continue
    factor = _factor(factors, row)
    for number in range(len(probes)):
      heap = heaps[number]
      score = _pair_score(probes[number], values[place], factor, products)
      key = score_key(score, row)
      if key < heap[0]:
        replace_worst(heap, key)


@compiled
def widen(values, factors, first_row, vectors):
  """Writes stored vectors as float32.

  Args:
    values: [N, D], see `_pair_score`.
    factors: float32 [T] of the gallery, or empty.
    first_row: place of the first row in the gallery.
    vectors: float32 [N, D].
  """
  scales = np.empty(values.shape[1], np.float32)
  for place in range(len(values)):
    scales[:] = _factor(factors, first_row + place)
    if values.itemsize == 2:
      _multiply_halves(scales, values[place], vectors[place])
    else:
      _multiply_floats(scales, values[place], vectors[place])


@compiled
def _greatest(scores):
  greatest = np.float32(-np.inf)
  for place in range(GROUP):
    greatest = max(greatest, scores[place])
  return greatest


@compiled
def _score_limit(worst, error):
  """Scores under this cannot be those of rows that beat the worst key."""
  if worst == NO_ROW:
    return np.float32(-np.inf)
  return np.float32(key_score(worst) - error)


@compiled
def keep_best(
  scores, probes, values, factors, removed, first_row, error, heaps
):
  """Takes over the best of a tile of scores that have some error.

  Rows that may be among the best by the bound of the error are scored again,
  by the kernel that every score comes from.

  Args:
    scores: float32 [B, N].
    probes: float32 [B, D].
    values: [N, D], the rows from `first_row` on.
    factors: float32 [T] of the gallery, or empty.
    removed: bool [T] of the gallery, or empty.
    first_row: place of the first row in the gallery.
    error: float32, bound of |score - score of the pair|.
    heaps: uint64 [B, k], keys.
  """
  products = np.empty(probes.shape[1], np.float32)
  for number in range(len(probes)):
    heap = heaps[number]
    limit = _score_limit(heap[0], error)
    for start in range(0, len(values), GROUP):
      group = scores[number, start : start + GROUP]
      if len(group) == GROUP and _greatest(group) < limit:
        continue
      for place in range(len(group)):
        row = first_row + start + place
        if group[place] < limit or (len(removed) > 0 and removed[row]):
          continue
        factor, stored = _factor(factors, row), values[start + place]
        score = _pair_score(probes[number], stored, factor, products)
        key = score_key(score, row)
        if key < heap[0]:
          replace_worst(heap, key)
          limit = _score_limit(heap[0], error)
