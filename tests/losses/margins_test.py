"""Margins against hand-computed constants and their defining properties."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized
from jax.test_util import check_grads

from facejax.losses import classification, margins


class ArcFaceTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_known_values(self):
    cosine = jnp.array([[0.5, 0.2], [-0.95, 0.1]])
    labels = jnp.array([0, 0])
    arcface = self.variant(functools.partial(margins.arcface, scale=2.0))
    # cos(pi / 3 + 0.5) = 0.0235966; cos t = -0.95 lies beyond pi - 0.5,
    # so -0.95 - 0.5 sin 0.5 = -1.1897128.
    expected = [[0.0471932, 0.4], [-2.3794255, 0.2]]
    np.testing.assert_allclose(arcface(cosine, labels), expected, atol=1e-5)

  @parameterized.parameters(*margins.MARGINS)
  def test_target_logit_decreases_over_all_angles(self, name):
    angles = jnp.linspace(0.0, math.pi, 2001)
    labels = jnp.zeros(len(angles), jnp.int32)
    logits = margins.MARGINS[name](jnp.cos(angles)[:, None], labels, scale=1.0)
    self.assertTrue((jnp.diff(logits[:, 0]) <= 1e-6).all())

  @parameterized.parameters(*margins.MARGINS)
  def test_gradients_are_finite_at_the_poles(self, name):
    cosine = jnp.array([[1.0, -1.0], [-1.0, 1.0]])
    labels = jnp.array([0, 0])

    def loss(cosine):
      logits = margins.MARGINS[name](cosine, labels)
      return -jax.nn.log_softmax(logits)[:, 0].sum()

    self.assertTrue(jnp.isfinite(jax.grad(loss)(cosine)).all())

  @parameterized.parameters('arcface', 'cosface')
  def test_numerical_gradient(self, name):
    cosine = jnp.array([[0.3, -0.4, 0.8], [0.1, 0.6, -0.2]])
    labels = jnp.array([2, 0])
    logits = functools.partial(margins.MARGINS[name], scale=3.0)
    check_grads(
      lambda c: logits(jnp.asarray(c), labels), (cosine,), 1, rtol=1e-2
    )

  @parameterized.parameters('arcface', 'cosface')
  def test_margin_zero_is_normface(self, name):
    cosine = jnp.linspace(-0.9, 0.9, 12).reshape(3, 4)
    labels = jnp.array([0, 3, 1])
    np.testing.assert_allclose(
      margins.MARGINS[name](cosine, labels, scale=5.0, margin=0.0),
      margins.normface(cosine, labels, scale=5.0),
      atol=1e-6,
    )

  @parameterized.parameters('arcface', 'cosface')
  def test_label_minus_one_leaves_a_row_alone(self, name):
    cosine = jnp.array([[0.5, 0.2, -0.3]])
    logits = margins.MARGINS[name](cosine, jnp.array([-1]), scale=2.0)
    np.testing.assert_allclose(logits, 2 * cosine, rtol=1e-6)

  def test_cosface_known_values(self):
    logits = margins.cosface(
      jnp.array([[0.5, 0.2]]), jnp.array([0]), scale=10.0, margin=0.35
    )
    np.testing.assert_allclose(logits, [[1.5, 2.0]], atol=1e-6)

  def test_half_precision_cosines_give_float32_logits(self):
    cosine = jnp.array([[0.5, 0.2]], jnp.bfloat16)
    for name, function in margins.MARGINS.items():
      logits = function(cosine, jnp.array([0]))
      self.assertEqual(logits.dtype, jnp.float32, name)


class MarginCrossEntropyTest(chex.TestCase):
  def test_known_value(self):
    # Both embeddings lie on class 0; logits are (2, 0).
    embeddings = jnp.array([[5.0, 0.0], [0.1, 0.0]])
    weights = jnp.array([[2.0, 0.0], [0.0, 3.0]])
    loss, accuracy = classification.margin_cross_entropy(
      embeddings,
      jnp.array([0, 1]),
      weights,
      margin_function=functools.partial(margins.normface, scale=2.0),
    )
    right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    self.assertAlmostEqual(float(loss), (right + wrong) / 2, places=5)
    self.assertEqual(float(accuracy), 0.5)

  def test_lengths_do_not_matter(self):
    generator = np.random.default_rng(0)
    embeddings = jnp.asarray(generator.normal(size=(4, 3)), jnp.float32)
    weights = jnp.asarray(generator.normal(size=(5, 3)), jnp.float32)
    labels = jnp.array([0, 1, 2, 4])
    loss = functools.partial(
      classification.margin_cross_entropy, margin_function=margins.arcface
    )
    np.testing.assert_allclose(
      loss(embeddings, labels, weights)[0],
      loss(embeddings * 7, labels, weights * 0.2)[0],
      rtol=1e-4,
    )
