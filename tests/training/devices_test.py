"""The same training on any number of devices.

PReLU has a kink at zero. An activation that rounding puts on its other side
changes the gradient of one channel by far more than rounding, with no defect
anywhere. So the slopes are held at 1 here, where there is no kink.
"""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from facejax import trees
from facejax.training.loop_setup import build_run
from tests.training import tiny_recipe

STEPS = 3
IDENTITIES = 11
MESHES = {'2': (2, 1), '8': (8, 1), '4x2': (4, 2)}


def _without_kinks(state):
  def set_slope(name, leaf):
    return jnp.ones_like(leaf) if name.endswith('slope') else leaf

  return state.replace(params=trees.map_named(set_slope, state.params))


@pytest.fixture(scope='module')
def train_on(face_set):
  """Trains on a mesh, once each: (metrics, parameters and statistics)."""
  done = {}

  def train(data, model):
    if (data, model) not in done:
      config = tiny_recipe.make_config(
        face_set,
        mesh__data=data,
        mesh__model=model,
        model__stages=tiny_recipe.STAGES[:1],
        frozen=('.*slope',),
      )
      run = build_run(config, devices=jax.devices()[: data * model])
      run.state = _without_kinks(run.state)
      metrics = tiny_recipe.take_steps(config, run, STEPS)
      state = {
        'params': run.state.params,
        'batch_stats': run.state.batch_stats,
      }
      leaves = trees.named_leaves(jax.tree.map(np.asarray, state))
      done[data, model] = metrics, leaves
    return done[data, model]

  return train


class DevicesTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _train_on(self, train_on):
    self.train_on = train_on

  @parameterized.named_parameters(
    (name, *sizes) for name, sizes in MESHES.items()
  )
  def test_training_agrees_with_one_device(self, data, model):
    expected, expected_state = self.train_on(1, 1)
    metrics, state = self.train_on(data, model)
    for row, expected_row in zip(metrics, expected, strict=True):
      for name in ('loss', 'gradient_norm', 'learning_rate', 'margin'):
        np.testing.assert_allclose(
          row[name], expected_row[name], rtol=1e-4, err_msg=name
        )
    self.assertEqual(list(state), list(expected_state))
    for name, value in expected_state.items():
      found = state[name]
      if name.endswith('class_weights'):
        found = found[:IDENTITIES]
      # A bias right before another norm has no gradient but rounding.
      np.testing.assert_allclose(
        found, value, rtol=1e-4, atol=1e-4 * np.abs(value).max() + 1e-6
      )

  def test_rows_that_pad_the_classes_stay_zero(self):
    _, state = self.train_on(8, 1)
    weights = state['params/head/class_weights']
    self.assertLen(weights, 16)
    np.testing.assert_array_equal(weights[IDENTITIES:], 0)
    self.assertTrue((weights[:IDENTITIES] != 0).all())
