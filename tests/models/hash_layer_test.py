"""The hash layer that every architecture may have behind its embedding."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import parameterized

from facejax import trees
from facejax.errors import DataError, UsageError
from facejax.models import MODELS, get_model
from facejax.nn.rematerialization import rematerialize
from tests.models.numpy_variables import numpy_variables
from tests.models.small_deep import SMALL as DEEP
from tests.models.small_mobile import SMALL as MOBILE

_SMALL = {**MOBILE, **DEEP}
_PLAIN = get_model('sphereface4', **_SMALL['sphereface4'])
_HASHED = {'raw': _PLAIN.clone(hash_bits=8)}
_HASHED['unit'] = _HASHED['raw'].clone(hash_input='unit')


@pytest.fixture(scope='module')
def computed():
  """Images, variables, and what the plain and both hashed nets make of them."""
  images = jax.random.normal(jax.random.key(0), (5, 32, 16, 3))
  variables = numpy_variables(_HASHED['raw'], images[:1], False, drawn=True)

  @jax.jit
  def compute(variables, images):
    net = {k: v for k, v in variables['params'].items() if k != 'hash'}

    def squares(params, apply):
      return jnp.sum(apply({'params': params}, images).logits ** 2)

    def apply(variables, images):
      return _HASHED['unit'].apply(variables, images, False, method='outputs')

    return {
      'plain': _PLAIN.apply({'params': net}, images, False, method='outputs'),
      'called': _HASHED['raw'].apply(variables, images, False),
      **{
        name: model.apply(variables, images, False, method='outputs')
        for name, model in _HASHED.items()
      },
      'gradients': [
        jax.grad(squares)(variables['params'], f)
        for f in (apply, rematerialize(apply))
      ],
    }

  return variables, compute(variables, images)


class HashLayerTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _computed(self, computed):
    self.variables, self.results = computed
    self.layer = jax.tree.map(np.asarray, self.variables['params']['hash'])

  def test_without_bits_there_is_no_layer_and_there_are_no_logits(self):
    self.assertIsNone(self.results['plain'].logits)
    images = jnp.zeros((1, 32, 16, 3))
    shapes = jax.eval_shape(
      lambda: _PLAIN.init(jax.random.key(0), images, False)
    )
    self.assertNotIn('hash', shapes['params'])

  def test_the_embedding_is_that_of_the_same_net_without_it(self):
    plain = self.results['plain'].embedding
    for name in _HASHED:
      np.testing.assert_array_equal(self.results[name].embedding, plain)
    np.testing.assert_array_equal(self.results['called'], plain)

  @parameterized.parameters('raw', 'unit')
  def test_logits_are_affine_in_the_embedding(self, hash_input):
    outputs = self.results[hash_input]
    features = np.asarray(outputs.embedding, np.float64)
    if hash_input == 'unit':
      features /= np.linalg.norm(features, axis=1, keepdims=True)
    expected = features @ self.layer['kernel'][0, 0] + self.layer['bias']
    np.testing.assert_allclose(outputs.logits, expected, rtol=1e-4, atol=1e-5)

  def test_gradients_reach_the_net_through_it_with_remat_too(self):
    direct, recomputed = self.results['gradients']
    chex.assert_trees_all_close(direct, recomputed, rtol=1e-4, atol=1e-6)
    for name, gradient in trees.named_leaves(direct).items():
      self.assertGreater(float(jnp.abs(gradient).max()), 0, name)

  @parameterized.parameters('raw', 'unit')
  def test_first_logits_are_as_large_as_normalised_features(self, hash_input):
    model = get_model(
      'lenet5', **_SMALL['lenet5'], hash_bits=512, hash_input=hash_input
    )
    images = jnp.zeros((1, 16, 16, model.image_channels))
    variables = jax.jit(model.init, static_argnums=2)(
      jax.random.key(0), images, False
    )
    kernel = variables['params']['hash']['kernel']
    deviation = {'raw': 16**-0.5, 'unit': 1.0}[hash_input]
    np.testing.assert_allclose(kernel.std(), deviation, rtol=0.05)

  @parameterized.parameters(
    ({'hash_bits': 12}, 'hash_bits=12: use a positive multiple of 8'),
    ({'hash_bits': -8}, 'hash_bits=-8: use a positive multiple of 8'),
    (
      {'hash_bits': 8, 'hash_input': 'norm'},
      "hash_input 'norm': use raw or unit",
    ),
    ({'hash_input': 'unit'}, "hash_input='unit' is of a hash layer"),
  )
  def test_layers_that_cannot_be_are_refused(self, fields, message):
    model = _PLAIN.clone(**fields)
    with self.assertRaisesRegex(UsageError, message):
      jax.eval_shape(
        lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 16, 3)), False)
      )

  def test_images_of_another_size_are_refused(self):
    with self.assertRaisesRegex(DataError, 'the model takes images of'):
      _HASHED['raw'].apply(
        self.variables, jnp.zeros((1, 16, 32, 3)), False, method='outputs'
      )


@pytest.mark.slow
class EveryModelTest(chex.TestCase):
  @parameterized.parameters(*sorted(MODELS))
  def test_every_architecture_hashes_its_embedding(self, name):
    model = get_model(name, **_SMALL[name], hash_bits=16)
    images = jnp.zeros((2, *model.image_size, model.image_channels))
    outputs, variables = jax.eval_shape(
      lambda: model.init_with_output(
        jax.random.key(0), images, False, method='outputs'
      )
    )
    self.assertEqual(outputs.logits.shape, (2, 16))
    size = outputs.embedding.shape[1]
    kernel = variables['params']['hash']['kernel']
    self.assertEqual(kernel.shape, (1, 1, size, 16))
