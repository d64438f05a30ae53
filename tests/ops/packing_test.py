import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from facejax.ops import packing

_SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=40)


@jax.jit
def _round_trip(t):
  words = packing.pack_ternary(t)
  invalid = packing.count_invalid_codes(words)
  return words, invalid, packing.unpack_ternary(words, t.shape)


def _slow_pack(row):
  """One word at a time, straight from the table of spec 6.3."""
  code = {1: 3, 0: 2, -1: 0}
  row = list(row) + [0] * (-len(row) % 16)
  return [
    sum(code[t] << 2 * k for k, t in enumerate(row[i : i + 16]))
    for i in range(0, len(row), 16)
  ]


class PackingTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(
    ([0] * 16, 0xAAAAAAAA),
    ([1] * 16, 0xFFFFFFFF),
    ([-1] * 16, 0x00000000),
    ([1], 0xAAAAAAAB),
    ([-1], 0xAAAAAAA8),
    ([1, 0, -1], 0xAAAAAA8B),
  )
  def test_known_words(self, t, word):
    words = self.variant(packing.pack_ternary)(jnp.int8(t))
    self.assertEqual(words.dtype, jnp.uint32)
    np.testing.assert_array_equal(words, np.uint32([word]))

  def test_words_equal_the_table_of_the_specification(self):
    t = np.random.RandomState(0).randint(-1, 2, (3, 53)).astype(np.int8)
    expected = np.uint32([_slow_pack(row) for row in t])
    np.testing.assert_array_equal(packing.pack_ternary(t), expected)

  def test_100003_weights_take_6251_words(self):
    t = np.random.RandomState(0).randint(-1, 2, 100_003).astype(np.int8)
    words = packing.pack_ternary(t)
    self.assertEqual(words.shape, (6251,))
    np.testing.assert_array_equal(packing.unpack_ternary(words, t.shape), t)

  @hypothesis.settings(deadline=None, max_examples=25)
  @hypothesis.given(hnp.arrays(np.int8, _SHAPES, elements=st.integers(-1, 1)))
  def test_round_trip_of_any_shape(self, t):
    words, invalid, unpacked = _round_trip(t)
    self.assertEqual(words.shape, (*t.shape[:-1], -(-t.shape[-1] // 16)))
    self.assertEqual(int(invalid), 0)
    self.assertEqual(unpacked.dtype, jnp.int8)
    np.testing.assert_array_equal(unpacked, t)

  def test_padding_decodes_to_zero(self):
    words = packing.pack_ternary(jnp.int8([-1, 1, 1]))
    np.testing.assert_array_equal(
      packing.unpack_ternary(words, (16,)), [-1, 1, 1] + [0] * 13
    )

  def test_a_sharded_tensor_packs_where_it_is(self):
    mesh = jax.make_mesh(
      (8,), ('model',), axis_types=(jax.sharding.AxisType.Auto,)
    )
    spec = jax.sharding.PartitionSpec('model', None)
    sharding = jax.sharding.NamedSharding(mesh, spec)
    t = np.random.RandomState(0).randint(-1, 2, (16, 40)).astype(np.int8)
    pack = jax.jit(packing.pack_ternary).lower(jax.device_put(t, sharding))
    words = pack.compile()(jax.device_put(t, sharding))
    self.assertTrue(words.sharding.is_equivalent_to(sharding, 2))
    self.assertNotIn('all-', pack.compile().as_text())
    np.testing.assert_array_equal(words, packing.pack_ternary(t))
    unpack = jax.jit(lambda w: packing.unpack_ternary(w, (16, 40)))
    np.testing.assert_array_equal(unpack(words), t)


class CorruptionTest(chex.TestCase):
  def test_every_place_of_the_code_1_is_found(self):
    good = packing.pack_ternary(jnp.zeros(16, jnp.int8))
    for k in range(16):
      bad = good & ~np.uint32(3 << 2 * k) | np.uint32(1 << 2 * k)
      self.assertEqual(int(packing.count_invalid_codes(bad)), 1)
      with self.assertRaisesRegex(ValueError, '1 corrupt code'):
        packing.unpack_ternary(bad, (16,))

  def test_corrupt_constants_are_rejected_while_tracing(self):
    bad = jnp.uint32([0x55555555])
    with self.assertRaisesRegex(ValueError, '16 corrupt codes'):
      jax.jit(lambda: packing.unpack_ternary(bad, (16,)))()

  def test_traced_words_are_unpacked_without_a_check(self):
    unpack = jax.jit(lambda words: packing.unpack_ternary(words, (16,)))
    self.assertEqual(unpack(jnp.uint32([0x55555555])).shape, (16,))

  @parameterized.parameters((17,), (33,), (2, 16))
  def test_words_of_another_shape_are_rejected(self, *shape):
    with self.assertRaisesRegex(ValueError, 'do not hold'):
      packing.unpack_ternary(jnp.zeros(1, jnp.uint32), shape)
