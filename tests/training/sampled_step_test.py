"""A step of Partial FC: which rows move, and that it is exact at rate one."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from facejax import trees
from facejax.parallel import mesh as mesh_lib
from facejax.training.gradients import SAMPLE, step_key
from tests.training.tiny_learner import make_batch, make_learner, run_steps

IDENTITIES, ROWS = 300, 304  # 38 rows a shard
RATE = 0.5


def _rows(state):
  """Class weights and their momentum."""
  weights = state.params['head']['class_weights']
  momentum = [
    leaf
    for name, leaf in trees.named_leaves(state.opt_state).items()
    if name.endswith('head/class_weights')
  ]
  return weights, momentum[0]


def _sampled(head, step_number):
  """Rows that the step before `step_number` took, computed anew."""
  learner = make_learner(head.mesh, identities=IDENTITIES)
  labels = make_batch(IDENTITIES, step_number)['label']
  key = step_key(learner, jnp.int32(step_number), SAMPLE)
  sampled = jax.jit(head.sample)(jnp.asarray(labels), key)
  places = np.asarray(sampled).reshape(8, -1)
  return (places + ROWS // 8 * np.arange(8)[:, None]).ravel()


@pytest.fixture(scope='module')
def runs():
  mesh = mesh_lib.make_mesh(4, 2)
  heads = {
    'dense': {},
    'sampled': {'sample_rate': RATE},
    'momentum': {'sample_rate': RATE, 'dense_momentum': True},
  }
  learners = {
    name: make_learner(mesh, identities=IDENTITIES, head=head)
    for name, head in heads.items()
  }
  return {
    name: (learner, *run_steps(learner, 2, identities=IDENTITIES))
    for name, learner in learners.items()
  }


class SampledStepTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _runs(self, runs):
    self.runs = runs

  def test_only_sampled_rows_and_their_momentum_move(self):
    learner, states, _ = self.runs['sampled']
    for number in range(2):
      chosen = _sampled(learner.head, number)
      self.assertLess(len(chosen), ROWS)
      chosen = chosen[chosen < IDENTITIES]
      untouched = np.setdiff1d(np.arange(ROWS), chosen)
      old, new = _rows(states[number]), _rows(states[number + 1])
      for before, after in zip(old, new, strict=True):
        np.testing.assert_array_equal(after[untouched], before[untouched])
        moved = (after[chosen] != before[chosen]).any(1)
        self.assertTrue(moved.all())

  def test_sampled_rows_move_by_the_ordinary_rule(self):
    """v <- 0.9 v + g + decay w; w <- w - rate v, with g read off v."""
    learner, states, _ = self.runs['sampled']
    chosen = _sampled(learner.head, 1)
    (w0, _), (w1, v1) = _rows(states[1]), _rows(states[2])
    np.testing.assert_allclose(
      w1[chosen], w0[chosen] - 0.1 * v1[chosen], rtol=1e-5, atol=1e-7
    )

  def test_dense_momentum_moves_all_rows_and_the_sampled_ones_alike(self):
    _, sampled, _ = self.runs['sampled']
    learner, dense, _ = self.runs['momentum']
    chosen = _sampled(learner.head, 0)
    # The first step has no momentum yet: sampled rows agree, others decay.
    np.testing.assert_allclose(
      _rows(dense[1])[0][chosen], _rows(sampled[1])[0][chosen], atol=1e-6
    )
    others = np.setdiff1d(np.arange(IDENTITIES), chosen)
    before, after = _rows(dense[0])[0][others], _rows(dense[1])[0][others]
    np.testing.assert_allclose(after, before * (1 - 0.1 * 5e-4), rtol=1e-6)
    self.assertTrue((_rows(dense[2])[0][others] != after).all())

  def test_padding_stays_zero(self):
    for name, (_, states, _) in self.runs.items():
      for array in _rows(states[-1]):
        np.testing.assert_array_equal(array[IDENTITIES:], 0, name)

  def test_the_net_moves_too_and_metrics_are_finite(self):
    _, states, metrics = self.runs['sampled']
    before, after = (trees.named_leaves(s.params) for s in states[:2])
    kernel = next(n for n in before if n.endswith('kernel'))
    self.assertTrue((before[kernel] != after[kernel]).any())
    for values in metrics:
      self.assertTrue(np.isfinite(list(values.values())).all())

  def test_fewer_negatives_make_a_smaller_loss(self):
    losses = {n: metrics[0]['loss'] for n, (_, _, metrics) in self.runs.items()}
    self.assertLess(losses['sampled'], losses['dense'])
    self.assertAlmostEqual(losses['sampled'], losses['momentum'], places=4)

  def test_a_sample_of_all_is_the_dense_step(self):
    """A rate so near one that the sample has every row, and one exactly."""
    mesh = mesh_lib.make_mesh(4, 2)
    # Batches of 16 sample all 8 rows of a shard, whatever the rate.
    few = {'identities': 61, 'rate': 0.1}
    dense = run_steps(make_learner(mesh, **few), 2, identities=61)
    sampled = run_steps(
      make_learner(mesh, **few, head={'sample_rate': 0.999}), 2, identities=61
    )
    for expected, got in zip(dense[0], sampled[0], strict=True):
      chex.assert_trees_all_close(got, expected, rtol=1e-4, atol=1e-6)
    chex.assert_trees_all_close(sampled[1], dense[1], rtol=1e-4)
