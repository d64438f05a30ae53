"""The bound form of a margin loss: what heads and training steps rely on."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.losses import margins
from facejax.losses.margin_constants import default_constants
from facejax.losses.margin_loss import MarginLoss, make_margin_loss

LABELS = jnp.array([1, -1, 0])
NORMS = jnp.array([9.0, 20.0, 31.0])


def cosines(margin_loss):
  """[3, 2 C], for two identities."""
  values = np.random.default_rng(1).uniform(-0.8, 0.8, (3, 6))
  values = values[:, : 2 * margin_loss.sub_centers]
  return jnp.asarray(values, jnp.float32)


def logits(margin_loss, cos_theta, step=0):
  params = margin_loss.init_params(2) | margin_loss.init_stats()
  if not margin_loss.normalizes_weights:
    params['weight_norms'] = jnp.array([2.0, 0.5])
  return margin_loss.logits(
    cos_theta, LABELS, norms=NORMS, step=step, params=params
  )


class MarginLossTest(chex.TestCase):
  @parameterized.parameters(*margins.MARGINS)
  def test_runs_on_what_it_starts_and_nothing_else(self, name):
    margin_loss = make_margin_loss(name)
    cos_theta = cosines(margin_loss)
    got = jax.jit(logits, static_argnums=0)(margin_loss, cos_theta, 7)
    self.assertEqual(got.shape, (3, 2))
    self.assertTrue(jnp.isfinite(got).all())
    params = margin_loss.init_params(2) | margin_loss.init_stats()
    params['weight_norms'] = jnp.array([2.0, 0.5])
    expected = margins.MARGINS[name](
      cos_theta, LABELS, norms=NORMS, step=7, params=params
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)

  def test_equal_settings_are_equal_and_compile_once(self):
    first = make_margin_loss('arcface', margin=0.4, scale=32)
    second = make_margin_loss('arcface', scale=32.0, margin=0.4, easy=None)
    self.assertEqual(first, second)
    self.assertEqual(hash(first), hash(second))
    self.assertEqual(first.constants, (('margin', 0.4), ('scale', 32.0)))
    self.assertNotEqual(first, make_margin_loss('arcface', margin=0.4))

  @parameterized.parameters(
    ('softmax', {'bias': np.zeros(3, np.float32)}, ('bias',), False, 1),
    ('normface', {'scale': np.float32(10.0)}, (), True, 1),
    ('arcface', {}, (), True, 1),
    ('sub_center_arcface', {}, (), True, 3),
  )
  def test_what_is_learned_beside_the_class_weights(
    self, name, params, per_identity, normalizes_weights, sub_centers
  ):
    margin_loss = make_margin_loss(name)
    chex.assert_trees_all_equal(margin_loss.init_params(3), params)
    self.assertEqual(margin_loss.per_identity, per_identity)
    self.assertEqual(margin_loss.normalizes_weights, normalizes_weights)
    self.assertEqual(margin_loss.sub_centers, sub_centers)

  def test_the_learned_scale_starts_at_the_constant(self):
    params = make_margin_loss('normface', scale=30).init_params(3)
    self.assertEqual(float(params['scale']), 30.0)

  def test_only_adaface_keeps_statistics(self):
    adaface = make_margin_loss('adaface')
    stats = adaface.init_stats()
    self.assertEqual(float(stats['norm_mean']), 20.0)
    self.assertEqual(float(stats['norm_std']), 100.0)
    stats = adaface.update_stats(stats, NORMS)
    # 20 + (20 - 20) / 100; the deviation of 9, 20 and 31 is 11.
    self.assertAlmostEqual(float(stats['norm_mean']), 20.0, places=5)
    self.assertAlmostEqual(float(stats['norm_std']), 99.11, places=4)
    arcface = make_margin_loss('arcface')
    self.assertEqual(arcface.init_stats(), {})
    self.assertEqual(arcface.update_stats({}, NORMS), {})


class WarmupTest(chex.TestCase):
  @parameterized.parameters(
    ('arcface', {}, {'margin': 0.125}),
    ('cosface', {'margin': 0.2}, {'margin': 0.05}),
    ('am_softmax', {'margin': 0.2}, {'margin': 0.05}),
    ('adaface', {}, {'margin': 0.1}),
    ('sub_center_arcface', {'margin': 0.4}, {'margin': 0.1}),
    (
      'combined_margin',
      {'m1': 1.4, 'm2': 0.4, 'm3': 0.2},
      {'m1': 1.1, 'm2': 0.1, 'm3': 0.05},
    ),
  )
  def test_a_quarter_of_the_way_is_a_quarter_of_the_margin(
    self, name, constants, quarter
  ):
    warm = make_margin_loss(name, warmup_steps=8, **constants)
    weak = make_margin_loss(name, **quarter)
    cos_theta = cosines(warm)
    traced = jax.jit(functools.partial(logits, warm))
    np.testing.assert_allclose(
      traced(cos_theta, jnp.int32(2)), logits(weak, cos_theta), rtol=1e-5
    )
    chex.assert_trees_all_close(warm.settings(2), weak.settings(0), rtol=1e-6)

  def test_starts_without_a_margin_and_ends_with_all_of_it(self):
    warm = make_margin_loss('combined_margin', warmup_steps=8, m1=1.4, m3=0.2)
    for step, expected in ((0, (1.0, 0.0, 0.0)), (8, (1.4, 0.5, 0.2))):
      values = [warm.settings(step)[key] for key in ('m1', 'm2', 'm3')]
      np.testing.assert_allclose(values, expected, rtol=1e-6)
    chex.assert_trees_all_equal(warm.settings(8), warm.settings(10_000))

  def test_settings_name_what_may_change(self):
    self.assertEqual(make_margin_loss('softmax').settings(5), {})
    self.assertEqual(make_margin_loss('normface').settings(5), {})
    a_softmax = make_margin_loss('a_softmax', lambda_min=30)
    # 1000 / 13 at step 100, 1000 / 37 at step 300.
    self.assertAlmostEqual(float(a_softmax.settings(100)['lambda']), 76.923, 3)
    self.assertEqual(float(a_softmax.settings(300)['lambda']), 30.0)
    self.assertEqual(
      float(make_margin_loss('arcface').settings(0)['margin']), 0.5
    )


class FilterTest(chex.TestCase):
  def test_cosines_of_others_above_the_threshold_become_zero(self):
    margin_loss = make_margin_loss('cosface', filter_threshold=0.4, scale=1)
    got = logits(margin_loss, jnp.array([[0.5, 0.9], [0.41, 0.3], [0.9, 0.4]]))
    np.testing.assert_allclose(
      got, [[0.0, 0.55], [0.0, 0.3], [0.55, 0.4]], atol=1e-6
    )

  def test_of_an_identitys_sub_centres_the_nearest_is_judged(self):
    margin_loss = make_margin_loss(
      'sub_center_arcface', filter_threshold=0.4, sub_centers=2, scale=1
    )
    row = jnp.array([[0.5, 0.3, 0.2, 0.5]])
    got = logits(margin_loss, jnp.concatenate([row, row, row]))
    # Without pooling first, the second identity of the last row would keep 0.2.
    target = np.cos(np.pi / 3 + 0.5)
    np.testing.assert_allclose(
      got, [[0.0, target], [0.0, 0.0], [target, 0.0]], atol=1e-6
    )


class RefusalsTest(chex.TestCase):
  @parameterized.parameters(
    ('arcfase', {}, "loss.name='arcfase': use softmax, normface, a_softmax"),
    (
      'cosface',
      {'easy': True},
      'loss.easy: cosface has none; it has margin, scale',
    ),
    ('softmax', {'scale': 1.0}, 'softmax has none; it has no constants'),
    ('arcface', {'scale': 0.0}, 'a number of 0.001 to 10000'),
    ('arcface', {'scale': '64'}, "loss.scale='64': arcface takes a number"),
    ('arcface', {'margin': float('nan')}, 'a number of 0 to 1.57'),
    ('arcface', {'margin': -0.1}, 'loss.margin=-0.1: arcface takes'),
    ('arcface', {'margin': True}, 'loss.margin=True: arcface takes a number'),
    (
      'cosface',
      {'margin': 1.5},
      'loss.margin=1.5: cosface takes a number of 0',
    ),
    ('arcface', {'easy': 1}, 'loss.easy=1: arcface takes True or False'),
    ('arcface', {'easy': True, 'straight_through': True}, 'excludes'),
    ('a_softmax', {'margin': 3.5}, 'takes a whole number of 1 to 8'),
    ('a_softmax', {'margin': 0}, 'takes a whole number of 1 to 8'),
    ('combined_margin', {'m1': 0.0}, 'loss.m1=0.0: combined_margin takes'),
    ('combined_margin', {'margin': 0.5}, 'it has m1, m2, m3, scale'),
    ('sub_center_arcface', {'sub_centers': 0}, 'a whole number of 1 to 100'),
    ('arcface', {'warmup_steps': -1}, 'loss.warmup_steps=-1: use a whole'),
    ('normface', {'warmup_steps': 9}, 'normface has no margin to raise'),
    ('a_softmax', {'warmup_steps': 9}, 'a_softmax has no margin to raise'),
    ('arcface', {'filter_threshold': 1.5}, 'loss.filter_threshold=1.5: use 0'),
  )
  def test_names_the_field_and_what_it_takes(self, name, constants, message):
    with self.assertRaises(UsageError) as caught:
      make_margin_loss(name, **constants)
    self.assertIn(message, str(caught.exception))
    self.assertNotIn('\n', str(caught.exception))

  def test_none_means_the_default(self):
    margin_loss = make_margin_loss('cosface', easy=None, margin=None)
    self.assertEqual(margin_loss, MarginLoss('cosface', ()))

  @parameterized.parameters(*margins.MARGINS)
  def test_every_default_is_within_its_range(self, name):
    constants = default_constants(name)
    self.assertEqual(
      dict(make_margin_loss(name, **constants).constants), constants
    )
