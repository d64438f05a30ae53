"""MobileNetV2 and its tails have the sizes that the papers argue with."""

import chex
import jax
import jax.numpy as jnp
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.models import get_model
from facejax.models.counts import Counts, count_model
from facejax.models.tracing import trace_model
from facejax.nn.layers import Conv
from tests.models.numpy_variables import numpy_variables


def _count(name, **fields):
  return count_model(get_model(name, conv_path='convolution', **fields))


class MobileNetV2Test(chex.TestCase):
  def test_counts_are_those_of_the_comparison(self):
    plain = _count('mobilenet_v2')
    self.assertEqual(plain, Counts(2_223_872, 2_206_816, 299_494_272, 1280))
    gdconv = _count('mobilenet_v2_gdconv')
    # The kernel of the whole map, and BatchNorm of its 1280 channels.
    self.assertEqual(gdconv.parameters, plain.parameters + 62_720 + 2 * 1280)
    self.assertEqual(gdconv.multiply_adds, plain.multiply_adds + 62_720)

  def test_a_dense_layer_over_the_map_would_cost_eight_million(self):
    """The alternative that the MobileFaceNet paper rejects."""
    shapes = jax.eval_shape(
      Conv(128, (7, 7), padding=0).init,
      jax.random.key(0),
      jax.ShapeDtypeStruct((1, 7, 7, 1280), jnp.float32),
    )
    self.assertEqual(shapes['params']['kernel'].size, 8_028_160)

  def test_the_last_layer_grows_with_width_and_does_not_shrink(self):
    def last(width):
      model = get_model('mobilenet_v2', width=width, stages=((1, 16, 1, 1),))
      return trace_model(model).layers[-1].params['scale']

    self.assertEqual(last(0.5), (1280,))
    self.assertEqual(last(1.5), (1920,))

  def test_convolutions_stride_as_the_table_says_but_for_the_first(self):
    layers = trace_model(
      get_model('mobilenet_v2', conv_path='convolution')
    ).layers
    strides = [
      layer.strides
      for layer in layers
      if layer.kind == 'conv' and layer.params['kernel'][0] == 3
    ]
    expected = [1, 1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    self.assertEqual(strides, expected)
    # An expansion of 1 has no first convolution.
    names = [layer.name for layer in layers if layer.kind == 'conv']
    self.assertEqual(
      names[:4],
      [
        'stem/conv',
        'stage0_block0/depthwise/conv',
        'stage0_block0/project/conv',
        'stage1_block0/expand/conv',
      ],
    )

  def test_blocks_of_one_shape_add_their_input(self):
    """With a projection of zeros the second block is the identity."""
    fields = {'image_size': (8, 8), 'width': 0.25, 'last_features': 16}
    one = get_model('mobilenet_v2', stages=((1, 16, 1, 1),), **fields)
    two = get_model('mobilenet_v2', stages=((1, 16, 2, 1),), **fields)
    images = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
    variables = numpy_variables(two, images, False)
    project = variables['params']['stage0_block1']['project']['conv']
    project['kernel'] = jnp.zeros_like(project['kernel'])

    def embed(model):
      return jax.jit(lambda v: model.apply(v, images, False))(variables)

    embeddings = embed(two)
    for collection in variables.values():
      del collection['stage0_block1']
    chex.assert_trees_all_close(embeddings, embed(one), rtol=1e-5)
    self.assertGreater(float(jnp.abs(embeddings).max()), 0)

  @parameterized.parameters(
    ({'tail': 'dense'}, "tail 'dense': use one of average, depthwise"),
    ({'activation': 'swish'}, "activation 'swish': use one of prelu"),
  )
  def test_a_field_of_no_meaning_is_refused(self, fields, message):
    with self.assertRaisesRegex(UsageError, message):
      _count('mobilenet_v2', **fields)
