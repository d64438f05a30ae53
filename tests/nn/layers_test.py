"""Layers shared by the architectures."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.nn import blocks, layers


class PReLUTest(chex.TestCase):
  def test_scales_negative_values_per_channel(self):
    variables = {'params': {'slope': jnp.array([0.5, 0.1])}}
    x = jnp.array([[-2.0, -2.0], [3.0, 3.0]])
    np.testing.assert_allclose(
      layers.PReLU().apply(variables, x), [[-1.0, -0.2], [3.0, 3.0]]
    )


class InitialisationTest(chex.TestCase):
  def test_kernels_start_with_their_true_fan_out(self):
    x = jnp.zeros((1, 8, 8, 64))
    cases = (
      (layers.Conv(256), math.sqrt(2 / 256)),
      (layers.Conv(64, 3, groups=64), math.sqrt(2 / 9)),
      (layers.Conv(128, 3), math.sqrt(2 / (9 * 128))),
    )
    for layer, expected in cases:
      kernel = layer.init(jax.random.key(0), x)['params']['kernel']
      self.assertAlmostEqual(
        float(kernel.std()) / expected, 1.0, delta=0.1, msg=str(layer)
      )


class ConvNormTest(chex.TestCase):
  def test_statistics_are_those_of_the_batch(self):
    x = jax.random.normal(jax.random.key(0), (8, 4, 4, 3))
    layer = blocks.ConvNorm(5, activation=None)
    variables = layer.init(jax.random.key(1), x, False)
    y, _ = layer.apply(variables, x, True, mutable=['batch_stats'])
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-3)
