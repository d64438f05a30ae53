"""Codes of a gallery: how evenly their bits are used, and what they weigh."""

from typing import Any

import numpy as np

from facejax.array_typing import Float, UInt8
from facejax.ops.hamming import BITS_PER_BYTE

# Bytes of a stored vector of D values, by the type of `search.vectors`.
VECTOR_BYTES = {
  'float32': lambda size: 4 * size,
  'float16': lambda size: 2 * size,
  'int8': lambda size: size + 4,  # and the factor of the row
}


def pack_codes(logits: Float[np.ndarray, 'N L']) -> UInt8[np.ndarray, 'N _']:
  """Codes of logits on the host; bit = logit > 0, the lowest bit first."""
  return np.packbits(logits > 0, axis=1, bitorder='little')


def describe_bits(logits: Float[np.ndarray, 'N L']) -> dict[str, Any]:
  """How well the bits of codes are used, as JSON values.

  With p_k the share of codes whose bit k is set and b the bits as +-1:

    balance      mean_k |2 p_k - 1|; 0 where every bit halves the codes
    entropy      mean_k H(p_k), in bits; 1 is the most
    correlation  mean_{j < k} |corr(b_j, b_k)|; 0 where bits tell different
                 things. A bit that never changes correlates with none.

  Args:
    logits: of the gallery.
  """
  signs = np.where(logits > 0, 1.0, -1.0)
  num_bits = logits.shape[1]
  means = signs.mean(axis=0)
  shares = np.stack([1 + means, 1 - means]) / 2
  logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
  centred = signs - means
  deviations = np.sqrt(np.mean(centred**2, axis=0))
  centred /= np.where(deviations > 0, deviations, 1)
  correlations = np.abs(centred.T @ centred / len(signs))
  pairs = num_bits * (num_bits - 1)
  off_diagonal = correlations.sum() - np.trace(correlations)
  return {
    'bits': num_bits,
    'balance': float(np.abs(means).mean()),
    'entropy': float(-(shares * logs).sum(axis=0).mean()),
    'correlation': float(off_diagonal / pairs),
    'distinct_codes': len(np.unique(pack_codes(logits), axis=0)),
  }


def describe_bytes(
  num_bits: int, embedding_size: int, num_gallery: int
) -> dict[str, Any]:
  """Bytes of a template and of a gallery: codes, and vectors of each type.

  Args:
    num_bits: L of a code.
    embedding_size: D of a vector.
    num_gallery: G templates.
  """
  each = {'code': num_bits // BITS_PER_BYTE} | {
    name: count(embedding_size) for name, count in VECTOR_BYTES.items()
  }
  return {
    'bytes_per_template': each,
    'gallery_bytes': {name: size * num_gallery for name, size in each.items()},
  }
