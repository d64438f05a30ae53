"""Normalisation is exact where it can be and finite everywhere."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.ops.norms import l2_normalize


class L2NormalizeTest(chex.TestCase):
  def test_known_vector(self):
    np.testing.assert_allclose(
      l2_normalize(jnp.array([[3.0, 4.0]])), [[0.6, 0.8]], rtol=1e-6
    )

  def test_zero_stays_zero_with_a_finite_gradient(self):
    zero = jnp.zeros((1, 4))
    np.testing.assert_array_equal(l2_normalize(zero), zero)
    gradient = jax.grad(lambda x: l2_normalize(x).sum())(zero)
    self.assertTrue(np.isfinite(gradient).all())
