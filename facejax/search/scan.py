"""Exact search in a gallery, on whatever it runs on.

On CPU by popcounts and matrix products on all cores, on GPU and TPU by matrix
products on all devices; rows, distances and scores are the same to the bit.
Every function returns the best first, ties to the lower row, and where a
gallery has fewer than k rows, pads with the row -1. Several threads may search
at once. Arrays may be maps of files, read-only, of any size: nothing of the
size of a gallery is allocated on CPU.

Where a gallery is searched more than once on GPU or TPU, hand over a
`DeviceCodes` or `DeviceVectors` in the place of its arrays: an array is moved
to the devices by every call.
"""

import jax
import numpy as np

from facejax.array_typing import Bool, Float, Int32, Int64, Shaped
from facejax.search import asymmetric, checks, cosine, hamming
from facejax.search.device import DeviceCodes, DeviceVectors
from facejax.search.vectors import StoredVectors

Array = Shaped[np.ndarray, '...']
Codes = Array | DeviceCodes
Vectors = StoredVectors | DeviceVectors
Removed = Bool[np.ndarray, '...'] | None
Scores = tuple[Float[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]


def _on_device(gallery: Codes | Vectors, platform: str | None) -> bool:
  checks.check_platform(platform)
  if platform is None:
    kept = isinstance(gallery, DeviceCodes | DeviceVectors)
    return kept or jax.default_backend() != 'cpu'
  return platform == 'device'


def _opened_codes(codes: Codes, removed: Removed) -> tuple[np.ndarray, Removed]:
  """(codes, rows removed) on the host."""
  kept = isinstance(codes, DeviceCodes)
  array = codes.codes if kept else codes
  checks.check_gallery(array)
  checks.check_removed(removed, len(array))
  return array, codes.removed if kept and removed is None else removed


def _opened_vectors(
  vectors: Vectors, removed: Removed
) -> tuple[StoredVectors, Removed]:
  """(vectors, rows removed) on the host."""
  kept = isinstance(vectors, DeviceVectors)
  stored = vectors.vectors if kept else vectors
  checks.check_size(len(stored))
  checks.check_removed(removed, len(stored))
  return stored, vectors.removed if kept and removed is None else removed


def top_hamming(
  probes: Array,
  codes: Codes,
  k: int,
  *,
  removed: Removed = None,
  platform: str | None = None,
) -> tuple[Int32[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]:
  """The k rows of least Hamming distance to each probe.

  Args:
    probes: uint8 [Q, bytes].
    codes: uint8 [T, bytes], or `DeviceCodes`.
    k: rows wanted, 1 or more; more than T pads.
    removed: bool [T], rows that are not found.
    platform: 'cpu' or 'device'; default by where JAX runs.

  Returns:
    distances int32 and rows int64 [Q, k]; L + 1 and -1 pad.

  Raises:
    DataError: types or shapes that do not fit.
    UsageError: k below 1, or an unknown platform.
  """
  checks.check_k(k)
  on_device = _on_device(codes, platform)
  array, gone = _opened_codes(codes, removed)
  checks.check_codes(probes, array)
  if not on_device:
    return hamming.top_hamming(probes, array, k, removed=gone)
  if not isinstance(codes, DeviceCodes):
    codes = DeviceCodes(array, removed=gone)
  return codes.top_hamming(probes, k, removed=removed)


def within_hamming(
  probes: Array, codes: Codes, radius: int, *, removed: Removed = None
) -> tuple[
  Int64[np.ndarray, ' starts'],
  Int64[np.ndarray, ' M'],
  Int32[np.ndarray, ' M'],
]:
  """All rows within a Hamming distance of each probe; always on CPU.

  Args:
    probes: uint8 [Q, bytes].
    codes: uint8 [T, bytes], or `DeviceCodes`.
    radius: largest distance, 0 or more.
    removed: bool [T], rows that are not found.

  Returns:
    starts int64 [Q + 1], rows int64 [M], distances int32 [M]: those of probe q
    are rows[starts[q] : starts[q + 1]], by distance, then row.

  Raises:
    DataError: types or shapes that do not fit.
    UsageError: a negative radius.
  """
  checks.check_radius(radius)
  array, gone = _opened_codes(codes, removed)
  checks.check_codes(probes, array)
  return hamming.within_hamming(probes, array, radius, removed=gone)


def top_asymmetric(
  logits: Array,
  codes: Codes,
  k: int,
  *,
  removed: Removed = None,
  platform: str | None = None,
) -> Scores:
  """The k rows of greatest sum_l u_l * (+1 where bit l is set, else -1).

  The sum is taken in float64, and rounded to float32 once; rows are in the
  order of that rounded score.

  Args:
    logits: float32 [Q, L], finite: u of the probes.
    codes: uint8 [T, L / 8], or `DeviceCodes`.
    k: rows wanted, 1 or more; more than T pads.
    removed: bool [T], rows that are not found.
    platform: 'cpu' or 'device'; default by where JAX runs.

  Returns:
    scores float32 and rows int64 [Q, k]; -inf and -1 pad.

  Raises:
    DataError: types or shapes that do not fit, or logits that are not finite
      or have no finite sum.
    UsageError: k below 1, or an unknown platform.
  """
  checks.check_k(k)
  on_device = _on_device(codes, platform)
  array, gone = _opened_codes(codes, removed)
  checks.check_logits(logits, array.shape[1])
  if not on_device:
    return asymmetric.top_asymmetric(logits, array, k, removed=gone)
  if not isinstance(codes, DeviceCodes):
    codes = DeviceCodes(array, removed=gone)
  return codes.top_asymmetric(logits, k, removed=removed)


def top_cosine(
  probes: Array,
  vectors: Vectors,
  k: int,
  *,
  removed: Removed = None,
  platform: str | None = None,
) -> Scores:
  """The k rows of greatest cosine with each probe.

  The score of a pair has the same bits here and in `rank_candidates`, in any
  batch: it is summed in float32 in an order that depends on D alone, and the
  rounding of what finds the best rows is allowed for by its bound.

  Args:
    probes: float32 [Q, D], unit norm.
    vectors: of the gallery, or `DeviceVectors`.
    k: rows wanted, 1 or more; more than T pads.
    removed: bool [T], rows that are not found.
    platform: 'cpu' or 'device'; default by where JAX runs.

  Returns:
    scores float32 and rows int64 [Q, k]; -inf and -1 pad.

  Raises:
    DataError: types or shapes that do not fit, or a probe that is not finite
      or has not unit norm.
    UsageError: k below 1, or an unknown platform.
  """
  checks.check_k(k)
  on_device = _on_device(vectors, platform)
  stored, gone = _opened_vectors(vectors, removed)
  checks.check_probes(probes, stored.size)
  if not on_device:
    return cosine.top_cosine(probes, stored, k, removed=gone)
  if not isinstance(vectors, DeviceVectors):
    vectors = DeviceVectors(stored, removed=gone)
  return vectors.top_cosine(probes, k, removed=removed)


def rank_candidates(
  probes: Array, vectors: Vectors, candidates: Array, k: int
) -> Scores:
  """The k best by cosine among some rows for each probe; always on CPU.

  Args:
    probes: float32 [Q, D], unit norm.
    vectors: of the gallery, or `DeviceVectors`.
    candidates: int64 [Q, c], in any order, repeated or not; -1 is none.
    k: rows wanted, 1 or more; more than there are candidates pads.

  Returns:
    scores float32 and rows int64 [Q, k]; -inf and -1 pad.

  Raises:
    DataError: types or shapes that do not fit, a probe that is not finite or
      has not unit norm, or a row that the gallery does not have.
    UsageError: k below 1.
  """
  checks.check_k(k)
  stored, _ = _opened_vectors(vectors, None)
  checks.check_probes(probes, stored.size)
  checks.check_candidates(candidates, len(probes), len(stored))
  return cosine.rank_candidates(probes, stored, candidates, k)
