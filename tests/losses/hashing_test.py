"""Losses and statistics of hash codes: by hand, by NumPy, by differences."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.losses import hashing

# Two faces, three bits: of h the errors are (0.5, 0, 0.2) and (0, 1, 0.2).
CODE = np.array([[0.5, -1.0, 0.8], [1.0, 0.0, -0.8]], np.float32)
RANDOM = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)


def independence(code):
  """||H^T H / B - I||_F^2 / L^2, by sums."""
  size, bits = code.shape
  total = 0.0
  for k in range(bits):
    for m in range(bits):
      product = sum(code[i, k] * code[i, m] for i in range(size)) / size
      total += (product - (k == m)) ** 2
  return total / bits**2


def balance(code):
  return np.mean([np.mean(column) ** 2 for column in code.T])


LOSSES = {
  'l2': (hashing.l2_quantization, lambda h: np.mean((np.abs(h) - 1) ** 2)),
  'l1': (hashing.l1_quantization, lambda h: np.mean(np.abs(np.abs(h) - 1))),
  'balance': (hashing.bit_balance, balance),
  'independence': (hashing.bit_independence, independence),
}


class LossTest(chex.TestCase):
  @parameterized.parameters(
    ('l2', (0.25 + 0.04 + 1 + 0.04) / 6),
    ('l1', (0.5 + 0.2 + 1 + 0.2) / 6),
    ('balance', (0.75**2 + 0.5**2 + 0) / 3),
    # H^T H / 2 is 0.625 -0.25 -0.2; 0.5 -0.4; 0.64 above the diagonal.
    (
      'independence',
      (0.375**2 + 0.5**2 + 0.36**2 + 2 * (0.25**2 + 0.2**2 + 0.4**2)) / 9,
    ),
  )
  def test_known_values(self, name, expected):
    loss, oracle = LOSSES[name]
    np.testing.assert_allclose(loss(jnp.asarray(CODE)), expected, rtol=1e-6)
    np.testing.assert_allclose(oracle(CODE), expected, rtol=1e-6)

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(*LOSSES)
  def test_equals_numpy(self, name):
    loss, oracle = LOSSES[name]
    found = self.variant(loss)(jnp.tanh(RANDOM))
    np.testing.assert_allclose(found, oracle(np.tanh(RANDOM)), rtol=1e-5)

  @parameterized.parameters(*LOSSES)
  def test_the_gradient_is_the_slope(self, name):
    loss, oracle = LOSSES[name]
    code = np.tanh(RANDOM[:4, :3]).astype(np.float64)
    gradient = jax.grad(loss)(jnp.asarray(code, jnp.float32))
    for place in np.ndindex(*code.shape):
      moved = np.zeros_like(code)
      moved[place] = 1e-6
      slope = (oracle(code + moved) - oracle(code - moved)) / 2e-6
      np.testing.assert_allclose(gradient[place], slope, rtol=1e-3, atol=1e-5)

  @parameterized.parameters(*LOSSES)
  def test_nothing_is_lost_on_balanced_uncorrelated_bits(self, name):
    code = jnp.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    np.testing.assert_allclose(LOSSES[name][0](code), 0.0, atol=1e-7)

  def test_few_codes_of_many_bits_leave_what_is_said(self):
    code = jnp.where(jnp.eye(2, 16) > 0, -1.0, 1.0)
    code = code.at[1, 8:].set(-1.0)
    found = float(hashing.bit_independence(code))
    self.assertGreaterEqual(found, (16 / 2 - 1) / 16 - 1e-6)

  def test_a_code_of_zeros_has_a_finite_gradient(self):
    for loss, _ in LOSSES.values():
      gradient = jax.grad(loss)(jnp.zeros((3, 4)))
      self.assertTrue(np.isfinite(gradient).all())


class RelaxationTest(chex.TestCase):
  def test_tanh_known_values(self):
    logits = jnp.array([[0.0, 0.5, -2.0]])
    np.testing.assert_allclose(
      hashing.tanh_code(logits, 2.0), [[0, 0.7615942, -0.9993293]], rtol=1e-6
    )

  def test_the_sign_is_minus_one_at_zero_as_the_bit_is(self):
    logits = jnp.array([[0.0, 1e-30, -3.0, 3.0]])
    np.testing.assert_array_equal(hashing.sign_code(logits), [[-1, 1, -1, 1]])

  @chex.variants(with_jit=True, without_jit=True)
  def test_the_gradient_of_the_sign_is_the_identity(self):
    weights = jnp.array([[0.5, -2.0, 3.0]])
    gradient = self.variant(
      jax.grad(lambda u: (weights * hashing.sign_code(u)).sum())
    )(jnp.array([[0.1, -5.0, 0.0]]))
    np.testing.assert_array_equal(gradient, weights)

  @parameterized.parameters(hashing.tanh_code, hashing.sign_code)
  def test_half_precision_comes_out_whole_and_takes_its_gradient(self, relax):
    logits = jnp.array([[0.5, -0.25]], jnp.bfloat16)
    self.assertEqual(relax(logits).dtype, jnp.float32)
    gradient = jax.grad(lambda u: relax(u).sum())(logits)
    self.assertEqual(gradient.dtype, jnp.bfloat16)

  def test_beta_rises_as_a_root_from_start_to_end(self):
    def beta(step):
      return float(
        hashing.continuation(step, start=1.0, end=10.0, total_steps=101)
      )

    # sqrt(1 + 99 s / 100).
    self.assertAlmostEqual(beta(0), 1.0, places=6)
    self.assertAlmostEqual(beta(25), 25.75**0.5, places=5)
    self.assertAlmostEqual(beta(100), 10.0, places=5)
    self.assertAlmostEqual(beta(1000), 10.0, places=5)

  def test_beta_is_that_of_hashnets_code_where_its_end_is(self):
    # Their 10,000 iterations: (1 + 0.005 i)^0.5.
    end = (1 + 0.005 * 10_000) ** 0.5
    for step in (0, 200, 5000, 10_000):
      found = jax.jit(
        lambda s: hashing.continuation(
          s, start=1.0, end=end, total_steps=10_001
        )
      )(step)
      np.testing.assert_allclose(found, (1 + 0.005 * step) ** 0.5, rtol=1e-5)

  def test_a_run_of_one_step_has_the_first_beta(self):
    found = hashing.continuation(0, start=2.0, end=3.0, total_steps=1)
    self.assertAlmostEqual(float(found), 2.0, places=6)


class StatisticsTest(chex.TestCase):
  def _statistics(self, logits):
    found = hashing.bit_statistics(hashing.bit_moments(jnp.asarray(logits)))
    return {name: float(value) for name, value in found.items()}

  def test_known_values(self):
    # Bits 1 1 0 0, 1 1 1 0 and always 1.
    logits = np.array([[2, 1, 1], [3, 1, 1], [-1, 1, 1], [-1, 0, 1]], float)
    found = self._statistics(logits)
    self.assertAlmostEqual(found['bit_balance'], (0 + 0.5 + 1) / 3, places=6)
    entropy = -0.75 * np.log2(0.75) - 0.25 * np.log2(0.25)
    self.assertAlmostEqual(
      found['bit_entropy'], (1 + entropy + 0) / 3, places=5
    )
    # Of the first two bits: covariance 0.5, variances 1 and 0.75.
    self.assertAlmostEqual(
      found['bit_correlation'], 2 * 0.5 / 0.75**0.5 / 6, places=6
    )

  def test_equals_numpy(self):
    bits = np.where(RANDOM > 0, 1.0, -1.0)
    found = self._statistics(RANDOM)
    correlations = np.abs(np.corrcoef(bits.T))
    share = (RANDOM > 0).mean(0)
    self.assertAlmostEqual(
      found['bit_correlation'], (correlations.sum() - 5) / 20, places=5
    )
    self.assertAlmostEqual(
      found['bit_balance'], np.abs(2 * share - 1).mean(), places=6
    )
    entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    self.assertAlmostEqual(found['bit_entropy'], entropy.mean(), places=5)

  def test_copies_of_one_bit_are_wholly_correlated(self):
    bit = RANDOM[:, :1]
    found = self._statistics(np.concatenate([bit, -bit, 3 * bit], 1))
    self.assertAlmostEqual(found['bit_correlation'], 1.0, places=5)

  def test_bits_that_never_change_say_nothing(self):
    found = self._statistics(np.ones((7, 8), np.float32))
    self.assertEqual(
      found, {'bit_balance': 1.0, 'bit_entropy': 0.0, 'bit_correlation': 0.0}
    )

  def test_moments_of_equal_parts_average_to_those_of_the_whole(self):
    whole = hashing.bit_moments(jnp.asarray(RANDOM))
    parts = [hashing.bit_moments(jnp.asarray(RANDOM[k::3])) for k in range(3)]
    mean = jax.tree.map(lambda *x: sum(x) / 3, *parts)
    chex.assert_trees_all_close(mean, whole, rtol=1e-6, atol=1e-7)

  def test_no_gradient_flows(self):
    gradient = jax.grad(lambda u: hashing.bit_moments(u).products.sum())(
      jnp.asarray(RANDOM)
    )
    np.testing.assert_array_equal(gradient, 0)
