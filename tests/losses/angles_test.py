"""Sines and angles: exact inside, finite at the poles."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.losses import angles


class AnglesTest(chex.TestCase):
  def test_angle_of_a_cosine(self):
    cosine = np.linspace(-0.9999, 0.9999, 101)
    got = angles.angle_of(jnp.asarray(cosine, jnp.float32))
    np.testing.assert_allclose(got, np.arccos(cosine), atol=1e-5)

  def test_poles_are_within_the_stated_distance(self):
    got = angles.angle_of(jnp.array([1.0, -1.0]))
    np.testing.assert_allclose(got, [0.0, np.pi], atol=3.3e-5)

  def test_slopes_are_true_inside_and_zero_at_the_poles(self):
    cosine = jnp.array([0.6, -0.8, 1.0, -1.0])
    slope = jax.grad(lambda c: angles.sine_of(c).sum())(cosine)
    # d sin / d cos = -cos / sin.
    np.testing.assert_allclose(slope, [-0.75, 4 / 3, 0.0, 0.0], rtol=1e-5)

  def test_slopes_beside_the_poles_stay_below_the_stated_bound(self):
    cosine = jnp.float32(1.0) - jnp.arange(1, 65, dtype=jnp.float32) * 2**-24
    slope = jax.grad(lambda c: angles.sine_of(c).sum())(cosine)
    self.assertLess(float(jnp.abs(slope).max()), 3.2e4)
