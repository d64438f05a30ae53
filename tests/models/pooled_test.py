"""Module A: what it computes, how wide it is, what it refuses."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax import trees
from facejax.errors import UsageError
from facejax.models import get_model
from facejax.models.counts import count_model
from facejax.models.tracing import trace_model
from tests.models.numpy_variables import numpy_variables
from tests.models.small_pooled import SMALL_POOLED

# Where the map of conv 2 leaves a net, whether a ReLU follows, the side and
# the stride of the net's own windows.
CONV_2 = {
  'vgg16': ('conv2_1', True, 2, 2),
  'sphereface10': ('stage3_activation', False, 2, 2),
  'ir18': ('output_norm', False, 2, 2),
  'iresnet18': ('output_norm', False, 2, 2),
  'alexnet': ('conv5', True, 3, 2),
  'mobilefacenet': ('last', False, 2, 2),
}
_FAST = {'xla_backend_optimization_level': 0}


def numpy_pools(x, local_pool, size, strides):
  """Mean of the map beside the mean or maximum of its windows' maxima."""
  windows = [
    x[:, top : top + size, left : left + size].max((1, 2))
    for top in range(0, max(x.shape[1] - size + strides, 1), strides)
    for left in range(0, max(x.shape[2] - size + strides, 1), strides)
  ]
  pool = np.mean if local_pool == 'average' else np.max
  return np.concatenate([x.mean((1, 2)), pool(np.stack(windows), 0)], -1)


def shapes_of(name, **fields):
  """Shapes of the parameters by name."""
  model = get_model(name, **fields)
  images = jnp.zeros((1, *model.image_size, model.image_channels))
  variables = jax.eval_shape(
    lambda: model.init(jax.random.key(0), images, False)
  )
  leaves = trees.named_leaves(variables['params'])
  return {name: leaf.shape for name, leaf in leaves.items()}


class SpliceTest(chex.TestCase):
  @parameterized.product(
    sides=((1, 1), (3, 2), (5, 5), (7, 6)), local_pool=('average', 'max')
  )
  def test_pools_of_a_map_are_those_of_numpy(self, sides, local_pool):
    x = np.random.default_rng(3).normal(-2, 1, (2, *sides, 4)).astype('f')
    model = get_model('sphereface4', pooled=True, local_pool=local_pool)
    np.testing.assert_allclose(
      model.splice(jnp.asarray(x)),
      numpy_pools(x, local_pool, 2, 2),
      rtol=1e-5,
    )

  def test_by_hand(self):
    x = jnp.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 12]]).reshape(1, 3, 3, 1)
    average = get_model('sphereface4', pooled=True).splice(x)
    # Windows 1 2 4 5, 3 6, 7 8, 12.
    np.testing.assert_allclose(average, [[48 / 9, (5 + 6 + 8 + 12) / 4]])
    largest = get_model('sphereface4', pooled=True, local_pool='max').splice(x)
    np.testing.assert_allclose(largest, [[48 / 9, 12]])

  @parameterized.parameters(*CONV_2)
  def test_a_net_embeds_by_the_pools_of_its_conv_2_and_hashes_that(self, name):
    model = get_model(name, **SMALL_POOLED[name])
    module, has_relu, size, strides = CONV_2[name]
    shape = (2, *model.image_size, model.image_channels)
    images = jax.random.normal(jax.random.key(4), shape)
    variables = numpy_variables(model, images[:1], False, drawn=True)

    def run(variables, images):
      return model.apply(
        variables,
        images,
        False,
        method='outputs',
        capture_intermediates=lambda m, _: m.path == (module,),
      )

    run = jax.jit(run).lower(variables, images)
    (outputs, state) = run.compile(compiler_options=_FAST)(variables, images)
    x = np.asarray(state['intermediates'][module]['__call__'][0])
    self.assertTrue(all(side % 2 for side in x.shape[1:3]), x.shape)
    x = np.maximum(x, 0) if has_relu else x
    expected = numpy_pools(x, 'average', size, strides)
    np.testing.assert_allclose(outputs.embedding, expected, rtol=1e-4)
    hashed = jax.tree.map(np.asarray, variables['params']['hash'])
    self.assertEqual(hashed['kernel'].shape, (1, 1, expected.shape[1], 24))
    np.testing.assert_allclose(
      outputs.logits,
      expected @ hashed['kernel'][0, 0] + hashed['bias'],
      rtol=1e-3,
      atol=1e-4,
    )


