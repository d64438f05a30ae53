"""From a trained module B into a module A: what fits is carried over."""

import contextlib
import io

import chex
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax import trees
from facejax.checkpoint.model_directory import write_model_directory
from facejax.data.preprocessing import Preprocessing
from facejax.inference.description import describe_model
from facejax.models import get_model
from facejax.training.state import TrainState, join_head
from facejax.training.warm_start import warm_start
from tests.models.numpy_variables import numpy_variables
from tests.models.small_pooled import SMALL_POOLED

# Two units in the last stage.
_SPHEREFACE = {
  'image_size': (32, 16),
  'width': 0.25,
  'embedding_size': 128,
  'units': (1, 0, 0, 2),
}
_MOBILEFACENET = {
  name: value
  for name, value in SMALL_POOLED['mobilefacenet'].items()
  if name not in ('pooled', 'hash_bits')
}
# Module B, and which of its blocks module A has otherwise, or not at all.
NETS = {
  'sphereface10': (
    _SPHEREFACE,
    {'stage3', 'stage3_activation', 'stage3_unit0', 'stage3_unit1'},
    {'embed'},
  ),
  'mobilefacenet': (_MOBILEFACENET, {'last'}, {'global', 'embed'}),
}


def _variables(model, **options):
  images = jnp.zeros((1, *model.image_size, 3))
  return numpy_variables(model, images, False, drawn=True, **options)


def _state(model, inputs):
  """Before any step, with class weights of 3 people."""
  variables = _variables(model, seed=1)
  weights = jnp.ones((3, inputs))
  return TrainState(
    step=jnp.int32(0),
    params=join_head(variables['params'], {'class_weights': weights}),
    batch_stats=variables.get('batch_stats', {}),
    opt_state=(),
    ema={},
  )


def _blocks(names):
  return {name.split('/')[1] for name in names}


class PooledWarmStartTest(chex.TestCase):
  def _start(self, name, *, checksum='', **fields):
    """Writes a module B; the state and report of a net begun from it."""
    module_b = get_model(name, **NETS[name][0])
    source = _variables(module_b)
    path = self.create_tempdir().full_path + '/model'
    description = describe_model(
      source,
      architecture=name,
      fields=NETS[name][0],
      preprocessing=Preprocessing(module_b.image_size),
      training_data={'identities_checksum': 'of three'},
    )
    weights = np.ones((3, module_b.embedding_size), np.float32)
    write_model_directory(
      path, description=description, variables=source, classifier=weights
    )
    state = _state(module_b.clone(hash_bits=16, **fields), 48)
    started, report = warm_start(
      state, path, num_identities=3, identities_checksum=checksum
    )
    return source, state, started, report

  def _check_values(self, source, before, after, report):
    before, after = (
      trees.named_leaves({'params': s.params, 'batch_stats': s.batch_stats})
      for s in (before, after)
    )
    source = trees.named_leaves(source)
    matched = {*report.matched}
    for name, value in after.items():
      expected = source if name in matched else before
      np.testing.assert_array_equal(value, expected[name], name)

  @parameterized.parameters(*NETS)
  def test_all_but_the_narrower_layers_is_taken_over(self, name):
    source, before, after, report = self._start(name, pooled=True)
    _, narrower, left = NETS[name]
    self.assertEqual(_blocks(report.other_shape), narrower)
    self.assertEqual(_blocks(report.not_in_model), {'hash', 'head'})
    self.assertEqual(_blocks(report.not_in_run), left)
    self.assertFalse(_blocks(report.matched) & (narrower | left))
    self._check_values(source, before, after, report)
    for shapes in (report.matched, report.other_shape):
      self.assertNotEmpty(shapes)

  @parameterized.parameters(*NETS)
  def test_at_its_own_width_conv_2_is_taken_over_too(self, name):
    source, before, after, report = self._start(
      name, pooled=True, last_ratio=1.0
    )
    self.assertEqual(report.other_shape, [])
    self.assertEqual(_blocks(report.not_in_model), {'hash', 'head'})
    self._check_values(source, before, after, report)

  @parameterized.parameters(*NETS)
  def test_the_usual_form_takes_over_the_feature_layer(self, name):
    _, _, _, report = self._start(name)
    self.assertEqual(_blocks(report.not_in_model), {'hash', 'head'})
    self.assertEqual(report.not_in_run + report.other_shape, [])
    self.assertIn('embed', _blocks(report.matched))

  def test_class_weights_of_the_same_people_do_not_see_the_same(self):
    *_, report = self._start('sphereface10', checksum='of three', pooled=True)
    self.assertIn('params/head/class_weights', report.other_shape)

  def test_the_command_says_what_was_and_what_was_not(self):
    *_, report = self._start('mobilefacenet', pooled=True)
    # A block of which a part fits.
    report.matched.append('params/last/activation/slope')
    report.other_shape.remove('params/last/activation/slope')
    stderr = io.StringIO()
    with contextlib.redirect_stderr(stderr):
      report.print('out/module_b/model')
    text = stderr.getvalue()
    first, second = text.splitlines()[:2]
    self.assertRegex(first, r'^init_from out/module_b/model: \d+ of \d+ arrays')
    blocks = second.removeprefix('  taken over: ').split(', ')
    self.assertIn('stage0_block0', blocks)
    self.assertIn('last (1 of 6)', blocks)
    for line in (
      '  not in model: params/hash/kernel',
      '  other shape: params/last/conv/kernel',
      '  not in run: params/embed/conv/kernel',
    ):
      self.assertIn(line, text.splitlines())
