import dataclasses
from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from facejax import trees
from facejax.data.preprocessing import Preprocessing
from facejax.losses.margin_loss import make_margin_loss
from facejax.models import get_model
from facejax.parallel import head as head_lib
from facejax.parallel.head import MarginHead
from facejax.parallel.mesh import make_mesh
from facejax.training import optimizer, state
from facejax.training.learner import Learner
from tests.training.tiny_recipe import STAGES

IDENTITIES = 11


def _learner(mesh, loss='arcface', identities=IDENTITIES, **head):
  model = get_model(
    'mobilefacenet',
    image_size=(32, 32),
    width=0.25,
    embedding_size=16,
    stages=STAGES,
  )
  return Learner(
    model,
    MarginHead(make_margin_loss(loss), identities, mesh, **head),
    optimizer.make_optimizer(lambda step: 0.1),
    lambda step: 0.1,
    Preprocessing((32, 32)),
  )


def _init(head, key, embedding_size=16):
  return jax.jit(head.init, static_argnums=1)(key, embedding_size)


def _create(mesh):
  return state.create_state(_learner(mesh), jax.random.key(3))


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
    weights = jnp.ones((3, 2))
    params = {'stem': 1, 'head': {'class_weights': weights, 'bias': 2}}
    net, head = state.split_head(params)
    self.assertEqual(net, {'stem': 1})
    self.assertEqual(set(head), {'class_weights', 'bias'})
    chex.assert_trees_all_equal(state.join_head(net, head), params)
    self.assertEqual(state.split_head({'stem': 1}), ({'stem': 1}, {}))
    self.assertEqual(state.join_head({'stem': 1}, {}), {'stem': 1})

  def test_what_a_loss_learns_is_split_like_the_classes(self):
    shapes, shardings = state.abstract_state(
      _learner(make_mesh(4, 2), 'softmax')
    )
    names = trees.named_leaves(shardings)
    biases = [name for name in names if name.endswith('head/bias')]
    self.assertLen(biases, 2)  # and its momentum
    for name in biases:
      self.assertEqual(names[name].spec, PartitionSpec(('data', 'model')))
    self.assertEqual(shapes.params['head']['bias'].shape, (16,))

  def test_blocks_of_rows_draw_what_one_block_does(self):
    mesh = make_mesh(1, 1, devices=jax.devices()[:1])
    learner = _learner(mesh, identities=23)
    key = jax.random.key(5)
    whole = _init(learner.head, key, 4)['class_weights']
    with mock.patch.object(head_lib, '_BLOCK_ROWS', 5):
      blocks = _init(learner.head, key, 4)['class_weights']
    np.testing.assert_array_equal(blocks, whole)
    self.assertLen(np.unique(whole), 23 * 4)

  def test_a_loss_with_statistics_has_them_beside_those_of_norms(self):
    shapes, _ = state.abstract_state(_learner(make_mesh(4, 2), 'adaface'))
    self.assertEqual(set(shapes.batch_stats['head']), {'norm_mean', 'norm_std'})

  def test_first_values_of_what_losses_learn(self):
    key, mesh = jax.random.key(0), make_mesh(4, 2)
    head = _init(_learner(mesh, 'normface').head, key)
    self.assertEqual(head['scale'], 10.0)
    head = _init(_learner(mesh, 'sub_center_arcface').head, key)
    self.assertEqual(head['class_weights'].shape, (16, 3, 16))
    np.testing.assert_array_equal(head['class_weights'][IDENTITIES:], 0)
    stats = _learner(mesh, 'adaface').head.init_stats()
    self.assertEqual((stats['norm_mean'], stats['norm_std']), (20.0, 100.0))

  def test_normal_initial_values_and_any_axes(self):
    learner = _learner(make_mesh(4, 2), initializer='normal', axes=('model',))
    weights = np.asarray(
      _init(learner.head, jax.random.key(0), 160)['class_weights']
    )
    self.assertEqual(weights.shape, (12, 160))
    np.testing.assert_allclose(weights[:11].std(), 0.01, rtol=0.1)
    np.testing.assert_array_equal(weights[11], 0)
    _, shardings = state.abstract_state(learner)
    spec = shardings.params['head']['class_weights'].spec
    self.assertEqual(spec, PartitionSpec('model'))

  def test_an_average_starts_as_the_net_and_leaves_the_head_out(self):
    learner = dataclasses.replace(_learner(make_mesh(4, 2)), ema_decay=0.9)
    shapes, shardings = state.abstract_state(learner)
    net, _ = state.split_head(shapes.params)
    chex.assert_trees_all_equal_shapes(shapes.ema, net)
    for sharding in jax.tree.leaves(shardings.ema):
      self.assertEqual(sharding.spec, PartitionSpec())
