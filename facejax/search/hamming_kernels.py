"""Kernels of the Hamming distance: popcounts, and selection by counting.

Distances have few values, so the best k are kept by a count of each value and
a limit, the least distance that k rows are at or under; only a row nearer than
the limit is looked at again. Rows come in ascending order, and so, among equal
distances, the first ones are the right ones.
"""

import numpy as np

from facejax.search.codes import GROUP, fill_tile
from facejax.search.compiled import compiled, count_ones

# Fewer probes than this read the codes as they lie in memory.
_STREAMED_PROBES = 4
# From so many words on the words of a row fill the vector instructions, not
# the rows of a group.
_WIDE = 8
_FAR = np.uint64(1 << 32)


@compiled
def _nearest_of_group(block, probe, width):
  nearest = _FAR
  for row in range(GROUP):
    distance = np.uint64(0)
    for word in range(len(width)):
      distance += count_ones(block[word, row] ^ probe[word])
    nearest = min(nearest, distance)
  return nearest


@compiled
def _nearest_of_rows(rows, probe, width):
  nearest = _FAR
  for row in range(GROUP):
    distance = np.uint64(0)
    for word in range(len(width)):
      distance += count_ones(rows[row * len(width) + word] ^ probe[word])
    nearest = min(nearest, distance)
  return nearest


@compiled
def _distances(block, probe, width, distances):
  for row in range(GROUP):
    distance = np.uint64(0)
    for word in range(len(width)):
      distance += count_ones(block[word, row] ^ probe[word])
    distances[row] = distance


@compiled
def _distances_of_rows(rows, probe, width, distances):
  for row in range(GROUP):
    distance = np.uint64(0)
    for word in range(len(width)):
      distance += count_ones(rows[row * len(width) + word] ^ probe[word])
    distances[row] = distance


@compiled
def _drop_beaten(keys, limit, at_limit):
  """Keeps keys under the limit and the first at it; returns how many."""
  kept = 0
  for key in keys:
    distance = np.int64(key >> np.uint64(32))
    if distance == limit:
      at_limit -= 1
    if distance < limit or (distance == limit and at_limit >= 0):
      keys[kept] = key
      kept += 1
  return kept


@compiled
def _keep_nearer(best, distances, first_row, num_rows, removed, top_k):
  """Takes the rows of a group that are nearer than the limit.

  Args:
    best: (keys uint64 [cap], counts int64 [L + 2], state int64 [3]) of a
      probe; a key is distance << 32 | row, the state the limit, how many keys
      there are, and how many rows are under the limit.
    distances: uint64 [GROUP].
    first_row: of the group.
    num_rows: of the group.
    removed: bool [T], or empty.
    top_k: rows wanted.
  """
  keys, counts, state = best
  for place in range(num_rows):
    distance = np.int64(distances[place])
    row = first_row + place
    if distance >= state[0] or (len(removed) > 0 and removed[row]):
      continue
    if state[1] == len(keys):
      state[1] = _drop_beaten(keys, state[0], top_k - state[2])
    keys[state[1]] = np.uint64(distance) << np.uint64(32) | np.uint64(row)
    state[1] += 1
    counts[distance] += 1
    state[2] += 1
    while state[2] >= top_k:
      state[0] -= 1
      state[2] -= counts[state[0]]


@compiled
def _scan_wide_rows(
  words, first_row, removed, probes, width, keys, counts, states, top_k
):
  """`scan_nearest` for few probes of wide codes, but for the last rows.

  Returns:
    The number of rows that were compared, whole groups.
  """
  distances, start = np.empty(GROUP, np.uint64), 0
  while start + GROUP <= len(words):
    for number in range(len(probes)):
      probe, state, nearest = probes[number], states[number], _FAR
      for row in range(GROUP):
        distance = np.uint64(0)
        for word in range(len(width)):
          distance += count_ones(words[start + row, word] ^ probe[word])
        distances[row] = distance
      for row in range(GROUP):
        nearest = min(nearest, distances[row])
      if nearest < np.uint64(state[0]):
        best = (keys[number], counts[number], state)
        _keep_nearer(best, distances, first_row + start, GROUP, removed, top_k)
    start += GROUP
  return start


