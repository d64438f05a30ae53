"""An index of faces: codes and vectors on disk, searched in two stages."""

from collections.abc import Sequence

import numpy as np

from facejax.errors import DataError, UsageError
from facejax.search import unknown
from facejax.search.query import DEFAULT_CANDIDATES, Query
from facejax.search.results import Probes, SearchResult
from facejax.search.snapshot import Snapshot
from facejax.search.stages import Lookup
from facejax.search.stored_index import StoredIndex

# The kind of score by which a method ranks.
_KINDS = {
  'two_stage': 'cosine',
  'float': 'cosine',
  'hamming': 'hamming',
  'asymmetric': 'asymmetric',
}
RECALL_AT = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class FaceIndex(StoredIndex):
  """Templates by name and person: a code, a vector, or both.

    with FaceIndex.create('index', bits=128, embedding_size=512) as index:
      index.add(names, people, codes, embeddings)
      found = index.search(Probes(embeddings, logits), top_k=5)

  Any number of processes may have an index open for reading, one of them for
  writing. A reader searches the commit that it opened until `refresh`. Every
  call that changes the index is one commit: it is on the disk when the call
  returns, and if the process or the machine dies before, nothing of it is. An
  object may be used from several threads.

  Attributes:
    path: the folder.
  """

  @property
  def default_method(self) -> str:
    """What `search` does unless told: two stages, if there are both."""
    if not self.bits:
      return 'float'
    return 'hamming' if self.vectors == 'none' else 'two_stage'

  def search(
    self,
    probes: Probes,
    *,
    top_k: int = 5,
    method: str | None = None,
    first_stage: str = 'hamming',
    candidates: int | None = None,
    radius: int | None = None,
    by_person: bool = True,
    fpir: float | None = None,
  ) -> SearchResult:
    """Looks faces up; ties go to the lower row.

    The methods are 'hamming' (the nearest codes), 'asymmetric' (the largest
    product of logits and stored +-1 bits), 'float' (the largest cosine of all)
    and 'two_stage': the best candidates by one of the first two, ranked by
    cosine. With as many candidates as templates that is 'float', to the bit.

    Args:
      probes: Q faces.
      top_k: answers wanted for each.
      method: see above; None takes `default_method`.
      first_stage: of two stages, 'hamming' or 'asymmetric'.
      candidates: templates that the first stage keeps, 100 unless told, or
        top_k if that is more. By person twice as many are kept, and so on, for
        probes whose candidates show fewer than top_k people.
      radius: instead of a number, keeps every template within this Hamming
        distance; a probe that has none is looked up among all vectors, and
        counted (spec 5).
      by_person: gives people, each by the best of its templates; otherwise
        templates.
      fpir: says of each probe whether it is unknown, so that this share of
        strangers is taken for somebody; needs `calibrate`.

    Raises:
      UsageError: the index, the probes or the calibration cannot answer that.
    """
    snapshot = self.snapshot
    if radius is not None and candidates is not None:
      raise UsageError('candidates and radius are two rules: give one')
    query = Query(
      top_k=top_k,
      method=method or self.default_method,
      first_stage=first_stage,
      candidates=DEFAULT_CANDIDATES if candidates is None else candidates,
      radius=radius,
      by_person=by_person,
    )
    query.check(snapshot, probes)
    threshold = None
    if fpir is not None:
      threshold = self.threshold_at(fpir, method=query.method)
    lookup = Lookup(snapshot, probes, query)
    rows, scores = lookup.run()
    return SearchResult(
      rows=rows,
      scores=scores,
      distances=lookup.distances(rows),
      unknown=None if threshold is None else ~(scores[:, 0] > threshold),
      threshold=threshold,
      full_searches=lookup.full_searches,
      seconds=lookup.seconds,
      commit=snapshot.manifest.commit,
      _names=snapshot.names,
      _people=snapshot.people,
      _person=snapshot.person,
    )

  def recall(
    self,
    probes: Probes,
    *,
    candidates: Sequence[int] = RECALL_AT,
    first_stage: str = 'hamming',
    by_person: bool = True,
  ) -> dict[int, float]:
    """Share of probes for which two stages give the answer of all vectors.

    Args:
      probes: Q faces, at least one.
      candidates: numbers of candidates to try.
      first_stage: 'hamming' or 'asymmetric'.
      by_person: whether the same person is enough, whichever template.

    Returns:
      By number of candidates; never more than 1, and 1 for as many candidates
      as there are templates.

    Raises:
      UsageError: no probes, or the index has no codes or no vectors.
    """
    if not len(probes):
      raise UsageError('recall needs at least one probe')

    def answers(**method) -> np.ndarray:
      found = self.search(probes, top_k=1, by_person=by_person, **method)
      return found.person_numbers if by_person else found.rows

    exact = answers(method='float')
    return {
      count: float(
        np.mean(
          exact
          == answers(
            method='two_stage', first_stage=first_stage, candidates=count
          )
        )
      )
      for count in candidates
    }

  def calibrate(self, probes: Probes) -> unknown.Calibration:
    """Learns from strangers what scores they reach, and commits that.

    All kinds of scores that the index and the probes have are calibrated; two
    stages go by that of the whole search, which strangers exceed no more often.

    Args:
      probes: faces of people who are not in the index; the more people, the
        smaller the rates that can be asked for.

    Raises:
      UsageError: nobody is in the index, no probes, or open for reading.
    """
    with self._lock:
      snapshot = self.snapshot
      if not len(probes) or not snapshot.num_living:
        raise UsageError(
          f'calibration needs strangers and an index with somebody in it: '
          f'{len(probes)} probes, {snapshot.num_living} templates'
        )
      calibration = unknown.Calibration(
        people=snapshot.num_people,
        templates=snapshot.num_living,
        scores=_best_scores(snapshot, probes),
      )
      self._store.commit_calibration(
        calibration.to_bytes(), **calibration.about()
      )
      self._changed()
      return calibration

  @property
  def calibration(self) -> unknown.Calibration | None:
    """What `calibrate` has learned, None if it was never called."""
    with self._lock:
      if self._store.manifest.calibration is None:
        return None
      content = self._store.calibration()
      try:
        return unknown.read_calibration(
          self._store.manifest.calibration, content
        )
      except DataError as error:
        raise DataError(f'{self.path}: {error}') from None

  def threshold_at(self, fpir: float, *, method: str | None = None) -> float:
    """The score that the best answer must exceed; see `unknown.threshold_at`.

    Args:
      fpir: share of strangers that may be taken for somebody.
      method: of the search, whose scores are meant; None as in `search`.

    Raises:
      UsageError: not calibrated, or a rate that cannot be told.
    """
    calibration = self.calibration
    if calibration is None:
      raise UsageError(
        f'{self.path} has no calibration for fpir: build_index --calibration '
        'with faces of people who are not in it'
      )
    kind = _KINDS[method or self.default_method]
    return unknown.threshold_at(calibration, kind, fpir, people=self.num_people)


def _best_scores(snapshot: Snapshot, probes: Probes) -> dict[str, np.ndarray]:
  """Best score of every probe by kind, falling."""
  methods = []
  if snapshot.vectors is not None and probes.embeddings is not None:
    methods.append('float')
  if snapshot.codes is not None and probes.logits is not None:
    methods += ['hamming', 'asymmetric']
  scores = {}
  for method in methods:
    query = Query(top_k=1, method=method, by_person=False)
    query.check(snapshot, probes)
    _, best = Lookup(snapshot, probes, query).run()
    scores[_KINDS[method]] = -np.sort(-best[:, 0])
  if not scores:
    raise UsageError('the probes have neither what the index has: give both')
  return scores
