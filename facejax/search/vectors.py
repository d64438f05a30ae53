"""Vectors for the second stage, as they are stored."""

import dataclasses

import numpy as np

from facejax.array_typing import Float, Int, Shaped
from facejax.errors import DataError, UsageError

DTYPES = ('float32', 'float16', 'int8')
_INT8_MAX = 127
# Of the norm of what is stored: float16 loses 2^-11 of every value.
NORM_TOLERANCE = 1e-3


@dataclasses.dataclass(frozen=True)
class StoredVectors:
  """Vectors of unit norm, up to the rounding of their type.

  The vector of row t is values[t], or values[t] * factors[t] for int8.

  Attributes:
    values: float32, float16 or int8 [T, D]; an array or a map of a file.
    factors: float32 [T] for int8, else None.

  Raises:
    DataError: another type or shape, or factors that do not belong to it.
  """

  values: np.ndarray
  factors: np.ndarray | None = None

  def __post_init__(self):
    if self.values.ndim != 2 or self.values.dtype.name not in DTYPES:
      raise DataError(
        f'vectors: got {self.values.dtype} {list(self.values.shape)}; give '
        f'[T, D] of {", ".join(DTYPES)}'
      )
    if (self.values.dtype == np.int8) != (self.factors is not None):
      raise DataError('vectors: int8 values need factors, floats have none')
    if self.factors is not None and (
      self.factors.dtype != np.float32
      or self.factors.shape != self.values.shape[:1]
    ):
      raise DataError(
        f'vectors: factors must be float32 [{len(self.values)}], got '
        f'{self.factors.dtype} {list(self.factors.shape)}'
      )

  def __len__(self) -> int:
    return len(self.values)

  @property
  def size(self) -> int:
    """D, values of a vector."""
    return self.values.shape[1]

  @property
  def bytes_per_vector(self) -> int:
    """Bytes of a vector and its factor."""
    factor = 0 if self.factors is None else self.factors.itemsize
    return self.size * self.values.itemsize + factor

  def take(self, rows: Int[np.ndarray, ' N'] | slice) -> 'StoredVectors':
    """Some of the vectors, as they are stored."""
    factors = None if self.factors is None else self.factors[rows]
    return StoredVectors(self.values[rows], factors)

  def decode(
    self, rows: Int[np.ndarray, ' N'] | slice
  ) -> Float[np.ndarray, 'N D']:
    """The vectors of some rows, float32 [N, D]."""
    vectors = np.asarray(self.values[rows], np.float32)
    if self.factors is None:
      return vectors
    return vectors * self.factors[rows][:, None]


def store_vectors(
  embeddings: Float[np.ndarray, 'T D'], dtype: str
) -> StoredVectors:
  """Rounds embeddings to the type that they are stored in.

  int8 values are round(127 * x / max|x|) of each row, its factor one over
  their norm, so that the vector has unit norm again.

  Args:
    embeddings: float32, unit norm.
    dtype: one of `DTYPES`.

  Raises:
    UsageError: an unknown type.
    DataError: a vector that has not unit norm, or is not finite.
  """
  if dtype not in DTYPES:
    raise UsageError(f'vectors={dtype!r}: give one of {", ".join(DTYPES)}')
  embeddings = np.asarray(embeddings, np.float32)
  check_unit_norm(embeddings, 'embeddings')
  if dtype != 'int8':
    return StoredVectors(embeddings.astype(dtype))
  largest = np.abs(embeddings).max(axis=1, keepdims=True, initial=0)
  values = np.rint(embeddings * (_INT8_MAX / largest)).astype(np.int8)
  norms = np.linalg.norm(values.astype(np.float64), axis=1)
  return StoredVectors(values, (1 / norms).astype(np.float32))


def check_unit_norm(vectors: Shaped[np.ndarray, 'N D'], what: str) -> None:
  """Raises DataError for the first vector that has not unit norm."""
  squares = np.einsum('nd,nd->n', vectors, vectors)
  # Not written the other way round, so that NaN is found as well.
  wrong = ~(np.abs(squares - 1) <= 2 * NORM_TOLERANCE)
  if wrong.any():
    row = int(np.argmax(wrong))
    raise DataError(
      f'{what}: row {row} has norm {np.sqrt(squares[row]):.4g}; give finite '
      'vectors of unit norm'
    )
