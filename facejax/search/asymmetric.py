"""Exact search by the asymmetric distance on CPU."""

from typing import NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int64, Shaped, UInt8
from facejax.ops.hamming import BITS_PER_BYTE
from facejax.search import codes as codes_lib
from facejax.search import compiled, selection, weighted_kernels


class WeightedProbes(NamedTuple):
  """Probes as `weighted_kernels.scan_weighted` takes them.

  Attributes:
    signs: uint64 [Q, W].
    planes: uint64 [Q, WEIGHT_BITS * W].
    tables: float64 [Q, L / 4, 16].
    bounds: float64 [Q, 3].
  """

  signs: np.ndarray
  planes: np.ndarray
  tables: np.ndarray
  bounds: np.ndarray

  def block(self, probes: slice) -> tuple[np.ndarray, ...]:
    """The arrays of some of the probes."""
    return tuple(compiled.plain(array[probes]) for array in self)


def _packed_words(bits: Bool[np.ndarray, 'N L']) -> Shaped[np.ndarray, 'N W']:
  return codes_lib.as_words(np.packbits(bits, axis=-1, bitorder='little'))


def weigh_probes(logits: Float[np.ndarray, 'Q L']) -> WeightedProbes:
  """Rounds the weights |u_l| to steps, and says how far they are off.

  Args:
    logits: float32, finite; L a multiple of 8.
  """
  exact = logits.astype(np.float64)
  sizes = np.abs(exact)
  steps = sizes.max(axis=1, initial=0) / weighted_kernels.MAX_WEIGHT
  steps[steps == 0] = 1
  weights = np.rint(sizes / steps[:, None]).astype(np.int64)
  above = np.maximum(weights - sizes / steps[:, None], 0).sum(axis=1)
  planes = [
    _packed_words(weights >> bit & 1 == 1)
    for bit in range(weighted_kernels.WEIGHT_BITS)
  ]
  nibbles = np.arange(weighted_kernels.NIBBLE_VALUES)
  bits = nibbles[:, None] >> np.arange(weighted_kernels.NIBBLE_BITS) & 1
  fours = exact.reshape(len(exact), -1, weighted_kernels.NIBBLE_BITS)
  return WeightedProbes(
    _packed_words(logits > 0),
    np.concatenate(planes, axis=1),
    np.einsum('qnb,vb->qnv', fours, 2.0 * bits - 1),
    np.stack([sizes.sum(axis=1), steps, above], axis=1),
  )


def top_asymmetric(
  logits: Float[np.ndarray, 'Q L'],
  codes: UInt8[np.ndarray, 'T bytes'],
  k: int,
  *,
  removed: Bool[np.ndarray, ' T'] | None = None,
) -> tuple[Float[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]:
  """See `scan.top_asymmetric`."""
  size = logits.shape[1] // BITS_PER_BYTE
  probes, gone = weigh_probes(logits), compiled.removed_rows(removed)

  def work(block, part):
    count = block.stop - block.start
    heaps = selection.make_heaps(count, min(k, part.stop - part.start))
    tile, width = codes_lib.make_tile(size), codes_lib.width(size)
    arrays = probes.block(block)
    if heaps.size:
      for first, words in codes_lib.word_chunks(codes, part):
        weighted_kernels.scan_weighted(
          words, first, gone, *arrays, width, tile, heaps
        )
    return heaps

  read = weighted_kernels.WEIGHT_BITS * size
  keys = selection.search_parts(work, len(logits), len(codes), read, k)
  return selection.read_keys(keys)


def rank_codes(
  logits: Float[np.ndarray, 'Q L'],
  codes: UInt8[np.ndarray, 'T bytes'],
  candidates: Int64[np.ndarray, 'Q c'],
  k: int,
) -> tuple[Float[np.ndarray, 'Q k'], Int64[np.ndarray, 'Q k']]:
  """The best of different candidates, scored as `top_asymmetric` scores.

  Args:
    logits: float32.
    codes: of the gallery.
    candidates: rows, each at most once a probe; -1 pads.
    k: rows wanted.

  Returns:
    (scores, rows) as of `scan.top_asymmetric`.
  """
  heaps = selection.make_heaps(len(logits), min(k, candidates.shape[1]))
  if heaps.size and len(codes):
    words = codes_lib.as_words(codes[candidates.reshape(-1)])
    words = words.reshape(*candidates.shape, -1)
    tables = compiled.plain(weigh_probes(logits).tables)
    weighted_kernels.rank_words(
      compiled.plain(words), compiled.plain(candidates), tables, heaps
    )
  return selection.read_keys(selection.merge_keys([heaps], k))
