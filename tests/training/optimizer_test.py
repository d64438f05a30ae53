import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.training.optimizer import (
  clip_net,
  decay_weights,
  freeze,
  make_optimizer,
  make_schedule,
)


def _rates(kind, steps, **options):
  schedule = make_schedule(kind, peak=1.0, total_steps=100, **options)
  return [float(schedule(jnp.int32(step))) for step in steps]


class ScheduleTest(chex.TestCase):
  def test_steps_multiply_from_each_milestone_on(self):
    np.testing.assert_allclose(
      _rates('steps', [0, 29, 30, 59, 60, 99], milestones=(30, 60)),
      [1, 1, 0.1, 0.1, 0.01, 0.01],
      rtol=1e-6,
    )

  def test_milestones_count_from_the_start_of_the_run(self):
    np.testing.assert_allclose(
      _rates(
        'steps', [9, 10, 29, 30], milestones=(30,), warmup_steps=10, factor=0.5
      ),
      [1, 1, 1, 0.5],
      rtol=1e-6,
    )

  def test_cosine_is_half_way_down_in_the_middle_and_ends_at_zero(self):
    np.testing.assert_allclose(
      _rates('cosine', [0, 25, 50, 75, 100]),
      [1, (1 + np.sqrt(0.5)) / 2, 0.5, (1 - np.sqrt(0.5)) / 2, 0],
      atol=1e-6,
    )

  def test_poly_falls_in_a_line_or_along_a_power_to_zero(self):
    np.testing.assert_allclose(
      _rates('poly', [20, 60, 100], warmup_steps=20), [1, 0.5, 0], atol=1e-6
    )
    np.testing.assert_allclose(
      _rates('poly', [0, 50, 100], power=2.0), [1, 0.25, 0], atol=1e-6
    )

  def test_cosine_falls_after_the_warm_up(self):
    np.testing.assert_allclose(
      _rates('cosine', [20, 60, 100], warmup_steps=20), [1, 0.5, 0], atol=1e-6
    )

  @parameterized.parameters('steps', 'poly', 'cosine', 'constant')
  def test_the_warm_up_rises_linearly_and_wastes_no_step(self, kind):
    np.testing.assert_allclose(
      _rates(kind, [0, 1, 2, 3, 4], warmup_steps=4),
      [0.25, 0.5, 0.75, 1, 1],
      rtol=1e-6,
    )

  @parameterized.parameters(0, 1)
  def test_a_warm_up_of_at_most_one_step_starts_at_the_peak(self, steps):
    self.assertEqual(_rates('constant', [0, 1], warmup_steps=steps), [1, 1])

  @parameterized.parameters(
    ({'kind': 'linear'}, "kind='linear': use steps, poly, cosine or constant"),
    ({'kind': 'cosine', 'warmup_steps': 101}, 'warmup_steps=101 is not within'),
    ({'kind': 'cosine', 'warmup_steps': -1}, 'warmup_steps=-1 is not within'),
    (
      {'kind': 'steps', 'warmup_steps': 9, 'milestones': (30, 9)},
      '9 is not after the 9 steps of warm-up',
    ),
  )
  def test_what_cannot_be_is_refused(self, options, message):
    with self.assertRaisesRegex(UsageError, message):
      make_schedule(peak=1.0, total_steps=100, **options)


class OptimizerTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.params = {'a': {'kernel': jnp.array([2.0])}, 'b': jnp.array([3.0])}
    self.gradients = {'a': {'kernel': jnp.array([1.0])}, 'b': jnp.array([4.0])}

  def _run(self, steps, **options):
    tx = make_optimizer(optax.constant_schedule(0.5), **options)
    state, params = tx.init(self.params), self.params
    for _ in range(steps):
      updates, state = tx.update(self.gradients, state, params)
      params = optax.apply_updates(params, updates)
    return [float(x[0]) for x in jax.tree.leaves(params)]

  def test_plain_descent(self):
    self.assertEqual(self._run(1, momentum=0.0), [2 - 0.5, 3 - 2])

  def test_momentum_sums_the_past_gradients(self):
    # v = 1, then 0.5 * 1 + 1 = 1.5; w = 2 - 0.5 * 1 - 0.5 * 1.5.
    self.assertEqual(self._run(2, momentum=0.5)[0], 0.75)

  def test_nesterov_looks_ahead(self):
    # Step one takes g + 0.5 v = 1.5, step two 1 + 0.5 * 1.5 = 1.75.
    result = self._run(2, momentum=0.5, nesterov=True)[0]
    self.assertEqual(result, 2 - 0.5 * (1.5 + 1.75))

  def test_decay_goes_through_the_momentum_by_the_first_rule(self):
    # v1 = 1 + 0.1 * 2 = 1.2, w1 = 1.4; v2 = 0.6 + 1 + 0.14 = 1.74.
    result = self._run(
      2, momentum=0.5, weight_decay=[('.*kernel', 0.1), ('.*', 0.0)]
    )
    np.testing.assert_allclose(result, [1.4 - 0.87, 3 - 2 - 3], rtol=1e-6)

  def test_a_parameter_without_a_rule_does_not_decay(self):
    tx = decay_weights([('a/.*', 0.1)])
    updates, _ = tx.update(self.gradients, tx.init(self.params), self.params)
    np.testing.assert_allclose(updates['a']['kernel'], 1.2, rtol=1e-6)
    np.testing.assert_array_equal(updates['b'], [4.0])

  def test_frozen_parameters_stay_to_the_bit_in_spite_of_decay(self):
    result = self._run(3, weight_decay=[('.*', 0.1)], frozen=('a/.*',))
    self.assertEqual(result[0], 2.0)
    self.assertLess(result[1], 3.0)

  def test_freezing_zeroes_even_what_is_not_a_number(self):
    tx = freeze(['a/.*'])
    bad = {'a': {'kernel': jnp.array([jnp.nan])}, 'b': jnp.array([1.0])}
    updates, _ = tx.update(bad, tx.init(self.params))
    np.testing.assert_array_equal(updates['a']['kernel'], [0.0])

  def test_momentum_bears_the_names_of_the_parameters(self):
    from facejax import trees

    state = make_optimizer(optax.constant_schedule(0.5)).init(self.params)
    names = list(trees.named_leaves(state))
    self.assertTrue(any(name.endswith('/a/kernel') for name in names), names)


class ClipTest(chex.TestCase):
  def test_the_net_is_shortened_and_the_head_left_alone(self):
    gradients = {
      'stem': jnp.array([3.0, 0.0]),
      'tail': jnp.array([0.0, 4.0]),
      'head': {'class_weights': jnp.array([[30.0]])},
    }
    clipped, _ = clip_net(1.0).update(gradients, optax.EmptyState())
    np.testing.assert_allclose(clipped['stem'], [0.6, 0], rtol=1e-5)
    np.testing.assert_allclose(clipped['tail'], [0, 0.8], rtol=1e-5)
    self.assertEqual(clipped['head']['class_weights'], 30.0)

  def test_a_shorter_gradient_stays(self):
    gradients = {'stem': jnp.array([3.0, 4.0])}
    clipped, _ = clip_net(5.1).update(gradients, optax.EmptyState())
    np.testing.assert_array_equal(clipped['stem'], gradients['stem'])

  def test_the_whole_optimizer_clips_before_decay_and_momentum(self):
    tx = make_optimizer(
      lambda step: 1.0, clip_norm=1.0, weight_decay=[('.*', 0.5)]
    )
    params = {'stem': jnp.array([2.0])}
    updates, _ = tx.update({'stem': jnp.array([10.0])}, tx.init(params), params)
    np.testing.assert_allclose(updates['stem'], [-2.0], rtol=1e-5)


class RateTest(chex.TestCase):
  def test_the_first_rule_that_matches_multiplies_the_rate(self):
    tx = make_optimizer(
      lambda step: 0.1,
      rate_multipliers=[('a/bias', 2.0), ('a/.*', 10.0)],
    )
    params = {
      'a': {'bias': jnp.ones(1), 'kernel': jnp.ones(1)},
      'b': jnp.ones(1),
    }
    updates, _ = tx.update(params, tx.init(params), params)
    np.testing.assert_allclose(updates['a']['bias'], [-0.2], rtol=1e-6)
    np.testing.assert_allclose(updates['a']['kernel'], [-1.0], rtol=1e-6)
    np.testing.assert_allclose(updates['b'], [-0.1], rtol=1e-6)
