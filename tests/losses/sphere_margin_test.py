"""A-Softmax: psi on its intervals, the lambda schedule, both gradients."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.losses import margins
from tests.losses import numpy_margins


def psi(angles, margin=4):
  """psi by the public function: lambda 0 and length 1."""
  cosines = jnp.cos(jnp.asarray(angles, jnp.float32))[:, None]
  rows = len(cosines)
  bound = functools.partial(
    margins.a_softmax, step=0, margin=margin, lambda_base=0.0, lambda_min=0.0
  )
  return jax.jit(bound)(
    cosines, jnp.zeros(rows, jnp.int32), norms=jnp.ones(rows)
  )[:, 0]


class PsiTest(chex.TestCase):
  def test_known_values(self):
    angles = [0, math.pi / 8, math.pi / 3, 2.0, math.pi]
    # 60 degrees lie in the second interval: -cos 240 - 2 = -1.5.
    expected = [1.0, 0.0, -1.5, -4.1455000, -7.0]
    np.testing.assert_allclose(psi(angles), expected, atol=1e-5)

  def test_is_continuous_at_the_joints(self):
    joints = np.array([1, 2, 3]) * math.pi / 4
    np.testing.assert_allclose(psi(joints), [-1.0, -3.0, -5.0], atol=1e-5)
    np.testing.assert_allclose(
      psi(joints - 1e-3), psi(joints + 1e-3), atol=1e-4
    )

  def test_equals_the_branch_free_form_for_four(self):
    c = np.cos(np.linspace(0.01, 3.13, 300))
    g0 = np.sign(c)
    g3 = g0 * np.sign(2 * c**2 - 1)
    expected = g3 * (8 * c**4 - 8 * c**2 + 1) + 2 * g0 + g3 - 3
    np.testing.assert_allclose(psi(np.arccos(c)), expected, atol=2e-5)

  @parameterized.parameters(1, 2, 3, 5, 8)
  def test_equals_the_cosine_of_any_multiple(self, margin):
    angles = np.linspace(0.01, 3.13, 300)
    expected = [numpy_margins.a_softmax_psi(t, margin) for t in angles]
    np.testing.assert_allclose(psi(angles, margin), expected, atol=1e-4)


class LambdaTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  def test_schedule_of_the_authors_ends_at_step_1659(self):
    schedule = self.variant(margins.a_softmax_lambda)
    # 1000 / 13; 1000 / 199.96; 1000 / 200.08 < 5.
    for step, expected in ((0, 1000.0), (100, 76.923077), (1658, 5.0010002)):
      self.assertAlmostEqual(float(schedule(step)), expected, places=4)
    for step in (1659, 10_000_000):
      self.assertEqual(float(schedule(step)), 5.0)

  def test_schedule_of_the_pytorch_port(self):
    # 1500 / (1 + 0.1 x 490) = 30.
    value = margins.a_softmax_lambda(490, base=1500, gamma=0.1)
    self.assertAlmostEqual(float(value), 30.0, places=4)

  def test_power_bends_the_fall(self):
    value = margins.a_softmax_lambda(75, gamma=0.04, power=2, minimum=0)
    self.assertAlmostEqual(float(value), 62.5, places=4)

  def test_mixes_the_plain_cosine_into_the_target_alone(self):
    logits = margins.a_softmax(
      jnp.array([[0.5, 0.25]]),
      jnp.array([0]),
      norms=jnp.array([8.0]),
      step=1659,
    )
    # 8 (5 x 0.5 - 1.5) / 6 and 8 x 0.25.
    np.testing.assert_allclose(logits, [[1.3333333, 2.0]], rtol=1e-5)


def official_embedding_gradient(x, w, weight):
  """Of the target logit, as the CUDA layer for m = 4 writes it."""
  norm = np.linalg.norm(x)
  c = x @ w / norm
  sign_0 = np.sign(c)
  sign_3 = sign_0 * np.sign(2 * c**2 - 1)
  sign_4 = 2 * sign_0 + sign_3 - 3
  coeff_w = sign_3 * (32 * c**3 - 16 * c)
  coeff_x = -(sign_3 * (24 * c**4 - 8 * c**2 - 1) - sign_4) / norm
  length = math.hypot(coeff_w, coeff_x)
  margin_part = (coeff_w * w + coeff_x * x) / length
  return (margin_part + weight * w) / (1 + weight)


class RescaledGradientTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    generator = np.random.default_rng(0)
    self.x = generator.normal(size=(20, 6)).astype(np.float32) * 3
    w = generator.normal(size=(20, 6)).astype(np.float32)
    self.w = w / np.linalg.norm(w, axis=1, keepdims=True)

  def logit(self, x, w, rescale_gradient=True):
    norm, length = jnp.linalg.norm(x), jnp.linalg.norm(w)
    logits = margins.a_softmax(
      (x @ w / norm / length)[None, None],
      jnp.array([0]),
      norms=norm[None],
      step=1659,
      rescale_gradient=rescale_gradient,
    )
    return logits[0, 0]

  def test_embeddings_get_the_gradient_of_the_official_layer(self):
    gradients = jax.jit(jax.vmap(jax.grad(self.logit)))(self.x, self.w)
    for x, w, gradient in zip(self.x, self.w, gradients, strict=True):
      np.testing.assert_allclose(
        gradient, official_embedding_gradient(x, w, 5.0), rtol=1e-3, atol=1e-4
      )

  def test_class_weights_get_p_over_n_of_what_lies_across_them(self):
    x, w = self.x[0], self.w[0]
    norm = np.linalg.norm(x)
    c = x @ w / norm
    slope = jax.jit(jax.grad(lambda c: psi(jnp.arccos(c)[None])[0]))(c)
    value = psi(np.arccos([c]))[0]
    share = slope / math.hypot(slope, (value - c * slope) / norm)
    expected = (share + 5.0) / 6.0 * (x - (x @ w) * w)
    gradient = jax.jit(jax.grad(self.logit, argnums=1))(x, w)
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4)

  def test_values_stay(self):
    plain = jax.jit(jax.vmap(lambda x, w: self.logit(x, w, False)))
    rescaled = jax.jit(jax.vmap(self.logit))
    np.testing.assert_array_equal(
      plain(self.x, self.w), rescaled(self.x, self.w)
    )
