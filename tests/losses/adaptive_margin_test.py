"""AdaFace: three qualities by hand, and the running statistics."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.losses import margins

STATS = {'norm_mean': jnp.float32(20.0), 'norm_std': jnp.float32(9.999)}


def target(cosines, norms, **constants):
  bound = functools.partial(
    margins.adaface, params=STATS, scale=1.0, **constants
  )
  return jax.jit(bound)(
    jnp.asarray(cosines)[:, None],
    jnp.zeros(len(cosines), jnp.int32),
    norms=jnp.asarray(norms),
  )[:, 0]


class AdaFaceTest(chex.TestCase):
  def test_poor_average_and_good_images_by_hand(self):
    # z = -1, 0, 1 (the deviation is 9.999 + 0.001): cos(60 deg + 0.4),
    # 0.5 - 0.4, and cos(60 deg - 0.4) - 0.8.
    norms = [10.0, 20.0, 30.0]
    np.testing.assert_allclose(
      target([0.5, 0.5, 0.5], norms, concentration=1.0),
      [0.1232843, 0.1, -0.0022233],
      atol=1e-6,
    )

  def test_a_third_of_a_deviation_is_a_third_of_the_quality(self):
    # z = 0.333 (25 - 20) / 10 = 0.1665: cos(1.0471976 - 0.0666) - 0.4666.
    value = target([0.5], [25.0])
    self.assertAlmostEqual(float(value[0]), 0.0899262, places=6)

  def test_lengths_beyond_a_hundred_count_as_a_hundred(self):
    a, b = target([0.5, 0.5], [100.0, 5000.0], concentration=0.01)
    self.assertEqual(float(a), float(b))

  def test_angles_stay_inside(self):
    # A good image close to its class, a poor one at the opposite pole.
    values = target([0.999, -0.999], [30.0, 10.0], concentration=1.0)
    expected = [np.cos(1e-3) - 0.8, np.cos(np.pi - 1e-3)]
    np.testing.assert_allclose(values, expected, atol=1e-6)

  def test_no_gradient_reaches_lengths_or_statistics(self):
    def total(norms, stats):
      cosine, labels = jnp.full((3, 2), 0.4), jnp.array([0, 1, 1])
      return margins.adaface(cosine, labels, norms=norms, params=stats).sum()

    gradients = jax.jit(jax.grad(total, argnums=(0, 1)))(
      jnp.array([15.0, 20.0, 25.0]), STATS
    )
    chex.assert_trees_all_equal(
      gradients, jax.tree.map(jnp.zeros_like, gradients)
    )


class NormStatisticsTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_moves_by_a_hundredth_towards_the_batch(self):
    stats = {'norm_mean': jnp.float32(20.0), 'norm_std': jnp.float32(100.0)}
    update = self.variant(margins.update_norm_statistics)
    # Clipped: 0.001, 50, 100; mean 50.000333, deviation (B - 1) 49.999500.
    stats = update(stats, jnp.array([0.0, 50.0, 400.0]))
    self.assertAlmostEqual(float(stats['norm_mean']), 20.3000033, places=5)
    self.assertAlmostEqual(float(stats['norm_std']), 99.499995, places=4)

  def test_refuses_a_batch_of_one(self):
    with self.assertRaisesRegex(ValueError, 'at least two'):
      margins.update_norm_statistics(STATS, jnp.array([3.0]))
