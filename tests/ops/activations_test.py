import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.ops.activations import max_feature_map, prelu


class PReLUTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_negative_values_are_scaled_by_the_slope_of_their_channel(self):
    x = jnp.array([[-4.0, -4.0, 0.0], [2.0, 3.0, -1.0]])
    slope = jnp.array([0.25, -0.5, 1.0])
    np.testing.assert_array_equal(
      self.variant(prelu)(x, slope), [[-1.0, 2.0, 0.0], [2.0, 3.0, -1.0]]
    )

  def test_the_slope_takes_its_gradient_from_negative_values_alone(self):
    x = jnp.array([[-4.0, 5.0], [-1.0, -2.0]])
    gradient = jax.grad(lambda slope: prelu(x, slope).sum())(jnp.zeros(2))
    np.testing.assert_array_equal(gradient, [-5.0, -2.0])

  def test_the_type_is_that_of_the_features(self):
    x = jnp.ones((2, 3, 3, 4), jnp.bfloat16)
    self.assertEqual(prelu(x, jnp.ones(4)).dtype, jnp.bfloat16)


class MaxFeatureMapTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_of_two_halves_the_larger_wins(self):
    x = jnp.array([[1.0, -2.0, 3.0, -5.0]])
    np.testing.assert_array_equal(self.variant(max_feature_map)(x), [[3, -2]])

  def test_of_three_thirds_the_largest_and_the_middle_stay(self):
    x = jnp.array([[1.0, 9.0, 7.0, 2.0, 4.0, 7.0, 3.0, 5.0, 0.0]])
    np.testing.assert_array_equal(
      max_feature_map(x, 3), [[3.0, 9.0, 7.0, 2.0, 5.0, 7.0]]
    )

  def test_three_thirds_agree_with_sorting(self):
    x = np.random.default_rng(0).normal(size=(5, 2, 3, 12)).astype(np.float32)
    _, middle, largest = np.sort(np.stack(np.split(x, 3, -1)), axis=0)
    expected = np.concatenate([largest, middle], -1)
    np.testing.assert_array_equal(max_feature_map(jnp.asarray(x), 3), expected)

  @parameterized.parameters(
    (2, [1.0, 5.0, 4.0, 2.0], [0, 20, 10, 0]),
    (3, [1.0, 5.0, 4.0, 2.0, 2.0, 9.0], [0, 40, 10, 0, 30, 20]),
  )
  def test_gradients_go_to_the_winners(self, pieces, x, expected):
    weights = jnp.array([10.0, 20.0, 30.0, 40.0])

    def weighed(x):
      y = max_feature_map(x, pieces)
      return (y * weights[: len(y)]).sum()

    np.testing.assert_array_equal(jax.grad(weighed)(jnp.array(x)), expected)

  def test_a_tie_shares_the_gradient(self):
    gradient = jax.grad(lambda x: max_feature_map(x).sum())(jnp.ones(2))
    np.testing.assert_array_equal(gradient, [0.5, 0.5])

  @parameterized.parameters((2, 3), (3, 4), (4, 4))
  def test_pieces_that_do_not_fit_are_refused(self, pieces, channels):
    with self.assertRaisesRegex(UsageError, '2 or 3 pieces that divide them'):
      max_feature_map(jnp.zeros((1, channels)), pieces)
