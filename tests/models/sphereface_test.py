"""Initial values and names of the nets without BatchNorm."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import sphereface as recipe
from facejax import trees
from facejax.models import get_model
from facejax.models.tracing import trace_model


@pytest.fixture(scope='module')
def params():
  model = get_model(
    'sphereface20', image_size=(16, 16), width=0.25, units=(1, 0, 1, 0)
  )
  images = jnp.zeros((1, 16, 16, 3))
  variables = jax.jit(model.init, static_argnums=2)(
    jax.random.key(0), images, False
  )
  assert set(variables) == {'params'}
  return trees.named_leaves(variables['params'])


class SphereFaceTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _params(self, params):
    self.params = params

  def test_units_begin_as_small_gaussians(self):
    kernel = np.asarray(self.params['stage2_unit0/conv1/kernel'])
    self.assertEqual(kernel.shape, (3, 3, 64, 64))
    np.testing.assert_allclose(kernel.std(), 0.01, rtol=0.03)

  def test_stage_entries_and_the_dense_layer_begin_as_caffes_xavier(self):
    for name, fan_in in (('stage2', 9 * 32), ('embed', 128)):
      kernel = np.abs(self.params[f'{name}/kernel'])
      bound = np.sqrt(3 / fan_in)
      self.assertLessEqual(kernel.max(), bound)
      np.testing.assert_allclose(kernel.mean(), bound / 2, rtol=0.03)

  def test_the_recipe_freezes_the_biases_of_units_at_zero(self):
    (pattern,) = recipe.get_config().frozen
    frozen = {name for name in self.params if re.fullmatch(pattern, name)}
    self.assertEqual(
      frozen,
      {f'stage{s}_unit0/conv{k}/bias' for s in (0, 2) for k in (1, 2)},
    )
    for name in frozen:
      np.testing.assert_array_equal(self.params[name], 0)

  def test_every_depth_has_as_many_convolutions(self):
    for depth in (4, 10, 20, 36, 64):
      layers = trace_model(get_model(f'sphereface{depth}')).layers
      convolutions = [layer for layer in layers if layer.kind == 'conv']
      self.assertLen(convolutions, depth + 1)  # and the dense layer
