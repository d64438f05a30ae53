"""Codes of bits: packing into bytes, and the Hamming distance.

Bit l of a code stands in byte l // 8 at position l % 8, the least significant
first, as faiss and `numpy.packbits(bitorder='little')` have it.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax

from facejax.array_typing import AnyArray, Array, Int8, Int32, Shaped, UInt8

BITS_PER_BYTE = 8
_POSITIONS = np.arange(BITS_PER_BYTE, dtype=np.uint8)


def bytes_per_code(num_bits: int) -> int:
  """ceil(L / 8), the bytes that hold L bits."""
  return -(-num_bits // BITS_PER_BYTE)


def pack_bits(values: Shaped[AnyArray, '*B L']) -> UInt8[Array, '*B _']:
  """Packs bits = (value > 0) along the last axis.

  Args:
    values: hash logits, +-1, booleans or 0 and 1; zero and NaN give the bit 0.

  Returns:
    codes [..., ceil(L / 8)]; unused bits of the last byte are 0.
  """
  bits = jnp.asarray(values) > 0
  length = bits.shape[-1]
  size = bytes_per_code(length)
  padding = [(0, 0)] * (bits.ndim - 1) + [(0, size * BITS_PER_BYTE - length)]
  bits = jnp.pad(bits, padding).reshape(*bits.shape[:-1], size, BITS_PER_BYTE)
  positions = _POSITIONS.reshape((1,) * (bits.ndim - 1) + (BITS_PER_BYTE,))
  return jnp.sum(bits.astype(jnp.uint8) << positions, -1, dtype=jnp.uint8)


def unpack_bits(
  codes: UInt8[AnyArray, '*B _'], num_bits: int
) -> Int8[Array, '*B L']:
  """Inverse of `pack_bits`: +1 where the bit is set, -1 elsewhere.

  Args:
    codes: as `pack_bits` makes them.
    num_bits: L, at most 8 * bytes.

  Raises:
    ValueError: more bits than the codes hold.
  """
  codes = jnp.asarray(codes)
  if not 0 <= num_bits <= BITS_PER_BYTE * codes.shape[-1]:
    raise ValueError(f'{codes.shape[-1]} bytes hold no {num_bits} bits a code')
  positions = _POSITIONS.reshape((1,) * codes.ndim + (BITS_PER_BYTE,))
  bits = codes[..., None] >> positions & np.uint8(1)
  bits = bits.reshape(*codes.shape[:-1], BITS_PER_BYTE * codes.shape[-1])
  return 2 * bits[..., :num_bits].astype(jnp.int8) - jnp.int8(1)


def hamming_distance(
  a: UInt8[AnyArray, '*#B bytes'], b: UInt8[AnyArray, '*#B bytes']
) -> Int32[Array, '...']:
  """Number of bits in which codes differ.

  Args:
    a: codes.
    b: codes; leading axes broadcast, of the same rank as those of `a`.

  Returns:
    distances, 0 .. 8 * bytes.
  """
  differing = lax.population_count(jnp.asarray(a) ^ jnp.asarray(b))
  return jnp.sum(differing, axis=-1, dtype=jnp.int32)
