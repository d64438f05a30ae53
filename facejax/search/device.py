"""Galleries that stay on the GPUs or TPUs between searches.

Hamming distances come from the product of +-1 vectors, exactly: bfloat16 holds
+1 and -1, and float32 every partial sum, whole numbers of at most L < 2^24.
Scores of floats are only as exact as the device's product. So a few more rows
than wanted come back, are scored again by the kernels of the CPU, and their
answer is taken where the bound of the rounding proves it; where it does not
(many rows of almost the same score), the CPU searches for that probe.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from facejax.array_typing import Array, Bool, Float, Int32, Int64, UInt8
from facejax.ops import hamming as hamming_ops
from facejax.search import asymmetric, cosine, device_scan
from facejax.search.vectors import StoredVectors

_PROBES = 1024
_LEAST_PROBES = 8
# Rows beyond those wanted that are scored again.
_SPARE_ROWS = 32
_SLACK = 8  # of a device's float32 product over the CPU's bound

Found = tuple[Float[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]
Removed = Bool[np.ndarray, ' T'] | None


def _hamming_cost(probes: Array, tile: tuple[Array]) -> Array:
  """(L - product of the signs) / 2, int32."""
  bits = probes.shape[1]
  signs = hamming_ops.unpack_bits(tile[0], bits).astype(probes.dtype)
  product = jnp.einsum(
    'ql,rl->qr', probes, signs, preferred_element_type=jnp.float32
  )
  return (bits - product.astype(jnp.int32)) // 2


def _product(probes: Array, rows: Array) -> Array:
  return jnp.einsum('qd,rd->qr', probes, rows, precision=lax.Precision.HIGHEST)


def _asymmetric_cost(probes: Array, tile: tuple[Array]) -> Array:
  signs = hamming_ops.unpack_bits(tile[0], probes.shape[1])
  return -_product(probes, signs.astype(jnp.float32))


def _cosine_cost(probes: Array, tile: tuple[Array, ...]) -> Array:
  vectors = tile[0].astype(jnp.float32)
  if len(tile) > 1:
    vectors = vectors * tile[1][:, None]
  return -_product(probes, vectors)


class _Gallery:
  """Arrays of a gallery on all devices, searched by blocks of probes."""

  def __init__(
    self,
    arrays: Sequence[np.ndarray],
    removed: Removed,
    devices: Any,
  ):
    self._length = len(arrays[0])
    self._mesh = device_scan.make_mesh(devices)
    self._arrays = tuple(device_scan.place_rows(a, self._mesh) for a in arrays)
    self._live = self._place_live(removed)

  def __len__(self) -> int:
    return self._length

  @property
  def platform(self) -> str:
    """'cpu', 'gpu' or 'tpu'."""
    return self._mesh.devices.flat[0].platform

  def _place_live(self, removed: Removed) -> Array:
    live = np.ones(self._length, bool) if removed is None else ~removed
    return device_scan.place_rows(live, self._mesh)

  def search(
    self,
    probes: np.ndarray,
    k: int,
    cost_of: Callable[..., Array],
    worst: float | int,
    removed: Removed,
  ) -> tuple[np.ndarray, np.ndarray]:
    """(costs [Q, k], rows int64 [Q, k]); `worst` and -1 pad."""
    live = self._live if removed is None else self._place_live(removed)
    found = []
    for start in range(0, len(probes), _PROBES):
      block = probes[start : start + _PROBES]
      size = device_scan.round_up(len(block), _LEAST_PROBES)
      padded = np.zeros((size, block.shape[1]), block.dtype)
      padded[: len(block)] = block
      costs, rows = device_scan.scan_devices(
        padded, self._arrays, live, cost_of=cost_of, worst=worst,
        top_k=device_scan.round_up(k, 1), mesh=self._mesh,
      )  # fmt: skip
      found.append((costs[: len(block), :k], rows[: len(block), :k]))
    # All blocks are queued before the first answer is fetched.
    found = jax.device_get(found)
    costs, rows = (np.concatenate(parts) for parts in zip(*found, strict=True))
    rows = rows.astype(np.int64)
    rows[rows == device_scan.NO_ROW] = -1
    return costs, rows


def _certify(
  approximate: tuple[np.ndarray, np.ndarray],
  exact: Found,
  error: np.ndarray | np.floating,
  search: Callable[[np.ndarray], Found],
) -> Found:
  """Exact answers where the bound proves them, else those of a search.

  Args:
    approximate: (scores [Q, n], rows [Q, n]) of a device, best first.
    exact: scored again, [Q, k].
    error: bound of |approximate - exact|, of each probe or all.
    search: numbers of probes -> their exact answers.
  """
  scores, rows = exact
  beyond, last = approximate[0][:, -1], approximate[1][:, -1]
  proved = (last < 0) | (beyond + error < scores[:, -1])
  if not proved.all():
    unproved = np.flatnonzero(~proved)
    scores[unproved], rows[unproved] = search(unproved)
  return scores, rows


class DeviceCodes:
  """Codes on all devices of this process; `codes` is the caller's array.

  Args:
    codes: uint8 [T, L / 8]; must not change.
    removed: bool [T], rows that no search returns.
    devices: default all of this process.
  """

  def __init__(
    self,
    codes: UInt8[np.ndarray, 'T bytes'],
    *,
    removed: Removed = None,
    devices: Any = None,
  ):
    self.codes, self.removed = codes, removed
    self._gallery = _Gallery([codes], removed, devices)

  def __len__(self) -> int:
    return len(self.codes)

  def top_hamming(
    self,
    probes: UInt8[np.ndarray, 'Q bytes'],
    k: int,
    *,
    removed: Removed = None,
  ) -> tuple[Int32[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]:
    """See `scan.top_hamming`; `removed` stands in for that of the gallery."""
    bits = hamming_ops.BITS_PER_BYTE * probes.shape[1]
    on_cpu = self._gallery.platform == 'cpu'
    signs = 2 * np.unpackbits(probes, axis=1, bitorder='little').astype(np.int8)
    signs = (signs - 1).astype(np.float32 if on_cpu else jnp.bfloat16)
    return self._gallery.search(signs, k, _hamming_cost, bits + 1, removed)

  def top_asymmetric(
    self,
    logits: Float[np.ndarray, 'Q L'],
    k: int,
    *,
    removed: Removed = None,
  ) -> Found:
    """See `scan.top_asymmetric`."""
    costs, rows = self._gallery.search(
      logits, k + _SPARE_ROWS, _asymmetric_cost, float('inf'), removed
    )
    gone = self.removed if removed is None else removed
    sizes = np.abs(logits).sum(axis=1)
    error = _SLACK * cosine.score_error(logits.shape[1]) * sizes
    return _certify(
      (-costs, rows),
      asymmetric.rank_codes(logits, self.codes, rows, k),
      error,
      lambda some: asymmetric.top_asymmetric(
        logits[some], self.codes, k, removed=gone
      ),
    )


class DeviceVectors:
  """Vectors on all devices of this process; `vectors` are the caller's.

  Args:
    vectors: must not change.
    removed: bool [T], rows that no search returns.
    devices: default all of this process.
  """

  def __init__(
    self,
    vectors: StoredVectors,
    *,
    removed: Removed = None,
    devices: Any = None,
  ):
    self.vectors, self.removed = vectors, removed
    arrays = [vectors.values]
    if vectors.factors is not None:
      arrays.append(vectors.factors)
    self._gallery = _Gallery(arrays, removed, devices)

  def __len__(self) -> int:
    return len(self.vectors)

  def top_cosine(
    self,
    probes: Float[np.ndarray, 'Q D'],
    k: int,
    *,
    removed: Removed = None,
  ) -> Found:
    """See `scan.top_cosine`."""
    costs, rows = self._gallery.search(
      probes, k + _SPARE_ROWS, _cosine_cost, float('inf'), removed
    )
    gone = self.removed if removed is None else removed
    return _certify(
      (-costs, rows),
      cosine.rank_candidates(probes, self.vectors, rows, k),
      _SLACK * cosine.score_error(self.vectors.size),
      lambda some: cosine.top_cosine(
        probes[some], self.vectors, k, removed=gone
      ),
    )
