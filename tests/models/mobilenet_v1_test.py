"""MobileNetV1 has its published size and the layers of its table."""

import chex
import jax
import jax.numpy as jnp

from facejax.models import get_model
from facejax.models.counts import Counts, count_model
from facejax.models.tracing import trace_model
from tests.models.numpy_variables import numpy_variables
from tests.models.small_mobile import SMALL


class MobileNetV1Test(chex.TestCase):
  def test_counts_are_those_of_the_comparison(self):
    counts = count_model(get_model('mobilenet_v1', conv_path='convolution'))
    self.assertEqual(counts, Counts(3_206_976, 3_196_032, 567_716_352, 1024))

  def test_half_width_has_the_pointwise_kernels_of_half_the_channels(self):
    """Of 3x3x3x16, then 9 C + C O of every block and 2 (C + O) of its norms."""
    channels = [16, 32, 64, 64, 128, 128, *[256] * 6, 512, 512]
    expected = (
      27 * 16
      + 2 * 16
      + sum(
        9 * c + c * o + 2 * (c + o)
        for c, o in zip(channels, channels[1:], strict=False)
      )
    )
    model = get_model('mobilenet_v1', width=0.5, conv_path='convolution')
    self.assertEqual(count_model(model).parameters, expected)

  def test_convolutions_stride_as_the_table_says_but_for_the_first(self):
    model = get_model('mobilenet_v1', conv_path='convolution')
    strides = [
      layer.strides
      for layer in trace_model(model).layers
      if layer.kind == 'conv' and layer.params['kernel'][0] == 3
    ]
    self.assertEqual(strides, [1, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1])

  def test_dropout_drops_of_the_pooled_map_in_training_alone(self):
    model = get_model('mobilenet_v1', dropout=0.5, **SMALL['mobilenet_v1'])
    images = jax.random.normal(jax.random.key(1), (4, 16, 16, 3))
    variables = numpy_variables(model, images, False)

    def embed(train):
      return jax.jit(
        lambda v, x: model.apply(
          v, x, train, mutable=['batch_stats'],
          rngs={'dropout': jax.random.key(2)},
        )[0]
      )(variables, images)  # fmt: skip

    # ReLU leaves few means of nothing.
    self.assertLess(float((embed(False) == 0).mean()), 0.1)
    self.assertBetween(float((embed(True) == 0).mean()), 0.3, 0.7)

  def test_the_embedding_is_the_mean_over_the_map(self):
    """With one block that passes its input on, in numbers by hand."""
    model = get_model(
      'mobilenet_v1', image_size=(2, 2), width=0.25, blocks=((32, 1),)
    )
    images = jnp.arange(12.0).reshape(1, 2, 2, 3)
    variables = numpy_variables(model, images, False)
    centre = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1.0)
    identity = jnp.eye(8).reshape(1, 1, 8, 8)
    params = variables['params']
    params['stem']['conv']['kernel'] = centre * jnp.eye(3, 8).reshape(
      1, 1, 3, 8
    )
    params['block0']['depthwise']['conv']['kernel'] = centre * jnp.ones(
      (1, 1, 1, 8)
    )
    params['block0']['pointwise']['conv']['kernel'] = identity
    got = jax.jit(lambda v: model.apply(v, images, False))(variables)
    expected = jnp.array([[4.5, 5.5, 6.5, 0, 0, 0, 0, 0]])
    chex.assert_trees_all_close(got, expected, rtol=1e-4)