class WidthTest(chex.TestCase):
  @parameterized.parameters(
    (1, 512), (3 / 4, 384), (1 / 2, 256), (1 / 3, 171), (1 / 4, 128)
  )
  def test_ratios_of_sphereface(self, ratio, channels):
    shapes = shapes_of('sphereface20', pooled=True, last_ratio=ratio)
    self.assertEqual(shapes['stage3/kernel'], (3, 3, 256, channels))
    unit = shapes['stage3_unit0/conv2/kernel']
    self.assertEqual(unit, (3, 3, channels, channels))
    self.assertEqual(shapes['stage2/kernel'][-1], 256)

  @parameterized.parameters(
    # Twice as wide as conv 2, or more: its channels stay.
    ('vgg16', {}, 'conv5_3/kernel', 512),
    ('alexnet', {}, 'conv5/kernel', 256),
    ('sphereface20', {'embedding_size': 1024}, 'stage3/kernel', 512),
    ('mobilefacenet_m', {}, 'last/conv/kernel', 512),
    # Else the pooled features are as wide as the layer was.
    ('sphereface20', {}, 'stage3_unit0/conv1/kernel', 256),
    ('sphereface64', {}, 'stage3_unit2/conv2/kernel', 256),
    ('ir18', {}, 'stage3_unit1/conv2/conv/kernel', 256),
    ('ir_se50', {}, 'stage3_unit0/conv2/conv/kernel', 256),
    ('iresnet18', {}, 'stage3_unit1/conv2/conv/kernel', 256),
    ('mobilefacenet', {}, 'last/conv/kernel', 64),
    ('mobilefacenet', {'embedding_size': 512}, 'last/conv/kernel', 256),
    # A ratio goes before the rule.
    ('vgg16', {'last_ratio': 0.5}, 'conv5_3/kernel', 256),
    ('alexnet', {'last_ratio': 0.25}, 'conv5/kernel', 64),
    ('ir18', {'last_ratio': 1}, 'stage3_unit0/conv1/kernel', 512),
    ('mobilefacenet', {'last_ratio': 1 / 3}, 'last/conv/kernel', 171),
  )
  def test_the_width_of_conv_2(self, name, fields, kernel, channels):
    shapes = shapes_of(name, pooled=True, **fields)
    self.assertEqual(shapes[kernel][-1], channels)
    dense = {'fc6', 'fc7', 'embed', 'global', 'embed_norm'}
    self.assertFalse(dense & {name.split('/')[0] for name in shapes})

  def test_only_the_last_convolution_of_vgg_changes(self):
    trunk = {
      name: shape
      for name, shape in shapes_of('vgg16').items()
      if not name.startswith('fc')
    }
    pooled = shapes_of('vgg16', pooled=True)
    self.assertEqual(pooled, trunk)
    halved = shapes_of('vgg16', pooled=True, last_ratio=0.5)
    different = {name for name in trunk if halved[name] != trunk[name]}
    self.assertEqual(different, {'conv5_3/kernel', 'conv5_3/bias'})

  @parameterized.parameters(
    ('vgg16', 14_714_688, 1024),
    ('sphereface20', 7_529_792, 512),
  )
  def test_counts_of_the_trunk_and_of_the_hash_layer(self, name, trunk, size):
    counts = count_model(get_model(name, pooled=True))
    self.assertEqual((counts.parameters, counts.embedding_size), (trunk, size))
    hashed = count_model(get_model(name, pooled=True, hash_bits=128))
    self.assertEqual(hashed.parameters, trunk + size * 128 + 128)
    self.assertEqual(hashed.multiply_adds - counts.multiply_adds, size * 128)
    self.assertEqual(hashed.embedding_size, size)

  def test_the_hash_layer_is_the_last_of_a_trace(self):
    model = get_model('sphereface4', pooled=True, hash_bits=16)
    last = trace_model(model).layers[-1]
    self.assertEqual((last.name, last.kind), ('hash', 'conv'))
    self.assertEqual(last.params, {'kernel': (1, 1, 512, 16), 'bias': (16,)})


class RefusedTest(chex.TestCase):
  @parameterized.parameters(
    ('sphereface4', {'local_pool': 'sum'}, "'sum': use average or max"),
    ('sphereface4', {'last_ratio': 0}, 'last_ratio=0: use a positive'),
    ('sphereface4', {'last_ratio': float('nan')}, 'last_ratio=nan: use'),
    (
      'sphereface4',
      {'last_ratio': 1e-4},
      '0.0001: the last .* have 0 channels',
    ),
    ('sphereface4', {'embedding_size': 1}, 'embedding_size=1: .* 0 channels'),
    ('alexnet', {'last_ratio': 1 / 3}, 'have 85 channels in 2 groups'),
    ('ir18', {'units': (0, 0, 0, 0)}, 'pooled features need one'),
    ('mobilefacenet', {'tail': 'average'}, "tail='average': pooled"),
    ('mobilefacenet', {'last_features': None}, 'need last_features'),
    ('mobilefacenet_s', {}, 'need last_features'),
  )
  def test_what_cannot_be_pooled(self, name, fields, message):
    with self.assertRaisesRegex(UsageError, message):
      shapes_of(name, pooled=True, **fields)

  @parameterized.product(
    name=('vgg16', 'alexnet', 'sphereface4', 'ir18', 'mobilefacenet_s'),
    fields=({'local_pool': 'max'}, {'last_ratio': 0.5}),
  )
  def test_settings_of_module_a_without_it(self, name, fields):
    with self.assertRaisesRegex(UsageError, 'give pooled=True'):
      shapes_of(name, **fields)

  @parameterized.parameters('mobilenet_v1', 'lightcnn9', 'lenet5', 'mbf')
  def test_nets_without_a_module_a(self, name):
    with self.assertRaisesRegex(UsageError, "no field 'pooled'"):
      get_model(name, pooled=True)
