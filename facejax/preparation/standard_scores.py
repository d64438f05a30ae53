"""Standard scores of many faces against many, in blocks, on the accelerator.

No block holds more than 17 million scores, whatever the sizes of the sets.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from facejax.array_typing import Float, Int
from facejax.preparation.strangers import Spread, one_sided

_SCORES = 1 << 24  # of one block, 64 MB
_SAMPLE = 1 << 22  # scores from which a tail is fitted


class Nearest(NamedTuple):
  """For every row the column that it resembles most.

  Attributes:
    place: int32 [B], number of the column.
    score: float32 [B], the standard score.
    cosine: float32 [B].
  """

  place: np.ndarray
  score: np.ndarray
  cosine: np.ndarray


@functools.partial(jax.jit, static_argnames='two_sided')
def _scores(rows, row_spread, columns, column_spread, own, *, two_sided):
  """Standard scores and cosines [B, K]; -inf where a row meets its own."""
  cosines = jnp.matmul(rows, columns.T, precision=jax.lax.Precision.HIGHEST)
  mean, deviation, count = row_spread
  scores = one_sided(cosines, mean[:, None], deviation[:, None], count)
  if two_sided:
    mean, deviation, count = column_spread
    other = one_sided(cosines, mean[None], deviation[None], count)
    scores = 0.5 * (scores + other)
  is_own = own[:, None] == jnp.arange(len(columns))[None]
  return jnp.where(is_own, -jnp.inf, scores), cosines


@functools.partial(jax.jit, static_argnames='two_sided')
def _nearest(rows, row_spread, columns, column_spread, own, *, two_sided):
  """Place, score and cosine of the best column of every row."""
  scores, cosines = _scores(
    rows, row_spread, columns, column_spread, own, two_sided=two_sided
  )
  place = jnp.argmax(scores, 1)
  chosen = place[:, None]
  return (
    place.astype(jnp.int32),
    jnp.take_along_axis(scores, chosen, 1)[:, 0],
    jnp.take_along_axis(cosines, chosen, 1)[:, 0],
  )


class Scorer:
  """Standard scores of any rows against the same columns, in blocks."""

  def __init__(
    self, columns: Float[np.ndarray, 'K D'], column_spread: Spread | None = None
  ):
    """Without `column_spread` only the rows' strangers count."""
    self.two_sided = column_spread is not None
    self._columns = jnp.asarray(columns)
    if column_spread is None:
      zeros = np.zeros(len(columns), np.float32)
      column_spread = Spread(zeros, zeros, 0)
    self._column_spread = _as_arrays(column_spread)
    self.block = max(1, min(1 << 13, _SCORES // len(columns)))

  def _arguments(
    self,
    rows: Float[np.ndarray, 'B D'],
    row_spread: Spread,
    own: Int[np.ndarray, ' B'] | None,
    size: int,
  ) -> tuple:
    """Rows padded to one size, which means one compilation."""
    own = np.full(len(rows), -1, np.int32) if own is None else own
    missing = size - len(rows)
    mean, deviation, count = row_spread
    return (
      np.pad(rows, ((0, missing), (0, 0))),
      _as_arrays(
        Spread(
          np.pad(mean, (0, missing)),
          np.pad(deviation, (0, missing), constant_values=1),
          count,
        )
      ),
      self._columns,
      self._column_spread,
      np.pad(np.asarray(own, np.int32), (0, missing), constant_values=-1),
    )

  def _parts(
    self, rows: np.ndarray, row_spread: Spread, own: np.ndarray | None
  ) -> Iterator[tuple[slice, tuple]]:
    size = min(self.block, 1 << max(0, len(rows) - 1).bit_length())
    for start in range(0, len(rows), size):
      part = slice(start, min(start + size, len(rows)))
      yield (
        part,
        self._arguments(
          rows[part],
          row_spread.take(part),
          None if own is None else own[part],
          size,
        ),
      )

  def nearest(
    self,
    rows: Float[np.ndarray, 'B D'],
    row_spread: Spread,
    own: Int[np.ndarray, ' B'] | None = None,
  ) -> Nearest:
    """The best column of every row, other than its own.

    Args:
      rows: float32 [B, D], unit norm, any number.
      row_spread: theirs.
      own: int [B], the column that is no stranger to a row, or -1.
    """
    blocks = []
    for part, arguments in self._parts(rows, row_spread, own):
      found = _nearest(*arguments, two_sided=self.two_sided)
      count = part.stop - part.start
      blocks.append([np.asarray(values)[:count] for values in found])
    return Nearest(*map(np.concatenate, zip(*blocks, strict=True)))

  def scores(
    self,
    rows: Float[np.ndarray, 'B D'],
    row_spread: Spread,
    own: Int[np.ndarray, ' B'] | None = None,
  ) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Yields standard scores and cosines [b, K] of some rows at a time."""
    for part, arguments in self._parts(rows, row_spread, own):
      scores, cosines = _scores(*arguments, two_sided=self.two_sided)
      count = part.stop - part.start
      yield part, np.asarray(scores)[:count], np.asarray(cosines)[:count]

  def sampled(
    self,
    rows: Float[np.ndarray, 'B D'],
    row_spread: Spread,
    own: Int[np.ndarray, ' B'] | None = None,
  ) -> Float[np.ndarray, ' P']:
    """All scores of some rows, those with their own left out."""
    parts = [
      scores.ravel() for _, scores, _ in self.scores(rows, row_spread, own)
    ]
    scores = np.concatenate(parts)
    return scores[np.isfinite(scores)]

  def sample_places(self, num_rows: int) -> Int[np.ndarray, ' B']:
    """Rows, evenly spaced, whose scores are enough to fit a tail."""
    count = min(num_rows, max(1, _SAMPLE // len(self._columns)))
    return np.linspace(0, num_rows - 1, count).astype(np.int64)


def _as_arrays(value: Spread) -> tuple:
  """A spread as arguments of a jitted function; `count` is no constant."""
  return value.mean, value.deviation, np.float32(value.count)
