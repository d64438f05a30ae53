import contextlib
import io

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from facejax import trees
from facejax.checkpoint.model_directory import read_model_directory
from facejax.compression import packed
from facejax.errors import CheckpointError
from facejax.models import get_model
from facejax.training.loop_setup import build_run
from facejax.training.state import TrainState, join_head, split_head
from facejax.training.warm_start import warm_start
from tests.training import tiny_recipe

HEAD = 'params/head/class_weights'


def _leaves(state):
  return trees.named_leaves(
    jax.tree.map(
      np.asarray, {'params': state.params, 'batch_stats': state.batch_stats}
    )
  )


def _filled_state(identities=11, **fields):
  """A state of another architecture in which every value is 7."""
  options = {'width': 0.25, 'embedding_size': 16, 'stages': tiny_recipe.STAGES}
  model = get_model('mobilefacenet', image_size=(32, 32), **options | fields)
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), False)
  )
  filled = jax.tree.map(lambda x: jnp.full(x.shape, 7, x.dtype), shapes)
  weights = jnp.full((identities, model.embedding_size), 7.0)
  return TrainState(
    step=jnp.int32(0),
    params=join_head(filled['params'], {'class_weights': weights}),
    batch_stats=filled['batch_stats'],
    opt_state=(),
    ema={},
  )


@pytest.fixture(scope='module')
def fresh(face_set):
  return build_run(tiny_recipe.make_config(face_set, seed=9))


class WarmStartTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, trained, fresh):
    self.trained, self.fresh = trained, fresh
    self.float_model = trained.workdir / 'model_float'

  def _start(self, path, state=None, **other):
    options = {
      'num_identities': 11,
      'identities_checksum': self.fresh.source.identities_checksum,
    }
    return warm_start(state or self.fresh.state, path, **(options | other))

  def test_all_of_a_float_model_of_the_same_people_is_taken_over(self):
    state, report = self._start(self.float_model)
    model = read_model_directory(self.float_model)
    expected = trees.named_leaves(model.variables)
    found = _leaves(state)
    self.assertEqual(set(report.matched), {*expected, HEAD})
    self.assertEqual(set(found), {*expected, HEAD})
    for name, value in expected.items():
      np.testing.assert_array_equal(found[name], value, name)
    np.testing.assert_array_equal(found[HEAD][:11], model.classifier)
    np.testing.assert_array_equal(found[HEAD][11:], 0)
    self.assertEqual(report.not_in_model, [])
    self.assertEqual(report.other_shape, [])
    self.assertEqual(report.not_in_run, [])

  def test_shardings_stay_and_the_optimiser_is_fresh(self):
    state, _ = self._start(self.float_model)
    for old, new in zip(
      jax.tree.leaves(self.fresh.state), jax.tree.leaves(state), strict=True
    ):
      self.assertEqual((old.sharding, old.dtype), (new.sharding, new.dtype))
    chex.assert_trees_all_equal(state.opt_state, self.fresh.state.opt_state)
    self.assertEqual(state.step, 0)

  def test_a_packed_model_gives_its_ternary_weights(self):
    path = self.trained.workdir / 'model'
    state, report = self._start(path)
    variables = read_model_directory(path).variables
    expected = packed.unpack_tree(variables['params'])
    backbone = {k: v for k, v in state.params.items() if k != 'head'}
    chex.assert_trees_all_equal(
      jax.tree.map(np.asarray, backbone), jax.tree.map(np.asarray, expected)
    )
    kernel = np.asarray(backbone['stage1_block0']['expand']['conv']['kernel'])
    self.assertLen(np.unique(np.abs(kernel[..., 0])), 2)
    self.assertEqual(report.not_in_model, [])

  def test_class_weights_of_other_people_stay_behind(self):
    state, report = self._start(
      self.float_model, identities_checksum='of others'
    )
    self.assertEqual(report.not_in_model, [HEAD])
    np.testing.assert_array_equal(
      _leaves(state)[HEAD], _leaves(self.fresh.state)[HEAD]
    )

  def test_another_number_of_people_keeps_the_layers(self):
    state, report = self._start(
      self.float_model,
      _filled_state(identities=5),
      num_identities=5,
      identities_checksum='of five',
    )
    self.assertEqual(report.not_in_model, [HEAD])
    np.testing.assert_array_equal(_leaves(state)[HEAD], np.full((5, 16), 7))
    self.assertIn('params/stem/conv/kernel', report.matched)

  def test_rows_are_counted_even_if_the_names_should_agree(self):
    _, report = self._start(
      self.float_model, _filled_state(identities=16), num_identities=12
    )
    self.assertEqual(report.other_shape, [HEAD])

  def test_layers_that_do_not_fit_are_reported_and_stay(self):
    fresh = _filled_state(
      embedding_size=8, stages=((2, 64, 1, 2), (2, 64, 2, 1))
    )
    state, report = self._start(self.float_model, fresh)
    before, after = _leaves(fresh), _leaves(state)
    self.assertIn('params/embed/conv/kernel', report.other_shape)
    self.assertIn(HEAD, report.other_shape)
    self.assertIn(
      'params/stage1_block1/expand/conv/kernel', report.not_in_model
    )
    self.assertEqual(report.not_in_run, [])
    for name in report.other_shape + report.not_in_model:
      np.testing.assert_array_equal(after[name], before[name])
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
      report.print(self.float_model)
    lines = stderr.getvalue().splitlines()
    self.assertEqual(
      lines[0],
      f'init_from {self.float_model}: {len(report.matched)} of {len(after)} '
      'arrays taken over',
    )
    self.assertIn('  other shape: params/embed/conv/kernel', lines)
    self.assertIn(
      '  not in model: params/stage1_block1/expand/conv/kernel', lines
    )

  def test_an_average_starts_from_what_was_taken_over(self):
    net, _ = split_head(self.fresh.state.params)
    state = self.fresh.state.replace(ema=jax.tree.map(jnp.zeros_like, net))
    state, _ = self._start(self.float_model, state)
    net, _ = split_head(state.params)
    chex.assert_trees_all_equal(state.ema, net)
    for ours, taken in zip(
      jax.tree.leaves(state.ema), jax.tree.leaves(net), strict=True
    ):
      self.assertIsNot(ours, taken)  # each is donated once

  def test_layers_of_the_model_alone_are_reported(self):
    _, report = self._start(
      self.float_model, _filled_state(stages=((2, 64, 1, 2),))
    )
    self.assertIn('params/stage1_block0/expand/conv/kernel', report.not_in_run)

  def test_another_width_is_refused_though_class_weights_and_norms_fit(self):
    with self.assertRaisesRegex(CheckpointError, 'no layer of it fits'):
      self._start(self.float_model, _filled_state(width=0.5))
