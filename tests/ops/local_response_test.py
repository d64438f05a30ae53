import chex
import jax.numpy as jnp
import numpy as np

from facejax.ops.local_response import local_response_norm


class LocalResponseNormTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_channels_are_divided_by_the_energy_around_them(self):
    x = jnp.array([[1.0, 2.0, 3.0, 4.0]])
    # Sums of squares over three: 1 + 4, 1 + 4 + 9, 4 + 9 + 16, 9 + 16.
    expected = x / (1 + 0.5 * np.array([[5.0, 14.0, 29.0, 25.0]])) ** 0.75
    norm = self.variant(
      lambda x: local_response_norm(x, size=3, alpha=1.5, beta=0.75)
    )
    np.testing.assert_allclose(norm(x), expected, rtol=1e-6)

  def test_the_defaults_agree_with_a_loop(self):
    shape = (2, 3, 3, 9)
    x = np.random.default_rng(0).normal(0, 50, shape).astype(np.float32)
    expected = np.empty_like(x)
    for c in range(9):
      energy = (x[..., max(0, c - 2) : c + 3] ** 2).sum(-1)
      expected[..., c] = x[..., c] / (1 + 1e-4 / 5 * energy) ** 0.75
    got = local_response_norm(jnp.asarray(x))
    np.testing.assert_allclose(got, expected, rtol=1e-5)

  def test_the_type_stays_and_squares_do_not_overflow(self):
    x = jnp.full((1, 5), 1000.0, jnp.float16)
    y = local_response_norm(x)
    self.assertEqual(y.dtype, jnp.float16)
    # Five channels of 1e6: 1 + 1e-4 / 5 * 5e6 = 101.
    np.testing.assert_allclose(y[0, 2], 1000 / 101**0.75, rtol=1e-3)
