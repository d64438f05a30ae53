"""A folded net is the same function without statistics."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax.compression import folding, packed
from facejax.errors import DataError
from facejax.models import get_model
from facejax.nn.layers import NORM_EPSILON
from tests.models.numpy_variables import numpy_variables

SMALL = {
  'image_size': (32, 32),
  'width': 0.25,
  'stages': ((2, 64, 1, 2), (2, 64, 1, 1)),
}


class FoldingTest(chex.TestCase):
  def test_embeddings_stay_and_statistics_go(self):
    images = jax.random.normal(jax.random.key(1), (4, 32, 32, 3))
    model = get_model('mobilefacenet', **SMALL)
    variables = numpy_variables(model, images, False, drawn=True)
    folded = folding.fold_batch_norm(variables)
    self.assertEqual(set(folded), {'params'})
    shapes = jax.eval_shape(
      lambda: model.clone(folded=True).init(jax.random.key(0), images, False)
    )
    chex.assert_trees_all_equal_shapes(folded, shapes)
    np.testing.assert_allclose(
      model.clone(folded=True).apply(folded, images, False),
      model.apply(variables, images, False),
      rtol=1e-4,
      atol=1e-4,
    )

  def test_a_layer_by_hand(self):
    sigma = np.sqrt(4.0 + NORM_EPSILON)
    variables = {
      'params': {
        'a': {
          'conv': {'kernel': jnp.full((1, 1, 1, 1), 3.0)},
          'norm': {'scale': jnp.array([2.0]), 'bias': jnp.array([0.5])},
          'activation': {'slope': jnp.array([0.25])},
        },
        'b_norm': {'scale': jnp.array([2.0]), 'bias': jnp.array([0.5])},
      },
      'batch_stats': {
        name: {'mean': jnp.array([1.0]), 'var': jnp.array([4.0])}
        for name in ('b_norm',)
      }
      | {'a': {'norm': {'mean': jnp.array([1.0]), 'var': jnp.array([4.0])}}},
    }
    folded = folding.fold_batch_norm(variables)['params']
    self.assertEqual(set(folded['a']), {'conv', 'activation'})
    np.testing.assert_allclose(
      folded['a']['conv']['kernel'].item(), 6 / sigma, rtol=1e-6
    )
    np.testing.assert_allclose(
      folded['a']['conv']['bias'], 0.5 - 2 / sigma, rtol=1e-6
    )
    np.testing.assert_allclose(folded['b_norm']['scale'], 2 / sigma, rtol=1e-6)
    np.testing.assert_allclose(
      folded['b_norm']['bias'], 0.5 - 2 / sigma, rtol=1e-6
    )

  def test_a_bias_before_the_norm_is_folded_too(self):
    layer = {
      'conv': {'kernel': jnp.ones((1, 1, 1, 1)), 'bias': jnp.array([3.0])},
      'norm': {'scale': jnp.array([2.0]), 'bias': jnp.array([0.0])},
    }
    stats = {'norm': {'mean': jnp.array([1.0]), 'var': jnp.array([1.0])}}
    folded = folding.fold_batch_norm({'params': layer, 'batch_stats': stats})
    np.testing.assert_allclose(
      folded['params']['conv']['bias'], 4 / np.sqrt(1 + NORM_EPSILON), rtol=1e-6
    )

  def test_without_batch_norm_nothing_changes(self):
    params = {'conv': {'kernel': jnp.ones((1, 1, 2, 3)), 'bias': jnp.ones(3)}}
    folded = folding.fold_batch_norm({'params': params})
    chex.assert_trees_all_equal(folded, {'params': params})

  def test_packed_weights_and_stray_statistics_are_refused(self):
    images = jnp.zeros((1, 32, 32, 3))
    variables = numpy_variables(
      get_model('mobilefacenet', **SMALL), images, False, drawn=True
    )
    rules = [('.*depthwise/.*|global/.*', 'float'), ('.*kernel', 'filter')]
    params = packed.pack_tree(variables['params'], rules)
    with self.assertRaisesRegex(DataError, 'before packing'):
      folding.fold_batch_norm({**variables, 'params': params})
    stray = {'ghost': {'norm': {'mean': jnp.ones(1), 'var': jnp.ones(1)}}}
    with self.assertRaisesRegex(DataError, 'without a norm: ghost'):
      folding.fold_batch_norm(
        {**variables, 'batch_stats': {**variables['batch_stats'], **stray}}
      )
