"""Ternary weights as 2-bit codes, 16 to a uint32 word (layout A of spec 6.4).

Weight k of a word stands at bits 2k (b1) and 2k + 1 (b2), with b1 = (t > 0)
and b2 = (t >= 0): +1 = 3, 0 = 2, -1 = 0. The code 1 never occurs and marks
corruption. A row that ends inside a word is filled with the code of 0.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from facejax.array_typing import AnyArray, Array, Int, Int8, Int32, UInt32

CODES_PER_WORD = 16
_LOW_BITS = np.uint32(0x55555555)


def _shifts(ndim: int) -> Array:
  """The bit position of each code of a word, broadcast over `ndim` axes."""
  shifts = 2 * jnp.arange(CODES_PER_WORD, dtype=jnp.uint32)
  return shifts.reshape((1,) * ndim + (CODES_PER_WORD,))


def words_per_row(length: int) -> int:
  """ceil(length / 16), the words that hold `length` codes."""
  return -(-length // CODES_PER_WORD)


def pack_ternary(t: Int[AnyArray, '*rows C']) -> UInt32[Array, '*rows W']:
  """Packs ternary weights along the last axis.

  Args:
    t: values in {-1, 0, +1}, any integer type, any length C.

  Returns:
    words [..., ceil(C / 16)]; unused codes decode to 0.
  """
  t = jnp.asarray(t)
  length = t.shape[-1]
  words = words_per_row(length)
  padding = [(0, 0)] * (t.ndim - 1) + [(0, words * CODES_PER_WORD - length)]
  t = jnp.pad(t, padding).reshape(*t.shape[:-1], words, CODES_PER_WORD)
  codes = (t > 0).astype(jnp.uint32) | (t >= 0).astype(jnp.uint32) << 1
  return jnp.sum(codes << _shifts(t.ndim - 1), axis=-1, dtype=jnp.uint32)


def count_invalid_codes(words: UInt32[AnyArray, '...']) -> Int32[Array, '']:
  """Number of codes 1 (b1 without b2), which no ternary weight packs to."""
  words = jnp.asarray(words)
  invalid = words & ~(words >> 1) & _LOW_BITS
  return jnp.sum(jax.lax.population_count(invalid).astype(jnp.int32))


def unpack_ternary(
  words: UInt32[AnyArray, '...'], shape: Sequence[int]
) -> Int8[Array, '...']:
  """Inverse of `pack_ternary`: t = b1 + b2 - 1.

  Args:
    words: uint32 [..., ceil(C / 16)].
    shape: the shape [..., C] that was packed.

  Returns:
    int8 in {-1, 0, +1} of shape `shape`.

  Raises:
    ValueError: the words do not fit `shape`, or, where their values are known
      (not while tracing), hold the corrupt code 1.
  """
  shape = tuple(shape)
  expected = (*shape[:-1], words_per_row(shape[-1]))
  if words.shape != expected:
    raise ValueError(
      f'words of shape {words.shape} do not hold ternary weights of shape '
      f'{shape}: expected {expected}'
    )
  if not isinstance(words, jax.core.Tracer):
    with jax.ensure_compile_time_eval():
      invalid = int(count_invalid_codes(words))
    if invalid:
      raise ValueError(f'{invalid} corrupt codes (1) in the packed words')
  codes = jnp.asarray(words)[..., None] >> _shifts(words.ndim)
  t = (codes & 1).astype(jnp.int8) + (codes >> 1 & 1).astype(jnp.int8) - 1
  row = expected[-1] * CODES_PER_WORD
  return t.reshape(*shape[:-1], row)[..., : shape[-1]]
