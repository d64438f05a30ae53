"""Float32 scores as integers that sort alike, and counts by them.

A count of every float32 value would take 2^32 places. The leading 18 bits of
a key give 2^18 classes, narrow ones (a 512th of the score's size), in order;
within a class the other 14 bits tell every single value apart.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from facejax.array_typing import Array, Float, Int, UInt32

CLASS_BITS, VALUE_BITS = 18, 14
NUM_CLASSES, NUM_VALUES = 1 << CLASS_BITS, 1 << VALUE_BITS
_SIGN = np.uint32(1 << 31)


def order_keys(scores: Float[Array, '*S']) -> UInt32[Array, '*S']:
  """Keys with key(a) < key(b) exactly where a < b; both zeros are one."""
  bits = lax.bitcast_convert_type(scores.astype(jnp.float32), jnp.uint32)
  # Minus zero takes the other branch. Denormals may not be compared as floats:
  # CPUs are set to take them for zeros.
  return jnp.where(bits > _SIGN, ~bits, bits | _SIGN)


def scores_of_keys(keys: UInt32[np.ndarray, '*S']) -> Float[np.ndarray, '*S']:
  """The scores that have these keys, on the host."""
  keys = np.asarray(keys, np.uint32)
  bits = np.where(keys >= _SIGN, keys ^ _SIGN, ~keys)
  return bits.astype(np.uint32).view(np.float32)


def class_floors() -> Float[np.ndarray, ' _']:
  """Smallest score of every class, float32 [2^18], rising.

  Classes that hold no number, beyond the infinities, are NaN.
  """
  keys = np.arange(NUM_CLASSES, dtype=np.uint32) << np.uint32(VALUE_BITS)
  return scores_of_keys(keys)


def find_ranks(
  counts: Int[np.ndarray, ' _'], ranks: Sequence[int]
) -> tuple[Int[np.ndarray, ' T'], Int[np.ndarray, ' T']]:
  """Where the scores of some ranks are counted.

  Args:
    counts: of scores, the greatest last.
    ranks: 1 is the greatest score, at most as many as there are.

  Returns:
    int64 [T], places in `counts`, and how many scores the later ones count.
  """
  above = np.cumsum(counts[::-1])
  at = np.searchsorted(above, ranks)
  return len(counts) - 1 - at, np.append(0, above)[at]


def classes(scores: Float[Array, '*S']) -> Int[Array, '*S']:
  """Class of each score, 0 .. 2^18 - 1."""
  return (order_keys(scores) >> VALUE_BITS).astype(jnp.int32)


def count_classes(
  scores: Float[Array, '*S'], counted: jax.Array
) -> Int[Array, ' _']:
  """Scores in each class.

  Args:
    scores: float32 [...].
    counted: bool, of the same shape: which of them count.

  Returns:
    int32 [2^18].
  """
  place = jnp.where(counted, classes(scores), NUM_CLASSES).ravel()
  counts = jnp.zeros(NUM_CLASSES, jnp.int32)
  return counts.at[place].add(1, mode='drop')


def count_values(
  scores: Float[Array, '*S'], counted: jax.Array, wanted: Int[Array, ' T']
) -> Int[Array, 'T _']:
  """Scores of each single value within some classes.

  Args:
    scores: float32 [...].
    counted: bool, of the same shape: which of them count.
    wanted: int32 [T], classes, all different; -1 for none.

  Returns:
    int32 [T, 2^14], by the low bits of the key.
  """
  keys = order_keys(scores)
  found = (keys >> VALUE_BITS).astype(jnp.int32)
  value = (keys & (NUM_VALUES - 1)).astype(jnp.int32)
  place = jnp.full(scores.shape, len(wanted) * NUM_VALUES, jnp.int32)
  for number in range(len(wanted)):
    inside = counted & (found == wanted[number])
    place = jnp.where(inside, number * NUM_VALUES + value, place)
  counts = jnp.zeros(len(wanted) * NUM_VALUES, jnp.int32)
  counts = counts.at[place.ravel()].add(1, mode='drop')
  return counts.reshape(len(wanted), NUM_VALUES)
