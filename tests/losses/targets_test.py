"""Target columns and interclass filtering."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.losses import targets
from facejax.losses.margins import filter_above


class TargetsTest(chex.TestCase):
  def test_no_column_is_the_target_of_minus_one(self):
    marked = targets.is_target(jnp.zeros((3, 2)), jnp.array([1, -1, 0]))
    np.testing.assert_array_equal(
      marked, [[False, True], [False, False], [True, False]]
    )

  def test_only_the_target_is_replaced(self):
    cosine = jnp.array([[0.5, 0.2], [0.1, 0.3]])
    replaced = targets.replace_targets(
      cosine, jnp.array([1, -1]), lambda c: c - 1.0
    )
    np.testing.assert_allclose(replaced, [[0.5, -0.8], [0.1, 0.3]], rtol=1e-6)

  def test_the_gradient_needs_no_scatter(self):
    def total(cosine):
      labels = jnp.array([1, 0], jnp.int32)
      return targets.replace_targets(cosine, labels, lambda c: 2 * c).sum()

    program = jax.jit(jax.grad(total)).lower(jnp.zeros((2, 3))).as_text()
    self.assertNotIn('scatter', program)
    self.assertNotIn('gather', program)


class FilterTest(chex.TestCase):
  def test_other_identities_above_the_threshold_become_zero(self):
    cosine = jnp.array([[0.9, 0.5, 0.4], [0.6, -0.9, 0.45]])
    filtered = filter_above(cosine, jnp.array([0, -1]), 0.4)
    np.testing.assert_allclose(
      filtered, [[0.9, 0.0, 0.4], [0.0, -0.9, 0.0]], rtol=1e-6
    )

  def test_filtered_cosines_get_no_gradient_and_the_type_stays(self):
    cosine = jnp.array([[0.9, 0.5, 0.375]], jnp.bfloat16)
    filtered = filter_above(cosine, jnp.array([0]), 0.4)
    self.assertEqual(filtered.dtype, jnp.bfloat16)
    gradient = jax.grad(lambda c: filter_above(c, jnp.array([0]), 0.4).sum())
    np.testing.assert_array_equal(
      gradient(cosine.astype(jnp.float32)), [[1, 0, 1]]
    )
