"""What a search refuses, in one line."""

import numpy as np

from facejax.array_typing import Int, Shaped
from facejax.errors import DataError, UsageError
from facejax.ops.hamming import BITS_PER_BYTE
from facejax.search.selection import MAX_ROWS
from facejax.search.vectors import check_unit_norm

PLATFORMS = ('cpu', 'device')


def check_k(k: int) -> None:
  """Raises UsageError for a number of rows below 1."""
  if k < 1:
    raise UsageError(f'k={k}: give 1 or more')


def check_radius(radius: int) -> None:
  """Raises UsageError for a negative distance."""
  if radius < 0:
    raise UsageError(f'radius={radius}: give 0 or more')


def check_platform(platform: str | None) -> None:
  """Raises UsageError for an unknown platform."""
  if platform is not None and platform not in PLATFORMS:
    raise UsageError(
      f'platform={platform!r}: give one of {", ".join(PLATFORMS)}'
    )


def _check_matrix(array: Shaped[np.ndarray, '...'], dtype: str, what: str):
  if array.ndim != 2 or array.dtype != dtype or array.shape[1] < 1:
    raise DataError(
      f'{what}: got {array.dtype} {list(array.shape)}; give {dtype} [N, size]'
    )


def check_codes(
  probes: Shaped[np.ndarray, '...'], codes: Shaped[np.ndarray, '...']
) -> None:
  """Raises DataError unless both are codes of the same number of bytes."""
  _check_matrix(probes, 'uint8', 'probes')
  check_gallery(codes)
  if probes.shape[1] != codes.shape[1]:
    raise DataError(
      f'probes of {BITS_PER_BYTE * probes.shape[1]} bits cannot be compared '
      f'with codes of {BITS_PER_BYTE * codes.shape[1]}'
    )


def check_gallery(codes: Shaped[np.ndarray, '...']) -> None:
  """Raises DataError unless these are codes that can be searched."""
  _check_matrix(codes, 'uint8', 'codes')
  check_size(len(codes))


def check_size(num_rows: int) -> None:
  """Raises DataError for a gallery of more rows than a search can number."""
  if num_rows > MAX_ROWS:
    raise DataError(
      f'a gallery of {num_rows:,} rows: search at most {MAX_ROWS:,} at once'
    )


def check_floats(
  probes: Shaped[np.ndarray, '...'], size: int, what: str
) -> None:
  """Raises DataError unless probes are finite float32 [Q, size]."""
  _check_matrix(probes, 'float32', what)
  if probes.shape[1] != size:
    raise DataError(
      f'{what} of {probes.shape[1]} values cannot be compared with a gallery '
      f'of {size}'
    )
  finite = np.isfinite(probes).all(axis=1)
  if not finite.all():
    raise DataError(f'{what}: row {int(np.argmin(finite))} is not finite')


def check_logits(logits: Shaped[np.ndarray, '...'], num_bytes: int) -> None:
  """Raises DataError unless these are float32 [Q, L] with scores in range."""
  check_floats(logits, BITS_PER_BYTE * num_bytes, 'logits')
  sums = np.abs(logits).sum(axis=1, dtype=np.float64)
  large = sums > np.finfo(np.float32).max
  if large.any():
    raise DataError(
      f'logits: those of row {int(np.argmax(large))} are too large'
    )


def check_probes(probes: Shaped[np.ndarray, '...'], size: int) -> None:
  """Raises DataError unless probes are finite unit vectors float32 [Q, D]."""
  check_floats(probes, size, 'probes')
  check_unit_norm(probes, 'probes')


def check_removed(
  removed: Shaped[np.ndarray, '...'] | None, num_rows: int
) -> None:
  """Raises DataError for a mask of another length."""
  if removed is None:
    return
  if removed.shape != (num_rows,) or removed.dtype != bool:
    raise DataError(
      f'removed: got {removed.dtype} {list(removed.shape)}; give one bool for '
      f'each of the {num_rows} rows'
    )


def check_candidates(
  candidates: Int[np.ndarray, '...'], num_probes: int, num_rows: int
) -> None:
  """Raises DataError unless these are rows, or -1, for every probe."""
  if candidates.ndim != 2 or len(candidates) != num_probes:
    raise DataError(
      f'candidates: got {list(candidates.shape)}; give [{num_probes}, c], as '
      'there are so many probes'
    )
  if candidates.size and not (
    candidates.min() >= -1 and candidates.max() < num_rows
  ):
    raise DataError(
      f'candidates: rows {candidates.min()} to {candidates.max()}; give 0 to '
      f'{num_rows - 1}, or -1 for none'
    )
