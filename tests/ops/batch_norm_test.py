"""Batch normalisation and its hand-written gradient are those of autodiff."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.ops.batch_norm import batch_norm, moments


def plain(x, scale, bias, epsilon):
  """The definition, for autodiff."""
  mean = x.mean((0, 1, 2), keepdims=True)
  var = ((x - mean) ** 2).mean((0, 1, 2), keepdims=True)
  h = (x - mean) / jnp.sqrt(var + epsilon)
  return h * scale.reshape(1, 1, 1, -1) + bias.reshape(1, 1, 1, -1)


def example():
  generator = np.random.default_rng(0)
  x = jnp.asarray(generator.normal(2, 3, (4, 5, 3, 7)), jnp.float32)
  scale, bias = jnp.asarray(generator.normal(size=(2, 7)), jnp.float32)
  return x, scale, bias


class BatchNormTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_value_and_gradients_are_the_definitions(self):
    x, scale, bias = example()
    weights = jnp.sin(jnp.arange(x.size, dtype=jnp.float32)).reshape(x.shape)

    def loss(norm):
      def value(x, scale, bias):
        return (weights * jnp.sin(norm(x, scale, bias))).sum()

      return self.variant(jax.value_and_grad(value, argnums=(0, 1, 2)))

    got = loss(lambda *args: batch_norm(*args, jnp.float32(1e-5))[0])
    expected = loss(lambda *args: plain(*args, 1e-5))
    chex.assert_trees_all_close(
      got(x, scale, bias), expected(x, scale, bias), rtol=1e-4, atol=1e-4
    )

  def test_it_returns_the_statistics(self):
    x, scale, bias = example()
    mean, var = batch_norm(x, scale, bias, jnp.float32(1e-5))[1]
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(var, x.var((0, 1, 2)), rtol=1e-5)
    for got, expected in zip(moments(x), (mean, var), strict=True):
      np.testing.assert_allclose(got, expected)

  def test_a_constant_channel_has_no_variance(self):
    constant = jnp.full((64, 1), 1000.1)
    self.assertGreaterEqual(float(moments(constant)[1][0]), 0)

  @parameterized.parameters(jnp.bfloat16, jnp.float16)
  def test_half_precision_has_float32_statistics(self, dtype):
    x, scale, bias = example()
    (y, (mean, var)), pull = jax.vjp(
      lambda x: batch_norm(x, scale, bias, jnp.float32(1e-5)), x.astype(dtype)
    )
    (dx,) = pull((y, (jnp.zeros_like(mean), jnp.zeros_like(var))))
    self.assertEqual((y.dtype, dx.dtype), (dtype, dtype))
    self.assertEqual((mean.dtype, var.dtype), (jnp.float32, jnp.float32))
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-2)
