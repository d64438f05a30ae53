"""Answers by person: the best template of each counts for all of them."""

from collections.abc import Callable

import numpy as np

from facejax.array_typing import Float, Int

# Of an array int64 [Q, k] that a search makes: 128 MB.
_ENTRIES = 1 << 24
# Finds the best `count` rows of some probes, given by their numbers: rows
# int64 [q, count] and scores float32 [q, count], best first, -1 pads.
Find = Callable[[Int[np.ndarray, ' q'], int], tuple[np.ndarray, np.ndarray]]


def first_of_each(
  people: Int[np.ndarray, 'Q n'], k: int
) -> tuple[Int[np.ndarray, 'Q k'], Int[np.ndarray, ' Q']]:
  """Places of the first k different people of every row.

  Args:
    people: numbers of people, best first; -1 pads at the end.
    k: how many are wanted.

  Returns:
    places [Q, k], rising, -1 where there are fewer people; and how many
    different people each row has, up to k.
  """
  order = np.argsort(people, axis=1, kind='stable')
  ordered = np.take_along_axis(people, order, axis=1)
  is_first = np.ones(people.shape, bool)
  is_first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
  is_first &= ordered >= 0
  first = np.zeros(people.shape, bool)
  np.put_along_axis(first, order, is_first, axis=1)
  ranks = np.cumsum(first, axis=1) - 1
  probes, at = np.nonzero(first & (ranks < k))
  places = np.full((len(people), k), -1, np.int64)
  places[probes, ranks[probes, at]] = at
  return places, np.minimum(first.sum(axis=1), k)


def take(
  values: np.ndarray, places: Int[np.ndarray, 'Q k'], pad: float | int
) -> np.ndarray:
  """Values [Q, n] at places [Q, k]; `pad` where a place is -1."""
  found = np.take_along_axis(values, np.maximum(places, 0), axis=1)
  return np.where(places < 0, np.array(pad, values.dtype), found)


def best_people(
  find: Find,
  person: Int[np.ndarray, ' T'],
  *,
  num_probes: int,
  k: int,
  start: int,
  limit: int,
) -> tuple[Int[np.ndarray, 'Q k'], Float[np.ndarray, 'Q k']]:
  """The k best people of every probe, each by the best of its templates.

  A search for templates is repeated with twice as many for the probes whose
  answers show fewer than k people, until they show k, or all rows were looked
  at. So no number of templates that one person has hides another.

  Args:
    find: searches for templates.
    person: of every row.
    num_probes: Q.
    k: people wanted; no more than there are.
    start: templates that the first search is for.
    limit: rows there are.

  Returns:
    rows int64 [Q, k] of the best templates and their scores float32 [Q, k],
    best first; -1 and -inf where there are fewer people.
  """
  rows = np.full((num_probes, k), -1, np.int64)
  scores = np.full((num_probes, k), -np.inf, np.float32)
  waiting, count = np.arange(num_probes), min(max(start, k), limit)
  while len(waiting) and k:
    short = []
    for probes in probe_blocks(waiting, count):
      found, found_scores = find(probes, count)
      people = np.where(found < 0, -1, person[found])
      places, numbers = first_of_each(people, k)
      rows[probes] = take(found, places, -1)
      scores[probes] = take(found_scores, places, -np.inf)
      short.append(probes[numbers < k])
    if count >= limit:
      break
    waiting, count = np.concatenate(short), min(2 * count, limit)
  return rows, scores


def probe_blocks(
  probes: Int[np.ndarray, ' Q'], count: int
) -> list[Int[np.ndarray, ' q']]:
  """Probes in blocks whose answers of `count` rows each fit into memory."""
  size = max(1, _ENTRIES // max(count, 1))
  return [probes[at : at + size] for at in range(0, len(probes), size)]
