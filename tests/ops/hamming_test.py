"""Bits in bytes and the distances between codes, against NumPy."""

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facejax.ops.hamming import (
  bytes_per_code,
  hamming_distance,
  pack_bits,
  unpack_bits,
)

# Few shapes: each is compiled.
_SHAPES = st.sampled_from([(8,), (3, 24), (2, 5, 13), (1, 64), (0, 16)])
_VALUES = _SHAPES.flatmap(
  lambda shape: hnp.arrays(
    np.float32, shape, elements=st.floats(-2, 2, width=16)
  )
)
_settings = hypothesis.settings(max_examples=40, deadline=None)


class PackingTest(chex.TestCase):
  def test_bit_l_is_in_byte_l_over_8_the_least_significant_first(self):
    bits = np.zeros(16)
    bits[[0, 3, 9]] = 1
    np.testing.assert_array_equal(pack_bits(bits), [0b00001001, 0b00000010])

  @_settings
  @hypothesis.given(_VALUES)
  def test_bytes_are_those_of_numpy_and_signs_come_back(self, values):
    codes = np.asarray(pack_bits(values))
    expected = np.packbits(values > 0, axis=-1, bitorder='little')
    np.testing.assert_array_equal(codes, expected)
    self.assertEqual(codes.dtype, np.uint8)
    length = values.shape[-1]
    self.assertEqual(codes.shape[-1], bytes_per_code(length))
    signs = np.asarray(unpack_bits(codes, length))
    np.testing.assert_array_equal(signs, np.where(values > 0, 1, -1))
    self.assertEqual(signs.dtype, np.int8)

  def test_zero_and_nan_are_no_set_bits(self):
    values = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-30, 2, -2])
    self.assertEqual(int(pack_bits(values)[0]), 0b01101000)

  @parameterized.parameters(bool, np.int8, np.int32, np.float16, jnp.bfloat16)
  def test_every_type_of_values(self, dtype):
    values = np.array([1, 0, 1, 1, 0, 0, 0, 1]).astype(dtype)
    self.assertEqual(int(pack_bits(values)[0]), 0b10001101)

  def test_bits_that_are_not_there_are_refused(self):
    codes = np.zeros((2, 3), np.uint8)
    self.assertEqual(unpack_bits(codes, 0).shape, (2, 0))
    for length in (25, -1):
      with self.assertRaisesRegex(ValueError, f'3 bytes hold no {length}'):
        unpack_bits(codes, length)

  def test_under_jit(self):
    values = np.random.default_rng(0).normal(size=(4, 40)).astype('f')
    np.testing.assert_array_equal(
      jax.jit(lambda x: unpack_bits(pack_bits(x), 40))(values),
      np.where(values > 0, 1, -1),
    )


class DistanceTest(chex.TestCase):
  @_settings
  @hypothesis.given(hnp.arrays(np.uint8, (5, 3)), hnp.arrays(np.uint8, (4, 3)))
  def test_distances_are_counts_of_different_bits(self, a, b):
    distances = np.asarray(hamming_distance(a[:, None], b[None]))
    naive = np.zeros((5, 4), int)
    for i, j, k in np.ndindex(5, 4, 3):
      naive[i, j] += (int(a[i, k]) ^ int(b[j, k])).bit_count()
    np.testing.assert_array_equal(distances, naive)
    self.assertEqual(distances.dtype, np.int32)

  def test_distances_are_exact_beyond_a_byte(self):
    a = np.full((1, 256), 255, np.uint8)
    self.assertEqual(int(hamming_distance(a, np.zeros_like(a))[0]), 2048)

  def test_inner_products_of_signs_tell_the_distance(self):
    codes = np.random.default_rng(1).integers(0, 256, (6, 16), np.uint8)
    signs = np.asarray(unpack_bits(codes, 128), np.int32)
    np.testing.assert_array_equal(
      hamming_distance(codes[:, None], codes[None]),
      (128 - signs @ signs.T) // 2,
    )
