"""Settings of a step: parts of a batch, memory, averages, axes, types."""

import dataclasses

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

from facejax import trees
from facejax.models import get_model
from facejax.parallel import mesh as mesh_lib
from facejax.training import deployed, state, step
from tests.training.tiny_learner import make_learner, on_device, run_steps


@pytest.fixture(scope='module')
def plain():
  return run_steps(make_learner(mesh_lib.make_mesh(4, 2)), 3)


class SettingsTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _plain(self, plain):
    self.states, self.metrics = plain
    self.mesh = mesh_lib.make_mesh(4, 2)

  def _assert_same_run(self, learner, rtol=1e-4):
    states, metrics = run_steps(learner, 3)
    for expected, got in zip(self.states, states, strict=True):
      chex.assert_trees_all_close(
        got.params, expected.params, rtol=rtol, atol=1e-5
      )
    for expected, got in zip(self.metrics, metrics, strict=True):
      for name in ('loss', 'accuracy', 'gradient_norm', 'target_cosine'):
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-3)

  def test_parts_of_a_batch_give_the_gradient_of_the_whole(self):
    self._assert_same_run(make_learner(self.mesh, micro_batches=2))

  @pytest.mark.slow
  def test_parts_work_with_samples(self):
    head = {'sample_rate': 0.5}
    learner = make_learner(self.mesh, identities=300, head=head)
    whole = run_steps(learner, 2, identities=300)
    parts = run_steps(
      dataclasses.replace(learner, micro_batches=2), 2, identities=300
    )
    chex.assert_trees_all_close(
      parts[0][-1].params, whole[0][-1].params, rtol=1e-3, atol=1e-5
    )

  def test_activations_computed_again_give_the_same_gradient(self):
    self._assert_same_run(make_learner(self.mesh, remat=True))

  @pytest.mark.slow
  def test_identities_split_over_one_axis_train_alike(self):
    learner = make_learner(self.mesh, head={'axes': ('model',)})
    states, _ = run_steps(learner, 3)
    expected = self.states[-1].params
    for name, leaf in trees.named_leaves(states[-1].params).items():
      np.testing.assert_allclose(
        leaf[:40] if 'class_weights' in name else leaf,
        trees.named_leaves(expected)[name][:40]
        if 'class_weights' in name
        else trees.named_leaves(expected)[name],
        rtol=1e-3,
        atol=1e-5,
      )

  def test_one_device_trains_what_eight_do(self):
    one = make_learner(mesh_lib.make_mesh(1, 1, devices=jax.devices()[:1]))
    self._assert_same_run(one, rtol=1e-3)

  def test_an_average_follows_the_net(self):
    states, _ = run_steps(make_learner(self.mesh, ema_decay=0.5), 3)
    expected, _ = state.split_head(states[0].params)
    for number, after in enumerate(states[1:]):
      decay = min(0.5, (1 + number) / (10 + number))
      net, _ = state.split_head(after.params)
      expected = jax.tree.map(
        lambda old, new, d=decay: d * old + (1 - d) * new, expected, net
      )
      chex.assert_trees_all_close(after.ema, expected, rtol=1e-5, atol=1e-6)
    # It changes nothing of the training itself.
    chex.assert_trees_all_close(
      states[-1].params, self.states[-1].params, rtol=1e-4, atol=1e-6
    )

  def test_the_average_is_what_is_deployed(self):
    states, _ = run_steps(make_learner(self.mesh, ema_decay=0.5), 1)
    current = on_device(states[-1])
    variables = deployed.deployed_variables(current, None)
    chex.assert_trees_all_equal(variables['params'], current.ema)
    plain = deployed.deployed_variables(on_device(self.states[-1]), None)
    net, _ = state.split_head(self.states[-1].params)
    chex.assert_trees_all_close(plain['params'], net)

  def test_a_clipped_step_is_no_longer_than_asked_for(self):
    learner = make_learner(self.mesh, rate=1.0, decay=0.0, clip_norm=1e-3)
    _, metrics = run_steps(learner, 1)
    self.assertGreater(metrics[0]['gradient_norm'], 1e-2)  # before clipping
    np.testing.assert_allclose(metrics[0]['update_norm'], 1e-3, rtol=1e-3)

  def test_adaface_keeps_statistics_of_the_whole_batch(self):
    states, metrics = run_steps(make_learner(self.mesh, loss='adaface'), 1)
    stats = states[-1].batch_stats['head']
    mean = 0.01 * metrics[0]['embedding_norm'] + 0.99 * 20
    np.testing.assert_allclose(stats['norm_mean'], mean, rtol=1e-4)

  @parameterized.parameters('softmax', 'normface')
  def test_what_a_loss_learns_moves(self, loss):
    states, _ = run_steps(make_learner(self.mesh, loss=loss, decay=0.0), 1)
    name = {'softmax': 'bias', 'normface': 'scale'}[loss]
    before, after = (s.params['head'][name] for s in states)
    self.assertTrue(np.atleast_1d(before != after)[:40].all())


class RematerializationTest(chex.TestCase):
  def _temporary_bytes(self, remat):
    learner = make_learner(
      mesh_lib.make_mesh(1, 1, devices=jax.devices()[:1]), remat=remat
    )
    model = get_model(
      'mobilefacenet',
      image_size=(32, 32),
      width=0.5,
      stages=((2, 64, 4, 2), (2, 64, 4, 1)),
      conv_path='convolution',
    )
    preprocessing = dataclasses.replace(
      learner.preprocessing, image_size=(32, 32)
    )
    learner = dataclasses.replace(
      learner, model=model, preprocessing=preprocessing
    )
    shapes, shardings = state.abstract_state(learner)
    batch = {
      'image': jax.ShapeDtypeStruct((64, 32, 32, 3), np.uint8),
      'label': jax.ShapeDtypeStruct((64,), np.int32),
    }
    compiled = step.compile_step(
      step.make_train_step(learner), learner.mesh, shardings
    )
    # XLA for CPU drops the barriers that keep it from computing activations
    # once for both passes; GPUs and TPUs have no such pass.
    options = {'xla_disable_hlo_passes': 'cse_barrier_expander'}
    program = compiled.lower(shapes, batch).compile(options)
    return program.memory_analysis().temp_size_in_bytes

  def test_it_needs_less_memory(self):
    self.assertLess(
      self._temporary_bytes(remat=True), 0.5 * self._temporary_bytes(False)
    )
