"""What is looked up in an index, and what it answers."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from facejax.array_typing import Bool, Float, Int, Int32, UInt8
from facejax.errors import DataError


@dataclasses.dataclass(frozen=True)
class Probes:
  """Faces to look up.

  Attributes:
    embeddings: float32 [Q, D], unit norm; None where only codes are searched.
    logits: float32 [Q, L], hash logits, whose signs are the code; None where
      only vectors are searched.
  """

  embeddings: Float[np.ndarray, 'Q D'] | None = None
  logits: Float[np.ndarray, '_ L'] | None = None

  def __post_init__(self):
    """Checks that both are of the same probes.

    Raises:
      DataError: they are not, or neither is there, or a value is not finite.
    """
    given = [x for x in (self.embeddings, self.logits) if x is not None]
    if not given:
      raise DataError('probes need embeddings, logits or both')
    if len({len(values) for values in given}) > 1:
      raise DataError(
        f'{len(self.embeddings)} embeddings, but {len(self.logits)} logits: '
        'give both of the same probes'
      )
    for values in given:
      bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
      if len(bad):
        raise DataError(f'probe {bad[0]} is not finite: is the model sound?')

  def __len__(self) -> int:
    return len(self.logits if self.embeddings is None else self.embeddings)

  @functools.cached_property
  def codes(self) -> UInt8[np.ndarray, 'Q _'] | None:
    """Codes of the logits, as `ops.hamming.pack_bits`, without a device."""
    if self.logits is None:
      return None
    return np.packbits(self.logits > 0, axis=1, bitorder='little')


@dataclasses.dataclass(frozen=True)
class SearchResult:
  """Answers to Q probes, at most k each, best first.

  Invariant: where a probe has fewer answers, its row ends in rows of -1, scores
  of -inf and distances of -1, and its names and people are shorter.

  Attributes:
    rows: int64 [Q, k], rows of the index at `commit`.
    scores: float32 [Q, k], falling: cosines of the embeddings, or for method
      'hamming' of the codes (1 - 2 distance / L), or for 'asymmetric' of the
      logits and the stored code.
    distances: int32 [Q, k], bits in which codes differ; None where the probes
      or the index have no codes.
    unknown: bool [Q], whether the best answer's score says that the probe is
      nobody of the index; None where no rate was asked for.
    threshold: the score that it must exceed; None likewise.
    full_searches: probes that no code was near enough to, so that all vectors
      were searched (radius rule, spec 5).
    seconds: {'stage_1', 'stage_2'}, of all probes together.
    commit: of the index, that was searched.
  """

  rows: Int[np.ndarray, 'Q k']
  scores: Float[np.ndarray, 'Q k']
  distances: Int32[np.ndarray, 'Q k'] | None
  unknown: Bool[np.ndarray, ' Q'] | None
  threshold: float | None
  full_searches: int
  seconds: dict[str, float]
  commit: int
  _names: Sequence[str] = dataclasses.field(repr=False)
  _people: Sequence[str] = dataclasses.field(repr=False)
  _person: Int32[np.ndarray, ' T'] = dataclasses.field(repr=False)

  def __len__(self) -> int:
    return len(self.rows)

  @functools.cached_property
  def names(self) -> list[list[str]]:
    """Names of the templates, read from the disk when first asked for."""
    return [
      [self._names[row] for row in rows if row >= 0]
      for rows in self.rows.tolist()
    ]

  @functools.cached_property
  def people(self) -> list[list[str]]:
    """Whom they show."""
    return [
      [self._people[self._person[row]] for row in rows if row >= 0]
      for rows in self.rows.tolist()
    ]

  @functools.cached_property
  def person_numbers(self) -> Int32[np.ndarray, 'Q k']:
    """Numbers of these people in the index, -1 where there is no answer."""
    if not len(self._person):
      return np.full(self.rows.shape, -1, np.int32)
    return np.where(self.rows < 0, -1, self._person[self.rows]).astype(np.int32)
