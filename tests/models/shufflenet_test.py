"""ShuffleNet: its size, its permutation, and who sees which channel."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.models import get_model
from facejax.models.counts import Counts, count_model
from facejax.models.shufflenet import (
  UNIT_MULTIPLE,
  ShuffleUnit,
  shuffle_channels,
)
from facejax.models.stages import scale_width
from facejax.models.tracing import trace_model
from facejax.nn.blocks import ConvNorm
from tests.models.numpy_variables import numpy_variables


class CountsTest(chex.TestCase):
  def test_its_kernels_hold_the_published_number_of_weights(self):
    model = get_model('shufflenet', conv_path='convolution')
    layers = trace_model(model).layers
    kernels = [x.params['kernel'] for x in layers if x.kind == 'conv']
    self.assertEqual(sum(map(np.prod, kernels)), 829_998)  # 0.83 M
    self.assertEqual(
      count_model(model), Counts(853_734, 841_866, 126_101_304, 960)
    )

  def test_the_first_pointwise_convolution_alone_is_in_one_group(self):
    layers = trace_model(
      get_model('shufflenet', conv_path='convolution')
    ).layers
    groups = {
      layer.name: layer.groups
      for layer in layers
      if layer.kind == 'conv' and 'depthwise' not in layer.name
    }
    whole = [name for name, number in groups.items() if number == 1]
    self.assertEqual(whole, ['stem/conv', 'stage0_unit0/reduce/conv'])
    self.assertEqual(set(groups.values()), {1, 3})
    self.assertLen(groups, 1 + 2 * 16)

  def test_width_keeps_what_groups_divide(self):
    self.assertEqual(
      [
        scale_width(c, w, UNIT_MULTIPLE)
        for c, w in ((24, 1.0), (240, 0.5), (240, 0.01))
      ],
      [24, 120, 12],
    )


class ShuffleTest(chex.TestCase):
  @parameterized.parameters(
    (2, [0, 3, 1, 4, 2, 5]),
    (3, [0, 2, 4, 1, 3, 5]),
  )
  def test_channels_are_dealt_to_all_groups(self, groups, expected):
    x = jnp.arange(6.0).reshape(1, 1, 1, 6)
    got = shuffle_channels(x, groups)
    self.assertEqual(got[0, 0, 0].tolist(), expected)

  def test_every_group_of_the_next_layer_gets_of_every_group(self):
    """60 channels, 20 a group: 6 or 7 of each in each."""
    x = jnp.arange(60.0).reshape(1, 1, 1, 60)
    source = np.asarray(shuffle_channels(x, 3)).reshape(3, 20) // 20
    for group in source:
      self.assertLessEqual(set(np.bincount(group.astype(int))), {6, 7})


class UnitTest(chex.TestCase):
  def unit(self, strides, first_groups=3):
    unit = ShuffleUnit(24, strides, ConvNorm, first_groups=first_groups)
    x = jax.random.normal(jax.random.key(1), (1, 4, 4, 12 * (3 - strides)))
    variables = numpy_variables(unit, x, False)
    compiled = jax.jit(lambda v: unit.apply(v, x, False))
    return compiled, variables, np.asarray(x)

  def test_stride_two_puts_the_averaged_input_first(self):
    unit, variables, x = self.unit(2)
    y = unit(variables)
    chex.assert_shape(y, (1, 2, 2, 24))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.maximum(padded[0, 2:5, 2:5].sum((0, 1)) / 9, 0)
    np.testing.assert_allclose(y[0, 1, 1, :12], expected, rtol=1e-4, atol=1e-6)

  def test_stride_one_adds_the_input(self):
    unit, variables, x = self.unit(1)
    kernel = variables['params']['expand']['conv']['kernel']
    variables['params']['expand']['conv']['kernel'] = jnp.zeros_like(kernel)
    np.testing.assert_array_equal(unit(variables), np.maximum(x, 0))

  def test_the_first_convolution_sees_its_own_group_alone(self):
    """The derivative of a group's outputs by another group's inputs is zero."""
    conv = ConvNorm(6, groups=3, activation=None)
    x = jax.random.normal(jax.random.key(1), (1, 1, 1, 12))
    variables = numpy_variables(conv, x, False)
    jacobian = jax.jit(jax.jacobian(lambda x: conv.apply(variables, x, False)))(
      x
    )
    sees = np.asarray(jacobian).reshape(6, 12) != 0
    expected = np.kron(np.eye(3), np.ones((2, 4))) != 0
    np.testing.assert_array_equal(sees, expected)
