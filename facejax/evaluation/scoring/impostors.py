"""Scores between different people, of sets too large to store them all.

One pass over the scores counts them by class, finds the largest with their
images and the best of every row; a second one, where it is asked for, tells
the exact score of any rank. All counts are exact, whatever the size.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from facejax import files
from facejax.array_typing import Float, Int
from facejax.errors import DataError
from facejax.evaluation.scoring import keys
from facejax.evaluation.scoring.best import BestOfRows
from facejax.evaluation.scoring.blocks import Block, cut
from facejax.evaluation.scoring.scan import (
  TILE_ROWS,
  Columns,
  Keep,
  Rows,
  pad_rows,
  scan_with_room,
)
from facejax.evaluation.scoring.tail import (
  GROUP,
  LOWEST,
  Tail,
  TailCollector,
  complete,
  groups_of,
  guess_floor,
  room_for,
)
from facejax.parallel.mesh import make_mesh, replicated

_CPU_GROUPS, _GROUPS = 16, 128  # columns of a device in one call
_MOST_SCORES = (1 << 31) - 1  # of a device in one call: counts are int32
_RARE = 16  # calls after which few scores are among the best of their row
_SMALL_SHARE = 4  # a tail of less than a quarter is worth a guess


class Kept(NamedTuple):
  """What a pass kept.

  Attributes:
    counts: int64 [2^18], scores by class of `keys`, or None.
    tail: the largest scores, or None.
    best: float32 [Q, k], the greatest scores of every row, falling, -inf
      where there are fewer; or None. Where rows pair with each other, a row
      has the scores of those behind it.
  """

  counts: Int[np.ndarray, ' _'] | None
  tail: Tail | None
  best: Float[np.ndarray, 'Q k'] | None


@dataclasses.dataclass(frozen=True)
class ImpostorScores:
  """Inner products of features of different people, each pair once.

  Attributes:
    features: float32 [Q, D], of the rows, finite.
    labels: int [Q], the person of each, 0 or more.
    blocks: starts a pass over the columns: features [C, D] and labels [C],
      -1 for what does not count, of any size; None pairs the rows with each
      other.
    num_columns: columns of all blocks together.
    mesh: its devices share the columns; None takes all of this process.
  """

  features: Float[np.ndarray, 'Q D']
  labels: Int[np.ndarray, ' Q']
  blocks: Callable[[], Iterable[Block]] | None = None
  num_columns: int = 0
  mesh: Mesh | None = None

  def _blocks(self) -> Iterable[Block]:
    """The columns, as they are given."""
    if self.blocks is None:
      return [(self.features, self.labels)]
    return self.blocks()

  def count_pairs(self) -> int:
    """Pairs of different people; for blocks, those of rows and columns."""
    if self.blocks is not None:
      return len(self.labels) * self.num_columns
    images = np.unique(self.labels, return_counts=True)[1].astype(np.int64)
    return int((images.sum() ** 2 - (images**2).sum()) // 2)

  def _passes(
    self,
    keep: Keep,
    *,
    tail: TailCollector | None = None,
    best: BestOfRows | None = None,
    wanted: Int[np.ndarray, ' T'] | None = None,
    desc: str,
  ) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Scans the columns by as many as the devices take at a time.

    Yields:
      The place of the first column, columns of a device, and what was kept.
    """
    mesh = self.mesh or make_mesh(devices=jax.local_devices())
    num_rows = -(-len(self.labels) // TILE_ROWS) * TILE_ROWS
    rows = Rows(*pad_rows(self.features, self.labels, num_rows))
    wanted = np.asarray([] if wanted is None else wanted, np.int32)
    rows, wanted = jax.device_put((rows, wanted), replicated(mesh))
    total = len(self.labels) if self.blocks is None else self.num_columns
    groups = min(
      _CPU_GROUPS if jax.default_backend() == 'cpu' else _GROUPS,
      -(-total // (GROUP * mesh.size)),  # a small set needs no more
      _MOST_SCORES // (GROUP * num_rows),
    )
    width, chunk = groups * GROUP, groups * GROUP * mesh.size
    calls = -(-total // chunk)
    if tail is not None:
      # The triangle of the rows with each other is fullest at its end.
      expected = 2 * tail.count // (calls * mesh.size)
      keep = keep._replace(tail=room_for(min(expected, num_rows * groups)))
    waiting = None
    for place, block in files.progress(
      cut(self._blocks(), chunk), desc=desc, unit='block', total=calls, delay=2
    ):
      columns = Columns(*pad_rows(*block, chunk), np.int32(place))
      floors = np.full(num_rows, LOWEST if tail is None else tail.floor)
      if tail is not None and best is not None and place >= _RARE * chunk:
        # What is better than a row's best has become rare: the tail has room.
        known = np.maximum(best.floors, LOWEST)
        floors[: len(known)] = np.minimum(floors[: len(known)], known)
        keep = keep._replace(best=0)
      call = functools.partial(
        scan_with_room,
        rows,
        columns,
        floors.astype(np.float32),
        wanted,
        mesh=mesh,
        keep=keep,
        triangle=self.blocks is None,
      )
      # One block is scored while what another kept is taken over.
      queued = place, call, call(room=keep.tail), keep.tail
      if waiting is not None:
        kept, room = complete(*waiting[1:])
        keep = keep._replace(tail=max(keep.tail, room))
        yield waiting[0], width, kept
      waiting = queued
    if waiting is not None:
      yield waiting[0], width, complete(*waiting[1:])[0]

  def collect(
    self,
    *,
    counts: bool = False,
    tail: int = 0,
    best: int = 0,
    desc: str = 'scoring',
  ) -> Kept:
    """One pass over all scores.

    Args:
      counts: whether to count all scores by class.
      tail: how many of the largest scores to keep with their places; all
        where there are fewer, and of equal ones those of the first places.
      best: how many of each row's greatest scores to keep.
      desc: what a progress bar says.

    Raises:
      DataError: there is no pair of different people.
    """
    pairs = self.count_pairs()
    if not pairs:
      raise DataError('all images show one person: there is no impostor pair')
    if not tail:
      return self._collect(counts, None, best, desc)
    floor = LOWEST
    if _SMALL_SHARE * tail < pairs:
      columns = next(block for block in self._blocks() if len(block[1]))
      floor = guess_floor((self.features, self.labels), columns, tail / pairs)
    collector = TailCollector(min(tail, pairs), floor)
    kept = self._collect(counts, collector, best, desc)
    if collector.is_complete():
      return kept
    # The sample was misleading: count first, so that nothing is guessed.
    known = kept if counts else self._collect(True, None, 0, desc)
    number, _ = keys.find_ranks(known.counts, [collector.count])
    floor = float(keys.class_floors()[number[0]])
    collector = TailCollector(collector.count, floor)
    again = self._collect(False, collector, 0, desc)
    return kept._replace(tail=again.tail)

  def _collect(
    self, counts: bool, tail: TailCollector | None, best: int, desc: str
  ) -> Kept:
    """A pass with one guess of where the tail begins."""
    total = np.zeros(keys.NUM_CLASSES, np.int64)
    greatest = BestOfRows(len(self.labels), best) if best else None
    for place, width, kept in self._passes(
      Keep(counts=counts, best=best), tail=tail, best=greatest, desc=desc
    ):
      if counts:
        total += np.asarray(kept['counts']).sum(0, dtype=np.int64)
      if best and 'best' in kept:
        greatest.add_whole(np.asarray(kept['best']))
      elif best:
        for rows, groups in groups_of(kept['tail']):
          greatest.add_groups(rows, groups)
      if tail is not None:
        tail.add(kept['tail'], place, width)
    return Kept(
      total if counts else None,
      tail.result() if tail is not None else None,
      -np.sort(-greatest.scores, axis=1) if best else None,
    )

  def largest(
    self, ranks: Sequence[int], counts: Int[np.ndarray, ' _']
  ) -> tuple[Float[np.ndarray, ' T'], Int[np.ndarray, ' T']]:
    """The exact scores of some ranks, by a second pass.

    Args:
      ranks: 1 is the largest score of all; at most as many as `counts` has.
      counts: by class, of a pass before.

    Returns:
      float32 [T], and how many scores are greater, int64 [T].
    """
    number, before = keys.find_ranks(counts, ranks)
    wanted = np.full(len(ranks), -1)  # one shape for any of them
    wanted[: len(np.unique(number))] = np.unique(number)
    values = np.zeros((len(wanted), keys.NUM_VALUES), np.int64)
    for *_, kept in self._passes(Keep(), wanted=wanted, desc='thresholds'):
      values += np.asarray(kept['values']).sum(0, dtype=np.int64)
    found, greater = np.zeros((2, len(ranks)), np.int64)
    for at, rank in enumerate(ranks):
      within = values[wanted == number[at]][0]
      place, more = keys.find_ranks(within, [int(rank - before[at])])
      found[at] = (number[at] << keys.VALUE_BITS) + place[0]
      greater[at] = before[at] + more[0]
    return keys.scores_of_keys(found.astype(np.uint32)), greater
