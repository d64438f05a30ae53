"""Steps of a net with a hash layer: losses, metrics, gradients, any devices."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from facejax import trees
from facejax.data.preprocessing import normalize
from facejax.losses.classification import margin_cross_entropy
from facejax.losses.hash_objective import make_hash_objective
from facejax.parallel import mesh as mesh_lib
from facejax.training import deployed, memory, state
from facejax.training.learner import TernarySchedule
from tests.training.tiny_learner import (
  EMBEDDING,
  make_batch,
  make_learner,
  on_device,
  run_steps,
)

BITS = 16
MODEL = {'hash_bits': BITS}
WEIGHTS = {
  'quantization_weight': 0.3,
  'balance_weight': 0.2,
  'independence_weight': 0.1,
}
NAMES = {
  'classification_loss',
  'hash_quantization',
  'hash_balance',
  'hash_independence',
  'hash_beta',
  'bit_balance',
  'bit_entropy',
  'bit_correlation',
  'feature_norm',
  'hash_norm',
}


def _learner(mesh, hashing=None, **fields):
  """A hash layer of 16 bits under all losses, by softmax."""
  options = {'loss': 'softmax', 'rate': 0.05} | fields
  return make_learner(
    mesh,
    model=MODEL,
    hashing=hashing
    or make_hash_objective(beta_final=2.0, total_steps=3, **WEIGHTS),
    **options,
  )


@pytest.fixture(scope='module')
def plain():
  """(learner, states, metrics) of three steps on eight devices."""
  learner = _learner(mesh_lib.make_mesh(4, 2))
  return learner, *run_steps(learner, 3)


class HashingTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _plain(self, plain):
    self.learner, self.states, self.metrics = plain
    self.mesh = self.learner.mesh

  def _assert_same_run(self, learner, rtol=1e-4):
    states, metrics = run_steps(learner, 3)
    for expected, got in zip(self.states, states, strict=True):
      chex.assert_trees_all_close(
        got.params, expected.params, rtol=rtol, atol=1e-5
      )
    for expected, got in zip(self.metrics, metrics, strict=True):
      self.assertEqual(set(got), set(expected))
      for name, value in expected.items():
        # Deviations within parts of a batch are those of the parts.
        if name != 'embedding_norm_std':
          np.testing.assert_allclose(got[name], value, rtol=2e-3, err_msg=name)

  def _outputs(self, learner, current, batch):
    net, _ = state.split_head(current.params)
    return jax.jit(
      lambda net, images: learner.model.apply(
        {'params': net}, images, True, method='outputs'
      )
    )(net, normalize(jnp.asarray(batch['image']), learner.preprocessing))

  def test_the_first_step_has_the_loss_and_the_metrics_by_hand(self):
    current = on_device(self.states[0])
    batch = make_batch(40, 0)
    outputs = self._outputs(self.learner, current, batch)
    feature, code = np.asarray(outputs.embedding), np.tanh(outputs.logits)
    classification, _ = margin_cross_entropy(
      jnp.concatenate([feature, code], 1),
      jnp.asarray(batch['label']),
      current.params['head'],
      margin_loss=self.learner.head.margin_loss,
    )
    quantization = np.mean((np.abs(code) - 1) ** 2)
    balance = np.mean(code.mean(0) ** 2)
    independence = np.mean((code.T @ code / 16 - np.eye(BITS)) ** 2)
    share = (outputs.logits > 0).mean(0)
    expected = {
      'classification_loss': classification,
      'hash_quantization': quantization,
      'hash_balance': balance,
      'hash_independence': independence,
      'loss': classification
      + 0.3 * quantization
      + 0.2 * balance
      + 0.1 * independence,
      'bit_balance': np.abs(2 * share - 1).mean(),
      'feature_norm': np.linalg.norm(feature, axis=1).mean(),
      'hash_norm': np.linalg.norm(code, axis=1).mean(),
      'embedding_norm': np.linalg.norm(
        np.concatenate([feature, code], 1), axis=1
      ).mean(),
      'hash_beta': 1.0,
    }
    for name, value in expected.items():
      np.testing.assert_allclose(
        self.metrics[0][name], value, rtol=1e-4, err_msg=name
      )
    self.assertContainsSubset(NAMES, self.metrics[0])

  def test_beta_reaches_its_end_at_the_last_step(self):
    betas = [metrics['hash_beta'] for metrics in self.metrics]
    np.testing.assert_allclose(betas, [1.0, 2.5**0.5, 2.0], rtol=1e-5)

  def test_the_hash_layer_and_the_classifier_over_both_parts_move(self):
    before, after = self.states[0].params, self.states[-1].params
    self.assertEqual(before['hash']['kernel'].shape, (1, 1, EMBEDDING, BITS))
    weights = before['head']['class_weights']
    self.assertEqual(weights.shape, (40, EMBEDDING + BITS))
    for leaves in ('kernel', 'bias'):
      moved = before['hash'][leaves] != after['hash'][leaves]
      self.assertTrue(moved.all())

  def test_one_device_trains_what_eight_do(self):
    mesh = mesh_lib.make_mesh(1, 1, devices=jax.devices()[:1])
    self._assert_same_run(
      _learner(mesh, hashing=self.learner.hashing), rtol=1e-3
    )

  def test_activations_computed_again_give_the_same_gradient(self):
    self._assert_same_run(dataclasses.replace(self.learner, remat=True))

  def test_parts_of_a_batch_give_the_metrics_and_gradient_of_the_whole(self):
    """Of losses that are means over images, and of all bit statistics."""
    hashing = make_hash_objective(quantization_weight=0.3)
    learner = _learner(self.mesh, hashing=hashing)
    whole = run_steps(learner, 2)
    parts = run_steps(dataclasses.replace(learner, micro_batches=2), 2)
    for expected, got in zip(whole[0], parts[0], strict=True):
      chex.assert_trees_all_close(
        got.params, expected.params, rtol=1e-4, atol=1e-5
      )
    of_parts = {'hash_balance', 'hash_independence', 'embedding_norm_std'}
    for expected, got in zip(whole[1], parts[1], strict=True):
      self.assertEqual(set(got), set(expected))
      for name in expected.keys() - of_parts:
        np.testing.assert_allclose(
          got[name], expected[name], rtol=1e-3, err_msg=name
        )
      # Fewer faces balance bits less well, by chance.
      self.assertGreater(got['hash_balance'], expected['hash_balance'])


class FormTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.mesh = mesh_lib.make_mesh(4, 2)

  def test_the_hash_form_trains_the_feature_through_the_code_alone(self):
    hashing = make_hash_objective(classifier='hash', activation='sign')
    learner = _learner(self.mesh, hashing=hashing)
    states, metrics = run_steps(learner, 2)
    weights = states[0].params['head']['class_weights']
    self.assertEqual(weights.shape, (40, BITS))
    before, after = (trees.named_leaves(s.params) for s in states[:2])
    for name in before:
      self.assertTrue((before[name] != after[name]).any(), name)
    for values in metrics:
      np.testing.assert_allclose(
        values['embedding_norm'], values['hash_norm'], rtol=1e-5
      )

  def test_samples_ternary_weights_and_averages_take_the_hash_layer_along(self):
    rules = (('.*kernel', 'filter'),)
    learner = _learner(
      self.mesh,
      identities=300,
      head={'sample_rate': 0.5},
      loss='arcface',
      ternary_schedule=TernarySchedule(rules, 0),
      ema_decay=0.5,
    )
    states, metrics = run_steps(learner, 2, identities=300)
    weights = states[0].params['head']['class_weights']
    self.assertEqual(weights.shape, (304, EMBEDDING + BITS))
    moved = (weights != states[1].params['head']['class_weights']).any(1)
    self.assertTrue(moved.any())
    self.assertFalse(moved.all())
    self.assertContainsSubset(NAMES, metrics[1])
    self.assertTrue(np.isfinite(list(metrics[1].values())).all())
    current = on_device(states[-1])
    variables = deployed.deployed_variables(current, rules)
    kernel = np.asarray(variables['params']['hash']['kernel'])
    for column in kernel.reshape(-1, BITS).T:
      self.assertLen(np.unique(np.abs(column[column != 0])), 1)
    # Of the averaged weights, not of those that train.
    masters = current.ema['hash']['kernel']
    self.assertTrue((masters != current.params['hash']['kernel']).all())
    signs = np.sign(kernel) * np.sign(masters)
    self.assertTrue(((signs == 1) | (kernel == 0)).all())

  def test_a_net_without_a_hash_layer_has_no_such_metrics(self):
    _, metrics = run_steps(make_learner(self.mesh), 1)
    self.assertEmpty(NAMES & set(metrics[0]))


class MemoryTest(chex.TestCase):
  def test_the_head_of_a_splice_is_as_wide_as_both_parts(self):
    learner = _learner(mesh_lib.make_mesh(4, 2))
    needed = memory.step_memory(learner, 16)
    width = EMBEDDING + BITS
    self.assertEqual(memory.head_width(learner), width)
    # Five rows a device, and softmax's bias.
    self.assertEqual(needed.exact['head'], 5 * (width + 1) * 4)
    self.assertEqual(
      memory.exchanged_bytes(learner, 16)['head'], 4 * 16 * (2 * width + 6)
    )
