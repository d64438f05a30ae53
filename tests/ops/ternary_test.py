import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.ops import ternary

# mean |w| = 1.0, Delta = 0.7; larger: 2.0, 1.2, -1.6 with mean 1.6.
_W = np.float32([2.0, -0.4, 1.2, 0.1, -1.6, 0.7])
_AXES = ((None,), ((0,),), ((1, 2),), (0,), (-1,))


def _oracle(w, axis):
  """Loop-free restatement of spec 6.1 in float64."""
  a = np.abs(np.float64(w))
  delta = 0.7 * a.mean(axis, keepdims=True)
  mask = a > delta
  total = np.where(mask, a, 0).sum(axis, keepdims=True)
  alpha = total / np.maximum(mask.sum(axis, keepdims=True), 1)
  return np.sign(w) * mask, alpha


class TernaryTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_hand_computed_constants(self):
    t, alpha = self.variant(ternary.ternarize)(_W)
    np.testing.assert_array_equal(t, [1, 0, 1, 0, -1, 0])
    self.assertEqual(t.dtype, jnp.int8)
    self.assertAlmostEqual(float(alpha), 1.6, places=6)
    self.assertAlmostEqual(float(ternary.threshold(_W)), 0.7, places=6)
    self.assertAlmostEqual(float(ternary.scale(_W)), 1.6, places=6)

  def test_a_weight_equal_to_the_threshold_becomes_zero(self):
    # mean |w| = 10 exactly, Delta = float32(0.7) * 10 = 7 exactly.
    w = jnp.float32([7, -7, 13, -13])
    self.assertEqual(float(ternary.threshold(w)), 7.0)
    np.testing.assert_array_equal(ternary.ternarize(w)[0], [0, 0, 1, -1])

  @parameterized.parameters(*_AXES)
  def test_statistics_equal_the_oracle_on_every_axis(self, axis):
    w = np.random.RandomState(0).randn(3, 4, 5).astype(np.float32)
    t, alpha = ternary.ternarize(w, axis)
    expected_t, expected_alpha = _oracle(w, axis)
    np.testing.assert_array_equal(t, expected_t)
    np.testing.assert_allclose(alpha, expected_alpha.squeeze(axis), rtol=1e-6)

  def test_scale_is_the_least_squares_solution(self):
    w = np.random.RandomState(1).randn(1000).astype(np.float32)
    t, alpha = ternary.ternarize(w)
    t = np.float64(t)
    self.assertAlmostEqual(float(alpha), (t @ w) / (t @ t), places=6)

  def test_gaussian_weights_have_the_published_statistics(self):
    w = np.random.RandomState(2).randn(200_000).astype(np.float32)
    t, alpha = ternary.ternarize(w)
    error = np.mean((w - float(alpha) * np.asarray(t)) ** 2) / np.mean(w**2)
    self.assertAlmostEqual(float(ternary.threshold(w)), 0.56, delta=0.01)
    self.assertAlmostEqual(float(alpha), 1.18, delta=0.01)
    self.assertAlmostEqual(np.mean(np.asarray(t) == 0), 0.42, delta=0.01)
    self.assertAlmostEqual(error, 0.193, delta=0.005)

  @parameterized.parameters(((5,), None), ((0,), None), ((3, 2), (0,)))
  def test_zero_and_empty_tensors_have_zero_codes_and_scale(self, shape, axis):
    t, alpha = ternary.ternarize(jnp.zeros(shape), axis)
    np.testing.assert_array_equal(t, np.zeros(shape))
    np.testing.assert_array_equal(alpha, np.zeros(alpha.shape))


class StraightThroughTest(chex.TestCase):
  @parameterized.parameters(*_AXES)
  def test_forward_is_exactly_alpha_times_t(self, axis):
    w = jax.random.normal(jax.random.key(0), (3, 4, 5)) * 1e-3
    t, alpha = ternary.ternarize(w, axis)
    if axis is not None:
      alpha = jnp.expand_dims(alpha, axis)
    expected = jnp.broadcast_to(alpha, w.shape) * t
    for ste in (
      ternary.ternary_ste,
      jax.jit(ternary.ternary_ste, static_argnums=1),
    ):
      np.testing.assert_array_equal(ste(w, axis), expected)

  @chex.variants(with_jit=True, without_jit=True)
  def test_gradient_passes_unchanged(self):
    w = jax.random.normal(jax.random.key(1), (6, 4))
    upstream = jax.random.normal(jax.random.key(2), (6, 4))
    gradient = self.variant(
      jax.grad(lambda w: jnp.sum(ternary.ternary_ste(w, (0,)) * upstream))
    )(w)
    np.testing.assert_array_equal(gradient, upstream)

  def test_keeps_the_dtype_of_the_masters(self):
    w = jnp.ones((4,), jnp.bfloat16)
    self.assertEqual(ternary.ternary_ste(w).dtype, jnp.bfloat16)
