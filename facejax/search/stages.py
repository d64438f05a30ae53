"""The stages of a search and how the methods put them together (spec 5)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from facejax.array_typing import Float, Int, Int32
from facejax.search import people, scan
from facejax.search.query import Query
from facejax.search.results import Probes
from facejax.search.snapshot import Snapshot

# Rows that a search by radius may find for a block of probes: 800 MB.
_FOUND_ROWS = 1 << 26


def _padded_runs(
  rows: Int[np.ndarray, ' M'],
  starts: Int[np.ndarray, ' q'],
  counts: Int[np.ndarray, ' q'],
) -> Int[np.ndarray, 'q c']:
  """rows[starts[i] : starts[i] + counts[i]] for every i; -1 pads."""
  places = np.arange(counts.max())[None, :]
  taken = rows[np.minimum(starts[:, None] + places, len(rows) - 1)]
  return np.where(places < counts[:, None], taken, -1)


class Lookup:
  """One search of one snapshot, with its clock.

  Attributes:
    seconds: spent in each stage so far.
    full_searches: probes for which all vectors were searched under a radius.
  """

  def __init__(self, snapshot: Snapshot, probes: Probes, query: Query):
    """Takes a search that has been checked."""
    self._snapshot, self._probes, self._query = snapshot, probes, query
    self._codes = probes.codes
    self.seconds = {'stage_1': 0.0, 'stage_2': 0.0}
    self.full_searches = 0

  @contextmanager
  def _timed(self, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    self.seconds[stage] += time.perf_counter() - start

  def _nearest(
    self, numbers: Int[np.ndarray, ' q'], count: int, kind: str
  ) -> tuple[Int[np.ndarray, 'q n'], Float[np.ndarray, 'q n']]:
    """Rows by their codes, and scores as `SearchResult` has them."""
    snapshot, bits = self._snapshot, self._snapshot.manifest.bits
    codes, removed = snapshot.code_gallery, snapshot.removed
    if codes is not snapshot.codes:
      removed = None  # the copy on the devices knows
    with self._timed('stage_1'):
      if kind == 'hamming':
        distances, rows = scan.top_hamming(
          self._codes[numbers], codes, count, removed=removed
        )
        scores = (1 - 2 / bits * distances).astype(np.float32)
      else:
        logits = self._probes.logits[numbers]
        scores, rows = scan.top_asymmetric(
          logits, codes, count, removed=removed
        )
        lengths = np.linalg.norm(logits, axis=1, keepdims=True) * bits**0.5
        scores = scores / np.maximum(lengths, np.finfo(np.float32).tiny)
    return rows, np.where(rows < 0, np.float32(-np.inf), scores)

  def _all_vectors(
    self, numbers: Int[np.ndarray, ' q'], count: int
  ) -> tuple[Int[np.ndarray, 'q n'], Float[np.ndarray, 'q n']]:
    snapshot = self._snapshot
    vectors, removed = snapshot.vector_gallery, snapshot.removed
    if vectors is not snapshot.vectors:
      removed = None  # the copy on the devices knows
    with self._timed('stage_2'):
      scores, rows = scan.top_cosine(
        self._probes.embeddings[numbers], vectors, count, removed=removed
      )
    return rows, scores

  def _ranked(
    self,
    numbers: Int[np.ndarray, ' q'],
    candidates: Int[np.ndarray, 'q c'],
    count: int,
  ) -> tuple[Int[np.ndarray, 'q n'], Float[np.ndarray, 'q n']]:
    with self._timed('stage_2'):
      scores, rows = scan.rank_candidates(
        self._probes.embeddings[numbers],
        self._snapshot.vectors,
        candidates,
        count,
      )
    return rows, scores

  def _two_stages(
    self, numbers: Int[np.ndarray, ' q'], count: int
  ) -> tuple[Int[np.ndarray, 'q n'], Float[np.ndarray, 'q n']]:
    candidates, _ = self._nearest(numbers, count, self._query.first_stage)
    return self._ranked(numbers, candidates, count)

  def run(self) -> tuple[Int[np.ndarray, 'Q k'], Float[np.ndarray, 'Q k']]:
    """Rows and scores of the answers; see `SearchResult`."""
    query, everybody = self._query, np.arange(len(self._probes))
    if query.method == 'two_stage' and query.radius is not None:
      return self._within_radius()
    if query.method == 'two_stage':
      start = max(query.candidates, query.top_k)
      return self._best(self._two_stages, everybody, start)
    if query.method == 'float':
      return self._best(self._all_vectors, everybody, query.top_k)
    return self._best(
      lambda numbers, count: self._nearest(numbers, count, query.method),
      everybody,
      query.top_k,
    )

  def _best(
    self, find: people.Find, numbers: Int[np.ndarray, ' q'], start: int
  ) -> tuple[Int[np.ndarray, 'q k'], Float[np.ndarray, 'q k']]:
    """The best templates or people of some probes, padded to top_k."""
    query, snapshot = self._query, self._snapshot
    living = snapshot.num_living
    if query.by_person:
      rows, scores = people.best_people(
        lambda some, count: find(numbers[some], count),
        snapshot.person,
        num_probes=len(numbers),
        k=min(query.top_k, snapshot.num_people),
        start=start,
        limit=living,
      )
    else:
      count = min(start, living)
      rows = np.full((len(numbers), min(query.top_k, count)), -1, np.int64)
      scores = np.full(rows.shape, -np.inf, np.float32)
      for some in people.probe_blocks(np.arange(len(numbers)), count):
        if count:
          found, found_scores = find(numbers[some], count)
          rows[some] = found[:, : rows.shape[1]]
          scores[some] = found_scores[:, : rows.shape[1]]
    return self._padded(rows, scores)

  def _padded(
    self, rows: Int[np.ndarray, 'q n'], scores: Float[np.ndarray, 'q n']
  ) -> tuple[Int[np.ndarray, 'q k'], Float[np.ndarray, 'q k']]:
    more = ((0, 0), (0, self._query.top_k - rows.shape[1]))
    return (
      np.pad(rows, more, constant_values=-1),
      np.pad(scores, more, constant_values=-np.inf),
    )

  def _within_radius(
    self,
  ) -> tuple[Int[np.ndarray, 'Q k'], Float[np.ndarray, 'Q k']]:
    """All rows within the radius ranked; all vectors where there are none."""
    size = max(1, _FOUND_ROWS // max(self._snapshot.num_rows, 1))
    blocks = [
      self._block_within_radius(
        np.arange(start, min(start + size, len(self._probes)))
      )
      for start in range(0, len(self._probes), size)
    ]
    if not blocks:
      return self._padded(np.empty((0, 0), int), np.empty((0, 0), np.float32))
    rows, scores = zip(*blocks, strict=True)
    return np.concatenate(rows), np.concatenate(scores)

  def _block_within_radius(
    self, numbers: Int[np.ndarray, ' q']
  ) -> tuple[Int[np.ndarray, 'q k'], Float[np.ndarray, 'q k']]:
    query, snapshot = self._query, self._snapshot
    with self._timed('stage_1'):
      starts, found, _ = scan.within_hamming(
        self._codes[numbers],
        snapshot.codes,
        query.radius,
        removed=snapshot.removed,
      )
    rows = np.full((len(numbers), query.top_k), -1, np.int64)
    scores = np.full(rows.shape, -np.inf, np.float32)
    empty = np.flatnonzero(np.diff(starts) == 0)
    if len(empty) and snapshot.num_living:
      self.full_searches += len(empty)
      rows[empty], scores[empty] = self._best(
        self._all_vectors, numbers[empty], query.top_k
      )
    counts = np.diff(starts)
    # Together with others of about as many rows, to be padded little.
    order = np.argsort(counts, kind='stable')[len(empty) :]
    for some in people.probe_blocks(order, int(counts.max(initial=0))):
      near = _padded_runs(found, starts[some], counts[some])
      ranked, of = self._ranked(numbers[some], near, near.shape[1])
      wanted = min(query.top_k, near.shape[1])
      if query.by_person:
        shown = np.where(ranked < 0, -1, snapshot.person[ranked])
        places, _ = people.first_of_each(shown, wanted)
      else:
        places = np.tile(np.arange(wanted), (len(some), 1))
      rows[some, :wanted] = people.take(ranked, places, -1)
      scores[some, :wanted] = people.take(of, places, -np.inf)
    return rows, scores

  def distances(
    self, rows: Int[np.ndarray, 'Q k']
  ) -> Int32[np.ndarray, 'Q k'] | None:
    """Bits in which the codes of answers differ from the probe's."""
    codes = self._snapshot.codes
    if codes is None or self._codes is None:
      return None
    distances = np.full(rows.shape, -1, np.int32)
    probe, at = np.nonzero(rows >= 0)
    differing = codes[rows[probe, at]] ^ self._codes[probe]
    distances[probe, at] = np.bitwise_count(differing).sum(1, dtype=np.int32)
    return distances
