import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError
from facejax.importing.graph import Graph
from facejax.importing.graph_net import to_net
from tests.importing.graphs import (
  CONSTANTS,
  CONV,
  DENSE,
  KERNEL,
  C,
  graph,
  kinds,
  net,
)


class GraphLayersTest(chex.TestCase):
  def test_a_convolution_has_its_groups_and_strides(self):
    attributes = {'group': 3, 'strides': (2, 1)}
    result = net(('Conv', ['x', 'k', 'c'], 'a', attributes))
    (layer,) = result.layers
    self.assertEqual((layer.groups, layer.strides), (3, (2, 1)))
    self.assertEqual(layer.name, 'Conv_a')
    np.testing.assert_array_equal(layer.arrays['kernel'], KERNEL)
    np.testing.assert_array_equal(layer.arrays['bias'], C)

  @parameterized.parameters(
    ('Gemm', ['a', 'dense', 'o'], {'transB': 1}, 1, 1),
    ('Gemm', ['a', 'dense_t', 'o'], {}, 1, 1),
    ('Gemm', ['a', 'dense_t', 'o'], {'alpha': 2.0, 'beta': 3.0}, 2, 3),
    ('MatMul', ['a', 'dense_t'], {}, 1, 0),
  )
  def test_a_dense_layer_is_outputs_by_inputs(
    self, op, inputs, attributes, alpha, beta
  ):
    result = net(CONV, (op, inputs, 'b', attributes))
    arrays = result.layers[-1].arrays
    np.testing.assert_array_equal(arrays['kernel'], alpha * DENSE)
    bias = arrays.get('bias', np.zeros(2))
    np.testing.assert_array_equal(bias, beta * CONSTANTS['o'])

  def test_one_bias_of_all_outputs_is_a_bias_of_each(self):
    result = net(CONV, ('Gemm', ['a', 'dense_t', 'six'], 'b'))
    np.testing.assert_array_equal(result.layers[-1].arrays['bias'], [6, 6])

  def test_a_sum_behind_a_layer_is_its_bias(self):
    result = net(
      CONV, ('MatMul', ['a', 'dense_t'], 'b'), ('Add', ['o', 'b'], 'y')
    )
    self.assertEqual(kinds(result), ['conv', 'conv'])
    np.testing.assert_array_equal(result.layers[1].arrays['bias'], [5, 6])
    result = net(
      ('Conv', ['x', 'k', 'c'], 'a', {'group': 3}), ('Sub', ['a', 'c11'], 'y')
    )
    self.assertEqual(kinds(result), ['conv'])
    np.testing.assert_array_equal(result.layers[0].arrays['bias'], C - C)
    self.assertEqual(result.layers[0].groups, 3)

  def test_a_sum_behind_a_layer_that_others_use_too_is_a_norm(self):
    result = net(CONV, ('Add', ['a', 'c11'], 'b'), ('Add', ['a', 'b'], 'y'))
    self.assertEqual(kinds(result), ['conv', 'norm'])
    np.testing.assert_array_equal(result.layers[1].arrays['bias'], C)

  def test_a_norm_has_its_statistics_and_epsilon(self):
    epsilon = float(np.float32(2e-5))
    result = net(
      CONV, ('BatchNormalization', list('acccc'), 'y', {'epsilon': epsilon})
    )
    self.assertEqual(result.layers[1].epsilon, 2e-5)
    self.assertEqual(
      set(result.layers[1].arrays), {'scale', 'bias', 'mean', 'var'}
    )
    default = net(CONV, ('BatchNormalization', list('acccc'), 'y'))
    self.assertEqual(default.layers[1].epsilon, 1e-5)

  @parameterized.parameters('c11', '1c11')
  def test_a_product_and_a_sum_are_a_norm(self, c):
    result = net(
      CONV,
      ('Sub', ['a', c], 'b0'),  # becomes a bias of the convolution
      ('Mul', ['b0', c], 'b'),
      ('Add', ['b', c], 'd'),
      ('Div', ['d', c], 'y'),
    )
    self.assertEqual(kinds(result), ['conv', 'norm'])
    arrays = result.layers[1].arrays
    np.testing.assert_array_equal(arrays['scale'], np.ones(4))
    np.testing.assert_array_equal(arrays['bias'], np.ones(4))
    np.testing.assert_array_equal(arrays['mean'], np.zeros(4))
    np.testing.assert_array_equal(arrays['var'], np.ones(4))
    self.assertEqual(result.layers[1].epsilon, 0.0)

  @parameterized.parameters('c', 'c11', '1c11', 'six')
  def test_a_slope_is_one_of_each_channel_or_of_all(self, name):
    result = net(CONV, ('PRelu', ['a', name], 'y'))
    expected = CONSTANTS[name].reshape(-1)
    np.testing.assert_array_equal(result.layers[1].arrays['slope'], expected)

  def test_a_leaky_relu_is_one_slope_of_all_channels(self):
    result = net(CONV, ('LeakyRelu', ['a'], 'b', {'alpha': 0.25}))
    np.testing.assert_array_equal(result.layers[1].arrays['slope'], [0.25])
    result = net(CONV, ('LeakyRelu', ['a'], 'b'))
    np.testing.assert_allclose(result.layers[1].arrays['slope'], [0.01])

  def test_weights_behind_nodes_that_move_them_are_found(self):
    result = net(
      ('Identity', ['k'], 'k1'),
      ('Transpose', ['k1'], 'k2', {'perm': (0, 1, 3, 2)}),
      ('Cast', ['k2'], 'k3', {'to': 1}),
      ('Conv', ['x', 'k3'], 'a'),
      ('Unsqueeze', ['c'], 'c1', {'axes': (1, 2)}),
      ('PRelu', ['a', 'c1'], 'b'),
      ('Transpose', ['dense'], 'd1', {'perm': (1, 0)}),
      ('MatMul', ['b', 'd1'], 'y'),
    )
    np.testing.assert_array_equal(
      result.layers[0].arrays['kernel'], KERNEL.transpose(0, 1, 3, 2)
    )
    np.testing.assert_array_equal(result.layers[2].arrays['kernel'], DENSE)

  def test_what_the_result_does_not_need_is_ignored(self):
    result = net(
      CONV,
      ('Softmax', ['a'], 'loss'),
      ('PRelu', ['a', 'c'], 'y'),
      outputs=('y',),
    )
    self.assertEqual(kinds(result), ['conv', 'slope'])
    self.assertNotIn('k', result.ignored)
    self.assertNotIn('c', result.ignored)
    self.assertIn('dense', result.ignored)

  @parameterized.parameters(
    (['x', 'c'],),
    (['x', 'dense'],),
    (['x', 'k'], {'dilations': (2, 2)}),
    (['x', 'k'], {'strides': (1,)}),
  )
  def test_other_convolutions_are_refused(self, inputs, *attributes):
    with self.assertRaisesRegex(DataError, '^f: Conv Conv_y is no plain'):
      net(('Conv', inputs, 'y', *attributes))

  def test_weights_that_the_graph_computes_are_refused(self):
    with self.assertRaisesRegex(
      DataError, 'Mul Mul_k2 computes weights.*onnxsim'
    ):
      net(('Mul', ['k', 'k'], 'k2'), ('Conv', ['x', 'k2'], 'y'))
    with self.assertRaisesRegex(DataError, 'Conv Conv_y computes weights'):
      net(('Conv', ['x', 'x'], 'y'))
    with self.assertRaisesRegex(DataError, 'MatMul MatMul_y computes'):
      net(CONV, ('MatMul', ['dense', 'a'], 'y'))

  @parameterized.parameters(
    ('Softplus', ['a']),
    ('ConvTranspose', ['a', 'k']),
    ('com.microsoft.FusedConv', ['a', 'k']),
    ('LayerNormalization', ['a', 'c', 'c']),
    ('If', ['a']),
    ('Sqrt', ['a']),
  )
  def test_other_operations_are_refused_by_name(self, op, inputs):
    with self.assertRaisesRegex(DataError, f'{op} {op}_y is an operation that'):
      net(CONV, (op, inputs, 'y'))

  def test_slopes_of_each_place_are_refused(self):
    with self.assertRaisesRegex(DataError, 'PRelu_y has slopes'):
      net(CONV, ('PRelu', ['a', 'k'], 'y'))

  def test_a_norm_in_training_is_refused(self):
    with self.assertRaisesRegex(DataError, 'no statistics.*inference'):
      net(CONV, ('BatchNormalization', list('acc'), 'y'))

  def test_a_dense_layer_on_channels_last_is_refused(self):
    last = ('Transpose', ['a'], 'b', {'perm': (0, 2, 3, 1)})
    for flatten in (('Flatten', ['b'], 'd'), ('Reshape', ['b', 'axes'], 'd')):
      with self.assertRaisesRegex(
        DataError, r'Gemm_y is .*channels.* \(NCHW\)'
      ):
        net(CONV, last, flatten, ('Gemm', ['d', 'dense_t'], 'y'))
    back = ('Transpose', ['b'], 'b2', {'perm': (0, 3, 1, 2)})
    flatten = ('Flatten', ['b2'], 'd')
    net(CONV, last, back, flatten, ('Gemm', ['d', 'dense_t'], 'y'))
    pooled = ('GlobalAveragePool', ['b'], 'b2')
    net(CONV, last, pooled, flatten, ('Gemm', ['d', 'dense_t'], 'y'))

  def test_what_cannot_be_computed_is_refused(self):
    with self.assertRaisesRegex(DataError, "Add_y needs 'nowhere', which"):
      net(CONV, ('Add', ['a', 'nowhere'], 'y'))
    with self.assertRaisesRegex(DataError, "needs 'b', which nothing before"):
      net(('Add', ['x', 'b'], 'c0'), ('Relu', ['c0'], 'b'))
    with self.assertRaisesRegex(DataError, 'no layer with weights'):
      net(('Relu', ['x'], 'y'))
    with self.assertRaisesRegex(DataError, 'Reshape_k2 does not fit'):
      net(('Reshape', ['k', 'axes'], 'k2'), ('Conv', ['x', 'k2'], 'y'))

  def test_other_numbers_of_channels_are_refused(self):
    three = {'three': np.ones((3, 1, 1), np.float32)}
    with self.assertRaisesRegex(
      DataError, 'Add_y has 3 numbers for 4 channels'
    ):
      net(CONV, ('Add', ['a', 'three'], 'y'), **three)
    with self.assertRaisesRegex(
      DataError, 'Mul_y has 3 numbers for 4 channels'
    ):
      net(
        CONV, ('Mul', ['a', 'c11'], 'b'), ('Mul', ['b', 'three'], 'y'), **three
      )

  def test_numbers_that_overflow_are_refused(self):
    small = {'small': np.full((4, 1, 1), 1e-310)}
    with self.assertRaisesRegex(DataError, 'Div_y.scale has 4 of 4 values'):
      net(CONV, ('Div', ['a', 'small'], 'y'), **small)
    with self.assertRaisesRegex(DataError, 'Gemm_y.kernel has .* infinite'):
      net(CONV, ('Gemm', ['a', 'dense_t'], 'y', {'alpha': 3e38}))
    nan = {'nan': np.full(1, np.nan)}
    with self.assertRaisesRegex(DataError, 'Sub_p uses a constant'):
      net(('Sub', ['x', 'nan'], 'p'), ('Conv', ['p', 'k'], 'y'), **nan)

  def test_two_inputs_are_named(self):
    two = graph(('Conv', ['x', 'w9'], 'y'))
    two = Graph('f', two.nodes, two.constants, {'x': None, 'w9': None}, ('y',))
    with self.assertRaisesRegex(DataError, r'has 2 \(x, w9\): weights are'):
      to_net(two)


if __name__ == '__main__':
  absltest.main()
