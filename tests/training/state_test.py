import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from facejax import trees
from facejax.models import get_model
from facejax.parallel.mesh import make_mesh
from facejax.training import optimizer, state
from tests.training.tiny_recipe import STAGES

IDENTITIES = 11


def _create(mesh):
  model = get_model(
    'mobilefacenet',
    image_size=(32, 32),
    width=0.25,
    embedding_size=16,
    stages=STAGES,
  )
  tx = optimizer.make_optimizer(lambda step: 0.1)
  return state.create_state(
    model,
    tx,
    key=jax.random.key(3),
    image_size=(32, 32),
    num_identities=IDENTITIES,
    mesh=mesh,
  )


@pytest.fixture(scope='module')
def created():
  return {
    'whole': _create(make_mesh(1, 1, devices=jax.devices()[:1])),
    'split': _create(make_mesh(4, 2)),
  }


class StateTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _created(self, created):
    self.whole, _ = created['whole']
    self.split, self.shardings = created['split']

  def test_the_values_do_not_depend_on_the_mesh(self):
    whole, split = (
      trees.named_leaves(jax.tree.map(np.asarray, s))
      for s in (self.whole, self.split)
    )
    self.assertEqual(list(whole), list(split))
    for name, leaf in whole.items():
      rows = IDENTITIES if name.endswith('class_weights') else leaf.size + 1
      other = split[name]
      if leaf.ndim:
        leaf, other = leaf[:rows], other[:rows]
      np.testing.assert_array_equal(leaf, other, name)

  def test_rows_that_pad_the_classes_are_zero(self):
    weights = self.split.params['head']['class_weights']
    self.assertEqual(weights.shape, (16, 16))
    np.testing.assert_array_equal(weights[IDENTITIES:], 0)
    self.assertEqual(
      self.whole.params['head']['class_weights'].shape, (IDENTITIES, 16)
    )

  def test_class_weights_are_xavier_uniform_of_the_true_classes(self):
    weights = np.asarray(self.whole.params['head']['class_weights'])
    bound = np.sqrt(6 / (IDENTITIES + 16))
    self.assertLessEqual(np.abs(weights).max(), bound)
    np.testing.assert_allclose(weights.std(), bound / np.sqrt(3), rtol=0.1)

  def test_class_weights_and_their_momentum_alone_are_split(self):
    shardings = trees.named_leaves(self.shardings)
    split = {n for n, s in shardings.items() if s.spec != PartitionSpec()}
    self.assertLen(split, 2)
    for name in split:
      self.assertEndsWith(name, 'head/class_weights')
      self.assertEqual(shardings[name].spec, PartitionSpec(('data', 'model')))
    actual = trees.map_named(lambda name, leaf: leaf.sharding, self.split)
    self.assertEqual(trees.named_leaves(actual), shardings)

  def test_training_starts_at_step_zero_without_momentum(self):
    self.assertEqual(self.whole.step, 0)
    for leaf in jax.tree.leaves(self.whole.opt_state):
      np.testing.assert_array_equal(leaf, 0)


class HeadTest(chex.TestCase):
  def test_splitting_and_joining_are_inverse(self):
    weights = np.ones((3, 2), np.float32)
    params = {'stem': 1, 'head': {'class_weights': jnp.asarray(weights)}}
    backbone, found = state.split_head(params)
    self.assertEqual(backbone, {'stem': 1})
    np.testing.assert_array_equal(found, weights)
    chex.assert_trees_all_equal(state.join_head(backbone, found), params)
