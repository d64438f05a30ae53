"""The bound settings of a hash layer: what steps rely on, what is refused."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from configs import base
from facejax.errors import UsageError
from facejax.losses import hashing
from facejax.losses.hash_objective import HashObjective, make_hash_objective
from facejax.losses.margin_loss import make_margin_loss
from facejax.losses.margins import MARGINS

F = jnp.array([[3.0, 4.0], [0.0, -2.0]])
U = jnp.array([[0.5, -1.0, 2.0], [-0.1, 0.0, 3.0]])


class InputTest(chex.TestCase):
  def test_the_splice_holds_the_values_as_they_are(self):
    found = make_hash_objective().classifier_input(F, U, 0)
    np.testing.assert_array_equal(found[:, :2], F)
    np.testing.assert_allclose(found[:, 2:], np.tanh(U), rtol=1e-6)

  def test_the_hash_form_sees_the_code_alone(self):
    objective = make_hash_objective(classifier='hash', activation='sign')
    np.testing.assert_array_equal(
      objective.classifier_input(F, U, 0), [[1, -1, 1], [-1, -1, 1]]
    )

  def test_parts_of_unit_length_are_the_ablation(self):
    objective = make_hash_objective(normalize_parts=True, activation='sign')
    root = 3**-0.5
    np.testing.assert_allclose(
      objective.classifier_input(F, U, 0),
      [[0.6, 0.8, root, -root, root], [0, -1, -root, -root, root]],
      rtol=1e-6,
    )

  @parameterized.parameters(('spliced', 1152), ('hash', 128))
  def test_the_size_is_that_of_the_input(self, classifier, size):
    objective = make_hash_objective(classifier=classifier)
    self.assertEqual(objective.classifier_size(1024, 128), size)
    shape = jax.eval_shape(
      lambda f, u: objective.classifier_input(f, u, 0),
      jnp.zeros((2, 1024)),
      jnp.zeros((2, 128)),
    ).shape
    self.assertEqual(shape, (2, size))

  def test_the_classifier_reaches_both_layers(self):
    for objective in (make_hash_objective(), make_hash_objective(beta=3)):
      gradients = jax.grad(
        lambda f, u, o=objective: o.classifier_input(f, u, 0).sum(), (0, 1)
      )(F, U)
      np.testing.assert_array_equal(gradients[0], 1)
      beta = objective.beta
      np.testing.assert_allclose(
        gradients[1], beta * (1 - np.tanh(beta * U) ** 2), atol=1e-5
      )

  def test_half_precision_is_spliced_as_float32(self):
    found = make_hash_objective().classifier_input(
      F.astype(jnp.bfloat16), U.astype(jnp.bfloat16), 0
    )
    self.assertEqual(found.dtype, jnp.float32)
    np.testing.assert_array_equal(found[:, :2], F)

  def test_beta_moves_with_the_step(self):
    objective = make_hash_objective(beta_final=10, total_steps=11)
    relax = jax.jit(lambda u, step: objective.relax(u, step))
    np.testing.assert_allclose(relax(U, 0), np.tanh(U), rtol=1e-5)
    np.testing.assert_allclose(relax(U, 10), np.tanh(10 * U), rtol=1e-5)


class LossTest(chex.TestCase):
  def test_the_sum_is_of_the_weighted_losses(self):
    objective = make_hash_objective(
      quantization='l1',
      quantization_weight=0.5,
      balance_weight=2,
      independence_weight=3.0,
    )
    loss, metrics = jax.jit(objective.loss)(F, U, 0)
    code = jnp.tanh(U)
    expected = {
      'hash_quantization': hashing.l1_quantization(code),
      'hash_balance': hashing.bit_balance(code),
      'hash_independence': hashing.bit_independence(code),
      'feature_norm': 3.5,
      'hash_norm': np.linalg.norm(code, axis=1).mean(),
      'hash_beta': 1.0,
    }
    chex.assert_trees_all_close(metrics, expected, rtol=1e-5)
    self.assertAlmostEqual(
      float(loss),
      0.5 * float(expected['hash_quantization'])
      + 2 * float(expected['hash_balance'])
      + 3 * float(expected['hash_independence']),
      places=5,
    )

  def test_of_a_sign_the_logits_are_held_near_one(self):
    objective = make_hash_objective(activation='sign', quantization_weight=1)
    loss, metrics = objective.loss(F, U, 0)
    # (0.5^2 + 0 + 1 + 0.9^2 + 1 + 2^2) / 6.
    self.assertAlmostEqual(float(loss), 7.06 / 6, places=5)
    self.assertNotIn('hash_beta', metrics)
    self.assertAlmostEqual(float(metrics['hash_norm']), 3**0.5, places=5)

  def test_none_adds_nothing_and_still_measures(self):
    loss, metrics = make_hash_objective(quantization='none').loss(F, U, 0)
    self.assertEqual(float(loss), 0.0)
    np.testing.assert_allclose(
      metrics['hash_quantization'], np.mean((np.abs(np.tanh(U)) - 1) ** 2),
      rtol=1e-5,
    )  # fmt: skip

  def test_a_loss_without_weight_has_no_gradient(self):
    objective = make_hash_objective(quantization_weight=0)
    gradient = jax.grad(lambda u: objective.loss(F, u, 0)[0])(U)
    np.testing.assert_array_equal(gradient, 0)


class SettingsTest(chex.TestCase):
  def test_the_schema_has_the_defaults_and_no_others(self):
    section = base.get_base().hash.to_dict()
    self.assertEqual(make_hash_objective(**section), HashObjective())
    fields = set(HashObjective.__dataclass_fields__)
    self.assertEqual(fields - set(section), {'total_steps'})

  def test_equal_settings_are_equal_and_hash(self):
    first = make_hash_objective(balance_weight=1, beta=2, beta_final=3)
    second = make_hash_objective(balance_weight=1.0, beta=2.0, beta_final=3.0)
    self.assertEqual(hash(first), hash(second))

  @parameterized.parameters(
    ({'classifier': 'both'}, "classifier='both': use spliced or hash"),
    ({'activation': 'relu'}, "activation='relu': use tanh or sign"),
    ({'quantization': 'l3'}, "quantization='l3': use l2 or l1 or none"),
    ({'quantization_weight': -0.1}, 'quantization_weight=-0.1: use 0 or more'),
    ({'balance_weight': float('inf')}, 'balance_weight=inf: use 0 or more'),
    ({'independence_weight': float('nan')}, 'weight=nan: use 0 or more'),
    ({'balance_weight': True}, 'balance_weight=True: use 0'),
    ({'beta': 0.0}, 'hash.beta=0.0: use a number above 0'),
    ({'beta_final': float('nan')}, 'beta_final=nan: use a number above 0'),
    ({'beta': 5.0, 'beta_final': 2.0}, 'beta_final=2.0: beta only rises'),
    (
      {'activation': 'sign', 'beta_final': 10.0},
      "beta_final=10.0: a sign is .* hash.activation='tanh'",
    ),
    ({'normalize_parts': 1}, 'normalize_parts=1: use True or False'),
    (
      {'normalize_parts': True, 'classifier': 'hash'},
      "normalize_parts=True: .* hash.classifier='spliced'",
    ),
    ({'quantisation': 'l1'}, 'hash.quantisation: there is none; use class'),
  )
  def test_what_cannot_be_is_refused_by_name(self, given, message):
    with self.assertRaisesRegex(UsageError, message) as caught:
      make_hash_objective(**given)
    self.assertNotIn('\n', str(caught.exception))

  def test_only_softmax_and_a_softmax_heed_lengths_of_embeddings(self):
    heeding = {
      name
      for name in MARGINS
      if not make_margin_loss(name).normalizes_embeddings
    }
    self.assertEqual(heeding, {'softmax', 'a_softmax'})
