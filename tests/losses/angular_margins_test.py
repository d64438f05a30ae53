"""Margins of the angle: known values, the joints, whose gradient it is."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.losses import margins

ALL_ANGLES = jnp.cos(jnp.linspace(0.0, math.pi, 721))


def target(function, cosines, **constants):
  """Target logits [N] of cosines [N] at scale 1."""
  labels = jnp.zeros(len(cosines), jnp.int32)
  bound = functools.partial(function, scale=1.0, **constants)
  return jax.jit(bound)(cosines[:, None], labels)[:, 0]


def target_slope(function, cosines, **constants):
  def total(cosines):
    return target(function, cosines, **constants).sum()

  return jax.jit(jax.grad(total))(cosines)


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

  def test_jumps_down_where_the_angle_passes_pi(self):
    # At theta = pi - 0.5, c = -0.87758: from -1 to -0.87758 - 0.23971.
    sides = jnp.cos(jnp.array([math.pi - 0.5 - 1e-4, math.pi - 0.5 + 1e-4]))
    np.testing.assert_allclose(
      target(margins.arcface, sides), [-1.0, -1.11734], atol=1e-4
    )

  def test_slope_is_the_true_one(self):
    # d cos(theta + m) / d cos(theta) = sin(theta + m) / sin(theta); at
    # theta = pi / 2 that is cos(0.5), beyond pi - m it is 1.
    slopes = target_slope(margins.arcface, jnp.array([0.0, 0.5, -0.95]))
    middle = math.sin(math.pi / 3 + 0.5) / math.sin(math.pi / 3)
    np.testing.assert_allclose(slopes, [math.cos(0.5), middle, 1.0], rtol=1e-5)

  def test_easy_margin_ends_at_ninety_degrees(self):
    cosines = jnp.array([0.5, 1e-7, 0.0, -0.5, -0.95])
    # Just before 90 degrees -sin 0.5, from there on the cosine itself.
    np.testing.assert_allclose(
      target(margins.arcface, cosines, easy=True),
      [0.0235966, -0.4794255, 0.0, -0.5, -0.95],
      atol=1e-6,
    )

  def test_easy_and_straight_through_exclude_each_other(self):
    with self.assertRaisesRegex(ValueError, 'easy and straight_through'):
      target(margins.arcface, ALL_ANGLES, easy=True, straight_through=True)


class StraightThroughTest(chex.TestCase):
  def test_value_rises_again_beyond_pi_without_the_fallback(self):
    # cos(acos(-0.95) + 0.5) = cos(3.3240) = -0.98340.
    values = target(
      margins.arcface, jnp.array([0.5, -0.95, 1.0]), straight_through=True
    )
    np.testing.assert_allclose(
      values, [0.0235966, -0.9834006, math.cos(0.5)], atol=2e-5
    )

  @parameterized.parameters(
    ('arcface', {}),
    ('combined_margin', {}),
    ('combined_margin', {'m1': 0.9, 'm2': 0.4, 'm3': 0.15}),
  )
  def test_slope_is_one_everywhere(self, name, constants):
    slopes = target_slope(
      margins.MARGINS[name], ALL_ANGLES, straight_through=True, **constants
    )
    np.testing.assert_array_equal(slopes, np.ones(len(ALL_ANGLES)))

  def test_loss_has_s_times_softmax_minus_one_hot_as_its_gradient(self):
    cosine = jnp.array([[0.9, 0.3, -0.2], [-0.99, 0.1, 0.6]])
    labels = jnp.array([0, 0])
    arcface = functools.partial(
      margins.arcface, scale=8.0, straight_through=True
    )

    def loss(cosine):
      return -jax.nn.log_softmax(arcface(cosine, labels))[:, 0].sum()

    probabilities = jax.nn.softmax(arcface(cosine, labels))
    np.testing.assert_allclose(
      jax.jit(jax.grad(loss))(cosine),
      8.0 * (probabilities - jax.nn.one_hot(labels, 3)),
      rtol=1e-5,
      atol=1e-6,
    )


class CombinedMarginTest(chex.TestCase):
  @parameterized.parameters(
    # cos(1.0471976 + 0.3) - 0.2; cos(1.35 x 1.0471976);
    # cos(0.9 x 1.0471976 + 0.4) - 0.15.
    ({'m1': 1.0, 'm2': 0.3, 'm3': 0.2}, 0.0217402),
    ({'m1': 1.35, 'm2': 0.0, 'm3': 0.0}, 0.1564345),
    ({'m1': 0.9, 'm2': 0.4, 'm3': 0.15}, 0.0763400),
  )
  def test_known_values_at_sixty_degrees(self, constants, expected):
    value = target(margins.combined_margin, jnp.array([0.5]), **constants)
    self.assertAlmostEqual(float(value[0]), expected, places=6)

  def test_beyond_pi_follows_the_cosine_below_minus_one(self):
    # 1.35 acos(-0.9) > pi; a = pi - pi / 1.35 = 0.8144870, a sin a = 0.5924364.
    value = target(
      margins.combined_margin, jnp.array([-0.9]), m1=1.35, m2=0.0, m3=0.1
    )
    self.assertAlmostEqual(float(value[0]), -0.9 - 0.5924364 - 0.1, places=5)

  @parameterized.parameters(0.3, 0.5, 1.5)
  def test_an_added_angle_alone_is_arcface_at_every_angle(self, margin):
    np.testing.assert_allclose(
      target(margins.combined_margin, ALL_ANGLES, m2=margin),
      target(margins.arcface, ALL_ANGLES, margin=margin),
      atol=1e-6,
    )
    np.testing.assert_allclose(
      target_slope(margins.combined_margin, ALL_ANGLES[1:-1], m2=margin),
      target_slope(margins.arcface, ALL_ANGLES[1:-1], margin=margin),
      rtol=1e-3,
    )

  def test_a_cosine_margin_alone_is_cosface(self):
    np.testing.assert_allclose(
      target(margins.combined_margin, ALL_ANGLES, m2=0.0, m3=0.35),
      target(margins.cosface, ALL_ANGLES, margin=0.35),
      atol=1e-6,
    )


class SubCenterTest(chex.TestCase):
  def test_the_nearest_of_neighbouring_columns_counts(self):
    cosine = jnp.array([[0.1, 0.5, -0.2, 0.3, 0.2, 0.25]])
    np.testing.assert_allclose(
      margins.pool_sub_centers(cosine, 3), [[0.5, 0.3]], rtol=1e-6
    )
    np.testing.assert_allclose(
      margins.pool_sub_centers(cosine, 2), [[0.5, 0.3, 0.25]], rtol=1e-6
    )
    logits = margins.sub_center_arcface(cosine, jnp.array([0]), scale=1.0)
    np.testing.assert_allclose(logits, [[0.0235966, 0.3]], atol=1e-6)

  def test_only_the_nearest_gets_a_gradient(self):
    cosine = jnp.array([[0.1, 0.5, -0.2, 0.3, 0.2, 0.25]])
    labels = jnp.array([-1])
    gradient = jax.jit(
      jax.grad(lambda c: margins.sub_center_arcface(c, labels, scale=1.0).sum())
    )(cosine)
    np.testing.assert_array_equal(gradient, [[0, 1, 0, 1, 0, 0]])

  def test_one_sub_center_is_arcface(self):
    cosine, labels = jnp.array([[0.5, -0.4], [0.1, 0.8]]), jnp.array([1, 0])
    np.testing.assert_array_equal(
      margins.sub_center_arcface(cosine, labels, sub_centers=1),
      margins.arcface(cosine, labels),
    )

  @parameterized.parameters(4, 0)
  def test_refuses_what_does_not_divide_the_columns(self, sub_centers):
    with self.assertRaisesRegex(ValueError, '6 columns are no whole'):
      margins.pool_sub_centers(jnp.zeros((1, 6)), sub_centers)
