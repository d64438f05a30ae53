"""Losses without a margin or with one in the cosine, by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.losses import margins


class CosineMarginsTest(chex.TestCase):
  def test_softmax_is_a_dense_layer(self):
    embeddings = jnp.array([[3.0, 4.0], [-1.0, 0.0]])
    weights = jnp.array([[2.0, 0.0], [0.0, -0.5], [1.0, 1.0]])
    lengths = jnp.linalg.norm(weights, axis=1)
    norms = jnp.linalg.norm(embeddings, axis=1)
    products = embeddings @ weights.T
    logits = margins.softmax(
      products / norms[:, None] / lengths[None, :],
      jnp.array([0, 2]),
      norms=norms,
      params={'weight_norms': lengths, 'bias': jnp.array([1.0, 0.0, -1.0])},
    )
    # <(3, 4), (2, 0)> + 1, <(3, 4), (0, -0.5)>, 3 + 4 - 1; the next likewise.
    np.testing.assert_allclose(logits, [[7, -2, 6], [-1, 0, -2]], atol=1e-5)

  def test_normface_takes_the_learned_scale_before_the_constant(self):
    cosine, labels = jnp.array([[0.5, -0.25]]), jnp.array([0])
    np.testing.assert_allclose(
      margins.normface(cosine, labels), [[5.0, -2.5]], rtol=1e-6
    )
    learned = {'scale': jnp.float32(4.0)}
    logits = margins.normface(cosine, labels, params=learned, scale=9.0)
    np.testing.assert_allclose(logits, [[2.0, -1.0]], rtol=1e-6)

  def test_normface_scale_has_the_sum_of_cosines_as_its_gradient(self):
    cosine, labels = jnp.array([[0.5, -0.25], [0.25, 1.0]]), jnp.array([0, 1])
    gradient = jax.grad(
      lambda s: margins.normface(cosine, labels, params={'scale': s}).sum()
    )(jnp.float32(4.0))
    self.assertAlmostEqual(float(gradient), 1.5, places=6)

  def test_cosface_known_values(self):
    logits = margins.cosface(
      jnp.array([[0.5, 0.2]]), jnp.array([0]), scale=10.0, margin=0.35
    )
    np.testing.assert_allclose(logits, [[1.5, 2.0]], atol=1e-6)

  def test_am_softmax_and_cosface_differ_in_their_scale(self):
    cosine, labels = jnp.array([[0.85, 0.5]]), jnp.array([0])
    np.testing.assert_allclose(
      margins.am_softmax(cosine, labels), [[15.0, 15.0]], rtol=1e-6
    )
    np.testing.assert_allclose(
      margins.cosface(cosine, labels), [[32.0, 32.0]], rtol=1e-6
    )
