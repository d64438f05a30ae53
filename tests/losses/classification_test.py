"""Cross-entropy of a margin loss on one device."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.losses.classification import cosines, margin_cross_entropy
from facejax.losses.margin_loss import make_margin_loss


def _draw(seed, *shape):
  values = np.random.default_rng(seed).normal(size=shape)
  return jnp.asarray(values, jnp.float32)


class CosinesTest(chex.TestCase):
  def test_it_is_the_cosine_whatever_the_lengths(self):
    embeddings, weights = _draw(0, 4, 3), _draw(1, 5, 3)
    expected = np.asarray(embeddings) @ np.asarray(weights).T
    expected /= np.linalg.norm(embeddings, axis=1)[:, None]
    expected /= np.linalg.norm(weights, axis=1)[None]
    np.testing.assert_allclose(
      cosines(embeddings, weights), expected, rtol=1e-5
    )
    scaled = cosines(embeddings * 7, weights * 0.2)
    np.testing.assert_allclose(scaled, expected, rtol=1e-5)

  def test_sub_centres_of_an_identity_lie_side_by_side(self):
    embeddings, weights = _draw(0, 4, 3), _draw(1, 5, 2, 3)
    found = cosines(embeddings, weights)
    self.assertEqual(found.shape, (4, 10))
    np.testing.assert_allclose(
      found[:, 3], cosines(embeddings, weights[1, 1][None])[:, 0], rtol=1e-6
    )

  def test_zero_vectors_have_finite_cosines_and_gradients(self):
    gradients = jax.grad(lambda x, w: cosines(x, w).sum(), argnums=(0, 1))(
      jnp.zeros((2, 3)), jnp.zeros((2, 3))
    )
    for leaf in gradients:
      self.assertTrue(jnp.isfinite(leaf).all())

  def test_half_precision_embeddings_are_compared_in_float32(self):
    embeddings = _draw(0, 4, 3).astype(jnp.bfloat16)
    found = cosines(embeddings, _draw(1, 5, 3))
    self.assertEqual(found.dtype, jnp.float32)
    expected = cosines(embeddings.astype(jnp.float32), _draw(1, 5, 3))
    np.testing.assert_array_equal(found, expected)


class MarginCrossEntropyTest(chex.TestCase):
  def test_known_value(self):
    # Both embeddings lie on class 0; logits are (2, 0).
    embeddings = jnp.array([[5.0, 0.0], [0.1, 0.0]])
    head = {'class_weights': jnp.array([[2.0, 0.0], [0.0, 3.0]])}
    loss, metrics = margin_cross_entropy(
      embeddings,
      jnp.array([0, 1]),
      head,
      margin_loss=make_margin_loss('normface', scale=2.0),
    )
    right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    self.assertAlmostEqual(float(loss), (right + wrong) / 2, places=5)
    self.assertEqual(float(metrics['accuracy']), 0.5)
    self.assertEqual(float(metrics['target_cosine']), 0.5)
    self.assertEqual(float(metrics['hardest_cosine']), 0.5)

  def test_lengths_do_not_matter_to_a_loss_of_angles(self):
    embeddings, weights = _draw(0, 4, 3), _draw(1, 5, 3)

    def loss(embeddings, weights):
      return margin_cross_entropy(
        embeddings,
        jnp.array([0, 1, 2, 4]),
        {'class_weights': weights},
        margin_loss=make_margin_loss('arcface'),
      )[0]

    np.testing.assert_allclose(
      loss(embeddings, weights), loss(embeddings * 7, weights * 0.2), rtol=1e-4
    )

  def test_softmax_is_the_plain_biased_classifier(self):
    embeddings, weights, bias = _draw(0, 4, 3), _draw(1, 5, 3), _draw(2, 5)
    labels = jnp.array([0, 1, 2, 4])

    def by_cosines(weights, bias):
      return margin_cross_entropy(
        embeddings,
        labels,
        {'class_weights': weights, 'bias': bias},
        margin_loss=make_margin_loss('softmax'),
      )[0]

    def by_products(weights, bias):
      logits = embeddings @ weights.T + bias[None]
      return -jax.nn.log_softmax(logits)[jnp.arange(4), labels].mean()

    chex.assert_trees_all_close(
      jax.value_and_grad(by_cosines, argnums=(0, 1))(weights, bias),
      jax.value_and_grad(by_products, argnums=(0, 1))(weights, bias),
      rtol=1e-4,
      atol=1e-6,
    )

  def test_of_sub_centres_the_nearest_counts(self):
    embeddings = jnp.array([[1.0, 0.0]])
    centres = jnp.array([[[0.0, 1.0], [1.0, 0.1]], [[-1.0, 0.0], [0.6, 0.8]]])
    _, metrics = margin_cross_entropy(
      embeddings,
      jnp.array([0]),
      {'class_weights': centres},
      margin_loss=make_margin_loss('sub_center_arcface', sub_centers=2),
    )
    np.testing.assert_allclose(
      metrics['target_cosine'], 1 / math.sqrt(1.01), rtol=1e-5
    )
    np.testing.assert_allclose(metrics['hardest_cosine'], 0.6, rtol=1e-5)