@compiled
def _scan_narrow_rows(
  words, first_row, removed, probes, width, keys, counts, states, top_k
):
  """`_scan_wide_rows` for codes of fewer words."""
  distances, start = np.empty(GROUP, np.uint64), 0
  while start + GROUP <= len(words):
    # Flat, since a stride that is no constant is not turned into vectors.
    rows = words[start : start + GROUP].reshape(-1)
    for number in range(len(probes)):
      probe, state = probes[number], states[number]
      if _nearest_of_rows(rows, probe, width) < np.uint64(state[0]):
        _distances_of_rows(rows, probe, width, distances)
        best = (keys[number], counts[number], state)
        _keep_nearer(best, distances, first_row + start, GROUP, removed, top_k)
    start += GROUP
  return start


@compiled
def scan_nearest(
  words, first_row, removed, probes, width, tile, keys, counts, states, top_k
):
  """Compares rows with probes and keeps the nearest `top_k` of each probe.

  Args:
    words: uint64 [N, W], the rows from `first_row` on.
    first_row: place of the first of them in the gallery.
    removed: bool [T] of the gallery, or empty.
    probes: uint64 [B, W].
    width: `codes.width`.
    tile: `codes.make_tile`.
    keys: uint64 [B, cap], see `_keep_nearer`.
    counts: int64 [B, L + 2].
    states: int64 [B, 3].
    top_k: rows wanted, fewer than cap or cap = all rows.
  """
  distances = np.empty(GROUP, np.uint64)
  start = 0
  if len(probes) < _STREAMED_PROBES:
    scan = _scan_wide_rows if len(width) >= _WIDE else _scan_narrow_rows
    start = scan(
      words, first_row, removed, probes, width, keys, counts, states, top_k
    )
  while start < len(words):
    num_rows = fill_tile(tile, words, start)
    for number in range(len(probes)):
      probe, state = probes[number], states[number]
      for group in range((num_rows + GROUP - 1) // GROUP):
        block, row = tile[group], group * GROUP
        if _nearest_of_group(block, probe, width) < np.uint64(state[0]):
          _distances(block, probe, width, distances)
          best = (keys[number], counts[number], state)
          rest, row = min(GROUP, num_rows - row), first_row + start + row
          _keep_nearer(best, distances, row, rest, removed, top_k)
    start += num_rows


@compiled
def order_by_counting(keys, counts, states, sorted_keys):
  """Puts the kept keys in order of distance, then row, without comparing any.

  Args:
    keys: uint64 [B, cap], see `_keep_nearer`.
    counts: int64 [B, L + 2]; used up.
    states: int64 [B, 3].
    sorted_keys: uint64 [B, k], filled with what stands for no row.
  """
  for number in range(len(keys)):
    limit, num_keys, under = states[number]
    places, place = counts[number], 0
    for distance in range(limit):
      places[distance], place = place, place + places[distance]
    places[limit] = under
    for key in keys[number, :num_keys]:
      distance = np.int64(key >> np.uint64(32))
      if distance <= limit and places[distance] < sorted_keys.shape[1]:
        sorted_keys[number, places[distance]] = key
        places[distance] += 1


@compiled
def scan_within(
  words, first_row, removed, probes, width, tile, radius, places, found
):
  """Counts the rows within a radius, or puts them where they belong.

  Args:
    words: uint64 [N, W], the rows from `first_row` on.
    first_row: place of the first of them in the gallery.
    removed: bool [T] of the gallery, or empty.
    probes: uint64 [B, W].
    width: `codes.width`.
    tile: `codes.make_tile`.
    radius: largest distance.
    places: int64 [B, radius + 1]; raised by one for each row found.
    found: uint64 [M]; the key distance << 32 | row goes to the place that is
      raised. Empty: rows are only counted.
  """
  distances = np.empty(GROUP, np.uint64)
  for start in range(0, len(words), len(tile) * GROUP):
    num_rows = fill_tile(tile, words, start)
    for number in range(len(probes)):
      probe = probes[number]
      for group in range((num_rows + GROUP - 1) // GROUP):
        block = tile[group]
        if _nearest_of_group(block, probe, width) > np.uint64(radius):
          continue
        _distances(block, probe, width, distances)
        for place in range(min(GROUP, num_rows - group * GROUP)):
          distance = np.int64(distances[place])
          row = first_row + start + group * GROUP + place
          if distance > radius or (len(removed) > 0 and removed[row]):
            continue
          if len(found) > 0:
            key = np.uint64(distance) << np.uint64(32) | np.uint64(row)
            found[places[number, distance]] = key
          places[number, distance] += 1
