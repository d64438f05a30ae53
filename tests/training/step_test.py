import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from facejax import trees
from facejax.compression import ternary
from facejax.data.preprocessing import Preprocessing, normalize
from facejax.losses.classification import margin_cross_entropy
from facejax.losses.margin_loss import make_margin_loss
from facejax.models import get_model
from facejax.training import deployed
from facejax.training.learner import TernarySchedule
from facejax.training.loop_setup import build_run
from facejax.training.state import split_head
from tests.training import tiny_recipe

BATCH, IDENTITIES, SWITCH = 16, 11, 2
FROZEN = ('stem/.*', 'stage0_block0/.*')

# Step 4 (full margin) of the tiny recipe from its initial parameters.
GOLDEN = {
  'loss': 10.854803,
  'accuracy': 1 / 16,
  'target_cosine': 0.00358308,
  'hardest_cosine': 0.374977,
  'embedding_norm': 3.930145,
  'embedding_norm_std': 0.744281,
  'learning_rate': 0.1,
  'margin': 0.3,
  'gradient_norm': 28.698490,
  'head_gradient_norm': 4.490376,
  'update_norm': 2.869848,
  'parameter_norm': 37.088860,
}
GOLDEN_NORM = 37.374054  # of all parameters after the step
GOLDEN_CHANGED = """
The metrics of one training step changed. If you meant to change what is
computed (initial values, layers, loss, normalisation of pixels, schedule), put
the new numbers here, say so in CHANGELOG.md, and train the recipes again: the
results in the README no longer belong to this code. If you did not mean to,
the change is a defect, however small the difference.
"""


def _batch():
  rng = np.random.RandomState(0)
  return {
    'image': rng.randint(0, 256, (BATCH, 32, 32, 3)).astype(np.uint8),
    'label': (np.arange(BATCH) % IDENTITIES).astype(np.int32),
  }


def _build(face_set, **overrides):
  config = tiny_recipe.make_config(face_set, **overrides)
  return build_run(config, devices=jax.devices()[:1])


def _on_device(state):
  return jax.tree.map(jnp.asarray, state)


def _put(run, batch):
  return jax.device_put(batch, run.shardings.step)


def _take(run, steps):
  """Metrics and host copies of the state after each step."""
  metrics, states = [], [jax.tree.map(np.asarray, run.state)]
  for _ in range(steps):
    run.state, values = run.compiled_step(run.state, _put(run, _batch()))
    metrics.append(jax.tree.map(float, values))
    states.append(jax.tree.map(np.array, run.state))
  return metrics, states


def _at_step_4(leaf):
  """Sets the counters of the state and of the optimiser."""
  if leaf.dtype != jnp.int32:
    return leaf
  return jax.device_put(jnp.int32(4), leaf.sharding)


def _norm(tree):
  return np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(tree)))


@pytest.fixture(scope='module')
def runs(face_set):
  """A float and a ternary run, the same but for the ternary steps."""
  built = {
    'float': _build(face_set, frozen=FROZEN),
    'ternary': _build(face_set, frozen=FROZEN, ternary__from_step=SWITCH),
  }
  return {name: (run, *_take(run, SWITCH + 1)) for name, run in built.items()}


class GoldenTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _face_set(self, face_set):
    self.run_ = _build(face_set)

  def test_one_step_gives_the_metrics_it_always_gave(self):
    state = jax.tree.map(_at_step_4, self.run_.state)
    state, metrics = self.run_.compiled_step(state, _put(self.run_, _batch()))
    norm = float(_norm(state.params))
    found = {name: float(value) for name, value in metrics.items()}
    found['parameters'] = norm
    for name, value in {**GOLDEN, 'parameters': GOLDEN_NORM}.items():
      self.assertAlmostEqual(
        found[name],
        value,
        delta=2e-4 * abs(value) + 1e-7,
        msg=f'{name}{GOLDEN_CHANGED}',
      )
    self.assertEqual(set(metrics), set(GOLDEN))
    self.assertEqual(state.step, 5)

  def test_the_old_state_is_donated(self):
    old = self.run_.state
    new, _ = self.run_.compiled_step(old, _put(self.run_, _batch()))
    for name, leaf in trees.named_leaves(old).items():
      self.assertTrue(leaf.is_deleted(), name)
    for leaf in jax.tree.leaves(new):
      self.assertFalse(leaf.is_deleted())

  def test_nothing_leaves_or_enters_the_devices_inside_the_step(self):
    batch = _put(self.run_, _batch())
    lowered = self.run_.compiled_step.lower(self.run_.state, batch)
    for text in (lowered.as_text(), lowered.compile().as_text()):
      for word in ('callback', 'outfeed', 'infeed', 'xla_python', 'recv'):
        self.assertNotIn(word, text)
    with jax.transfer_guard('disallow'):
      _, metrics = self.run_.compiled_step(self.run_.state, batch)
    self.assertTrue(np.isfinite(metrics['loss']))


class TernaryTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _runs(self, runs):
    self.float_run, self.float_metrics, self.float_states = runs['float']
    self.run_, self.metrics, self.states = runs['ternary']
    self.rules = self.run_.learner.ternary_schedule.rules

  def test_until_the_switch_it_equals_the_float_run_to_the_bit(self):
    for step in range(SWITCH):
      chex.assert_trees_all_close(
        self.metrics[step], self.float_metrics[step], rtol=1e-6
      )
    for step in range(SWITCH + 1):
      chex.assert_trees_all_equal(self.states[step], self.float_states[step])
    self.assertNotEqual(self.metrics[SWITCH], self.float_metrics[SWITCH])

  def test_after_it_the_forward_pass_is_of_ternary_weights(self):
    before = self.states[SWITCH]
    model = get_model(
      self.run_.exporter.architecture, **self.run_.exporter.fields
    )
    variables = deployed.deployed_variables(_on_device(before), self.rules)
    images = normalize(
      jnp.asarray(_batch()['image']), Preprocessing(image_size=(32, 32))
    )
    embeddings, _ = jax.jit(
      lambda v, x: model.apply(v, x, True, mutable=['batch_stats'])
    )(variables, images)
    loss, _ = margin_cross_entropy(
      embeddings,
      jnp.asarray(_batch()['label']),
      _on_device(before.params['head']),
      margin_loss=make_margin_loss(
        'arcface', scale=16.0, margin=0.3 * SWITCH / 4
      ),
    )
    np.testing.assert_allclose(self.metrics[SWITCH]['loss'], loss, rtol=1e-4)

  def test_deployed_weights_are_minus_alpha_zero_and_alpha(self):
    state = _on_device(self.states[-1])
    backbone, _ = split_head(state.params)
    variables = deployed.deployed_variables(state, self.rules)
    selected = ternary.granularities(backbone, self.rules)
    self.assertIn('stage1_block0/expand/conv/kernel', selected)
    self.assertNotIn('stage1_block0/depthwise/conv/kernel', selected)
    self.assertNotIn('global/conv/kernel', selected)
    masters = trees.named_leaves(backbone)
    for name, leaf in trees.named_leaves(variables['params']).items():
      leaf = np.asarray(leaf)
      if name not in selected:
        np.testing.assert_array_equal(leaf, masters[name])
        continue
      for column in leaf.reshape(-1, leaf.shape[-1]).T:
        alpha = np.abs(column).max()
        self.assertGreater(alpha, 0)
        self.assertContainsSubset(np.unique(column), [-alpha, 0, alpha])
        self.assertLen(np.unique(np.abs(column)), 2)

  def test_the_masters_stay_float_and_move(self):
    name = 'stage1_block0/expand/conv/kernel'
    before, after = (
      trees.named_leaves(s.params)[name] for s in self.states[-2:]
    )
    self.assertGreater(len(np.unique(after)), 100)
    self.assertTrue((before != after).all())

  def test_a_model_is_ternary_once_a_step_of_it_was(self):
    schedule = self.run_.learner.ternary_schedule
    for steps_done, expected in (
      (0, None),
      (SWITCH, None),
      (SWITCH + 1, schedule.rules),
    ):
      self.assertEqual(deployed.deployed_rules(schedule, steps_done), expected)
    self.assertIsNone(deployed.deployed_rules(None, 9))
    at_once = TernarySchedule(schedule.rules, 0)
    self.assertIsNone(deployed.deployed_rules(at_once, 0))
    self.assertEqual(deployed.deployed_rules(at_once, 1), schedule.rules)


class FrozenTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _runs(self, runs):
    self.runs = runs

  @parameterized.parameters('float', 'ternary')
  def test_frozen_layers_keep_parameters_and_statistics_to_the_bit(self, kind):
    _, _, states = self.runs[kind]
    first, last = states[0], states[-1]
    for part in ('params', 'batch_stats'):
      before = trees.named_leaves(getattr(first, part))
      after = trees.named_leaves(getattr(last, part))
      frozen = {n for n in before if n.startswith(('stem/', 'stage0_block0/'))}
      self.assertNotEmpty(frozen)
      for name in before:
        same = np.array_equal(before[name], after[name])
        self.assertEqual(same, name in frozen, name)
