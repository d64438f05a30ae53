"""The largest scores of a pass: found on devices, gathered call by call."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from facejax.array_typing import Array, Float, Int

GROUP = 64  # columns whose greatest score is looked at first
_TILE_SHARE = 8  # of what a tail holds, a tile may add an eighth
# Below every score and above what stands for none, minus infinity.
LOWEST = float(np.finfo(np.float32).min)
_LEAST_ROOM = 1 << 12
_SAMPLE = 1 << 17


def _tile_capacity(num_groups: int, tail: int) -> int:
  """Groups that a tile may add; a crowded one is rare."""
  return min(num_groups, max(tail // _TILE_SHARE, 1))


def start_tail(room: int, num_groups: int) -> dict[str, Array]:
  """A tail that nothing has been added to.

  Args:
    room: groups that it holds.
    num_groups: groups of a tile.
  """
  # The last tile to fit is written wherever the ones before it end.
  room += _tile_capacity(num_groups, room)
  return {
    'groups': jnp.full((room, GROUP), -jnp.inf),
    'place': jnp.zeros((room, 2), jnp.int32),
    'count': jnp.int32(0),
    'most': jnp.int32(0),
  }


def add_to_tail(
  tail: dict[str, Array],
  scores: Float[Array, 'R C'],
  floor: Float[Array, '...'],
  row: Int[Array, ''],
  room: int,
) -> dict[str, Array]:
  """Appends the groups of a tile that hold a score of the tail.

  Args:
    tail: 'groups' [N, 64], of which the first 'count' are taken, 'place'
      [N, 2], row and group of each, and 'most', groups of the fullest tile.
    scores: the tile.
    floor: scores from it on belong to the tail; or float32 [R], one a row.
    row: the first of the tile.
    room: groups that the tail holds; beyond it, groups are only counted.
  """
  groups = scores.reshape(-1, GROUP)
  greatest = groups.max(-1).reshape(len(scores), -1)
  hit = (greatest >= jnp.reshape(floor, (-1, 1))).ravel()
  capacity = _tile_capacity(len(groups), room)
  (chosen,) = jnp.nonzero(hit, size=capacity, fill_value=0)
  per_row = scores.shape[1] // GROUP
  place = jnp.stack([row + chosen // per_row, chosen % per_row], axis=1)
  at, count = tail['count'], hit.sum(dtype=jnp.int32)
  return {
    'groups': lax.dynamic_update_slice(tail['groups'], groups[chosen], (at, 0)),
    'place': lax.dynamic_update_slice(
      tail['place'], place.astype(jnp.int32), (at, 0)
    ),
    'count': at + count,
    'most': jnp.maximum(tail['most'], count),
  }


def room_for(groups: int) -> int:
  """Room for so many groups, a power of two: few compilations."""
  return 1 << (max(_LEAST_ROOM, groups) - 1).bit_length()


def room_needed(tail: dict[str, Any]) -> int:
  """Room that would hold all groups of a tail that may have lost some."""
  most = int(np.max(tail['most']))
  return room_for(max(int(np.max(tail['count'])), _TILE_SHARE * most))


def complete(
  call: Callable[..., dict[str, Any]], kept: dict[str, Any], room: int
) -> tuple[dict[str, Any], int]:
  """What a call kept once its tail had room for it, and that room.

  Args:
    call: does the same again with more `room`.
    kept: what it kept with `room`, 0 for no tail.
    room: of the tail.
  """
  while room and (needed := room_needed(kept['tail'])) > room:
    kept, room = call(room=needed), needed
  return kept, room


def guess_floor(
  rows: tuple[np.ndarray, np.ndarray],
  columns: tuple[np.ndarray, np.ndarray],
  share: float,
) -> float:
  """A score that somewhat more than a share of all scores should reach.

  Args:
    rows: features float32 [R, D] and labels int [R].
    columns: features float32 [C, D] and labels int [C], -1 where none count.
    share: of the scores between different people, 0 to 1.

  Returns:
    A score of a sample of them, or LOWEST if so few cannot tell.
  """
  rng = np.random.default_rng(0)
  first, second = (
    rng.integers(0, len(labels), _SAMPLE) for _, labels in (rows, columns)
  )
  person, other = np.asarray(rows[1])[first], np.asarray(columns[1])[second]
  counted = (person != other) & (other >= 0)
  first, second = first[counted], second[counted]
  scores = np.einsum('nd,nd->n', rows[0][first], columns[0][second])
  expected = len(scores) * share
  rank = int(expected + 6 * math.sqrt(expected) + 10)
  if rank >= len(scores):
    return LOWEST
  return float(-np.partition(-scores, rank)[rank])


def _by_device(found: dict[str, Any]) -> Iterator[tuple[np.ndarray, ...]]:
  """Rows, groups of scores and places of them that each device kept."""
  # Whole arrays: a slice of another length would be another compilation.
  groups, places = np.asarray(found['groups']), np.asarray(found['place'])
  for device, count in enumerate(np.asarray(found['count'])):
    rows, place = places[device, :count].T
    yield rows, groups[device, :count], place


def groups_of(
  found: dict[str, Any],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Rows and groups of scores that a call of `scan` kept, by device."""
  for rows, groups, _ in _by_device(found):
    yield rows, groups


class Tail(NamedTuple):
  """The largest scores between different people, falling.

  Attributes:
    first: int32 [n], row of each.
    second: int32 [n], column of each.
    scores: float32 [n].
  """

  first: Int[np.ndarray, ' n']
  second: Int[np.ndarray, ' n']
  scores: Float[np.ndarray, ' n']

  def count_greater(
    self, scores: Float[np.ndarray, ' T']
  ) -> Int[np.ndarray, ' T']:
    """How many of the tail are greater than each score."""
    return np.searchsorted(-self.scores, -scores, side='left')


class TailCollector:
  """Keeps the `count` largest scores, above a floor that rises with them."""

  def __init__(self, count: int, floor: float):
    """Starts with a guess.

    Args:
      count: scores wanted.
      floor: scores below this one are not looked at; LOWEST looks at all.
    """
    self.count, self.floor = count, floor
    self._guessed = floor > LOWEST
    self._parts = [Tail(*np.zeros((2, 0), np.int32), np.zeros(0, np.float32))]

  def _found(self) -> int:
    return sum(len(part.scores) for part in self._parts)

  def add(self, found: dict[str, Any], first_column: int, width: int) -> None:
    """Takes what a call of `scan` kept.

    Args:
      found: its 'tail'.
      first_column: place of the first column of the call.
      width: columns of a device.
    """
    for device, (rows, groups, places) in enumerate(_by_device(found)):
      hit, within = np.nonzero(groups >= self.floor)
      column = first_column + device * width + places[hit] * GROUP + within
      scores = groups[hit, within]
      self._parts.append(Tail(rows[hit], column.astype(np.int32), scores))
    if self._found() > 2 * self.count:
      self._parts = [self.result()]
      self.floor = float(self._parts[0].scores[-1])

  def result(self) -> Tail:
    """The largest, sorted; equal ones by their places."""
    joined = Tail(*map(np.concatenate, zip(*self._parts, strict=True)))
    order = np.lexsort((joined.second, joined.first, -joined.scores))
    return Tail(*(array[order[: self.count]] for array in joined))

  def is_complete(self) -> bool:
    """Whether no larger score can be missing; False if the guess was high."""
    return not self._guessed or self._found() >= self.count
