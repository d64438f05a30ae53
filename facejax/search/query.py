"""How to search, and whether that can be asked of an index."""

import dataclasses

from facejax.errors import UsageError
from facejax.search.results import Probes
from facejax.search.snapshot import Snapshot

METHODS = ('two_stage', 'hamming', 'asymmetric', 'float')
FIRST_STAGES = ('hamming', 'asymmetric')
DEFAULT_CANDIDATES = 100


@dataclasses.dataclass(frozen=True)
class Query:
  """How to search; the arguments of `FaceIndex.search`."""

  top_k: int
  method: str
  first_stage: str = 'hamming'
  candidates: int = DEFAULT_CANDIDATES
  radius: int | None = None
  by_person: bool = True

  def check(self, snapshot: Snapshot, probes: Probes) -> None:
    """Refuses what the index or the probes cannot answer.

    Raises:
      UsageError: says what is missing, or which argument is wrong.
    """
    if self.method not in METHODS:
      raise UsageError(f'method={self.method!r}: use {", ".join(METHODS)}')
    if self.first_stage not in FIRST_STAGES:
      raise UsageError(
        f'first_stage={self.first_stage!r}: use {", ".join(FIRST_STAGES)}'
      )
    for name in ('top_k', 'candidates'):
      if getattr(self, name) < 1:
        raise UsageError(f'{name}={getattr(self, name)}: use at least 1')
    if self.radius is not None:
      if self.method != 'two_stage' or self.first_stage != 'hamming':
        raise UsageError('radius belongs to two_stage after hamming')
      if self.radius < 0:
        raise UsageError(f'radius={self.radius}: use at least 0')
    self._check_parts(snapshot, probes)

  def _check_parts(self, snapshot: Snapshot, probes: Probes) -> None:
    """Refuses a method whose codes or vectors are not there."""
    for wanted, stored, given, noun, length in (
      (
        self.method != 'float',
        snapshot.codes is not None,
        probes.logits,
        'codes (logits)',
        snapshot.manifest.bits,
      ),
      (
        self.method in ('two_stage', 'float'),
        snapshot.vectors is not None,
        probes.embeddings,
        'vectors (embeddings)',
        snapshot.manifest.embedding_size,
      ),
    ):
      if wanted and not stored:
        raise UsageError(f'method {self.method}: the index has no {noun}')
      if wanted and given is None:
        raise UsageError(f'method {self.method}: the probes have no {noun}')
      if wanted and given.shape[1] != length:
        raise UsageError(
          f'the probes have {noun} of {given.shape[1]}, the index of {length}: '
          'is it the same model?'
        )
