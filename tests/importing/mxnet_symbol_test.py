import json

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError
from facejax.importing.graph_net import to_net
from facejax.importing.mxnet_params import read_params
from facejax.importing.mxnet_symbol import read_symbol
from tests.importing.params_writer import norm_arrays, symbol_text

KERNEL = np.arange(4 * 3 * 9, dtype=np.float32).reshape(4, 3, 3, 3)
DENSE = np.arange(8, dtype=np.float32).reshape(2, 4)
NORM_INPUTS = ['bn_gamma', 'bn_beta', 'bn_moving_mean', 'bn_moving_var']
ARRAYS = {
  'conv_weight': KERNEL,
  'conv_bias': np.ones(4, np.float32),
  'slope_gamma': np.full(4, 0.25, np.float32),
  'fc_weight': DENSE,
  'fc_bias': np.ones(2, np.float32),
} | {
  name.partition(':')[2]: array for name, array in norm_arrays('bn', 4).items()
}
CONV = ('Convolution', 'conv', ['data', 'conv_weight'], {'kernel': '(3, 3)'})


class MxnetSymbolTest(chex.TestCase):
  def graph(self, *steps, **more):
    return self.read(symbol_text(steps, **more))

  def read(self, text, arrays=ARRAYS):
    return read_symbol(self.create_tempfile(content=text).full_path, arrays)

  def net(self, *steps, **more):
    return to_net(self.graph(*steps, **more))

  @parameterized.parameters('attrs', 'attr', 'param')
  def test_parameters_are_read_from_files_of_every_age(self, key):
    parameters = {'num_group': 3, 'stride': '(2L, 1L)', 'no_bias': 'True'}
    step = ('Convolution', 'conv', ['data', 'conv_weight'], parameters)
    (layer,) = self.net(step, key=key).layers
    self.assertEqual((layer.groups, layer.strides), (3, (2, 1)))
    self.assertEqual(layer.name, 'conv')
    np.testing.assert_array_equal(layer.arrays['kernel'], KERNEL)

  def test_defaults_are_those_of_mxnet(self):
    result = self.net(
      CONV,
      ('BatchNorm', 'bn', ['conv', *NORM_INPUTS]),
      ('LeakyReLU', 'leaky', ['bn']),
    )
    conv, norm, leaky = result.layers
    self.assertEqual((conv.groups, conv.strides), (1, (1, 1)))
    self.assertEqual(norm.epsilon, 1e-3)
    # fix_gamma: 1 whatever is stored.
    np.testing.assert_array_equal(norm.arrays['scale'], np.ones(4))
    np.testing.assert_array_equal(norm.arrays['bias'], ARRAYS['bn_beta'])
    self.assertIn('bn_gamma', result.ignored)
    np.testing.assert_array_equal(leaky.arrays['slope'], [0.25])

  def test_a_norm_whose_scale_is_free_keeps_it(self):
    parameters = {'fix_gamma': 'False', 'eps': '2e-05'}
    step = ('BatchNorm', 'bn', ['conv', *NORM_INPUTS], parameters)
    norm = self.net(CONV, step).layers[1]
    self.assertEqual(norm.epsilon, 2e-5)
    names = ('scale', 'bias', 'mean', 'var')
    for ours, theirs in zip(names, NORM_INPUTS, strict=True):
      np.testing.assert_array_equal(norm.arrays[ours], ARRAYS[theirs])

  def test_the_oldest_symbols_do_not_list_statistics(self):
    step = ('BatchNorm', 'bn', ['conv', *NORM_INPUTS[:2]], {'eps': '0.1'})
    text = json.loads(symbol_text([CONV, step], key='param'))
    for node in text['nodes']:
      node['backward_source_id'] = -1
      node['inputs'] = [link[:2] for link in node['inputs']]
    text['heads'] = [link[:2] for link in text['heads']]
    norm = to_net(self.read(json.dumps(text))).layers[1]
    self.assertEqual(norm.epsilon, 0.1)
    np.testing.assert_array_equal(norm.arrays['var'], ARRAYS['bn_moving_var'])

  @parameterized.parameters('_minus_scalar', '_MinusScalar')
  def test_scalars_at_the_input_are_the_normalisation(self, minus):
    result = self.net(
      (minus, 'm', ['data'], {'scalar': 127.5}),
      ('_mul_scalar', 's', ['m'], {'scalar': 0.0078125}),
      ('Convolution', 'conv', ['s', 'conv_weight']),
    )
    self.assertEqual((result.mean, result.scale), (127.5, 128.0))

  def test_a_dense_layer_has_its_weight_and_bias(self):
    result = self.net(
      CONV,
      ('LeakyReLU', 'r', ['conv', 'slope_gamma'], {'act_type': 'prelu'}),
      ('Pooling', 'p', ['r'], {'global_pool': 'True', 'pool_type': 'avg'}),
      ('Flatten', 'f', ['p']),
      ('Dropout', 'd', ['f']),
      ('FullyConnected', 'fc', ['d', 'fc_weight', 'fc_bias']),
      ('L2Normalization', 'out', ['fc']),
    )
    self.assertEqual(
      [la.kind for la in result.layers], ['conv', 'slope', 'conv']
    )
    np.testing.assert_array_equal(result.layers[2].arrays['kernel'], DENSE)
    np.testing.assert_array_equal(result.layers[2].arrays['bias'], [1, 1])

  @parameterized.parameters(
    ('Activation', {'act_type': 'relu'}, {'relu'}),
    ('clip', {'a_min': '0', 'a_max': '6'}, {'relu6'}),
    ('Activation', {'act_type': 'sigmoid'}, set()),
    ('Activation', {'act_type': 'tanh'}, set()),
  )
  def test_activations_are_told(self, op, parameters, expected):
    result = self.net(CONV, (op, 'a', ['conv'], parameters))
    self.assertEqual(result.activations, expected)

  def test_sums_and_maxima_of_features_pass(self):
    result = self.net(
      CONV,
      ('SliceChannel', 's', ['conv'], {'num_outputs': 2}),
      ('_Maximum', 'm', ['s', 's']),
      ('Concat', 'c', ['m', 's']),
      ('identity', 'i', ['c']),
      ('elemwise_add', 'a', ['i', 'conv']),
      ('_Plus', 'b', ['a', 'conv']),
      ('broadcast_mul', 'd', ['b', 'conv']),
      ('Reshape', 'r', ['d'], {'shape': '(-1, 4)'}),
      ('FullyConnected', 'fc', ['r', 'fc_weight'], {'no_bias': True}),
    )
    self.assertEqual([la.kind for la in result.layers], ['conv', 'conv'])

  @parameterized.parameters(
    ('LeakyReLU', {'act_type': 'elu'}, r'LeakyReLU\(elu\)'),
    ('Activation', {'act_type': 'softrelu'}, r'Activation\(softrelu\)'),
    ('Pooling', {'pool_type': 'lp'}, r'Pooling\(lp\)'),
    ('BatchNorm', {'axis': '3'}, r'BatchNorm\(axis=3\)'),
    ('Convolution', {'layout': 'NHWC'}, r'Convolution\(NHWC\)'),
    ('Deconvolution', {}, 'Deconvolution'),
    ('_rminus_scalar', {'scalar': 1}, '_rminus_scalar'),
  )
  def test_other_operations_are_refused_by_name(self, op, parameters, name):
    with self.assertRaisesRegex(DataError, rf'{name} y is an operation'):
      self.net(CONV, (op, 'y', ['conv'], parameters))

  def test_missing_weights_are_named(self):
    with self.assertRaisesRegex(DataError, r'has 2 \(data, conv_weight\)'):
      to_net(self.read(symbol_text([CONV]), {'other': KERNEL}))

  def test_the_image_is_told_where_the_symbol_says(self):
    text = symbol_text([CONV]).replace(
      '"name": "data",',
      '"name": "data", "attrs": {"__shape__": "(0, 3, 112, 96)"},',
    )
    result = to_net(self.read(text))
    self.assertEqual(result.image_size, (112, 96))
    self.assertEqual(result.image_channels, 3)

  @parameterized.parameters(
    '{}', '[]', '7', '{"nodes": [], "heads": [[0, 0]]}', '{"nodes": 3}',
    '{"nodes": [{"op": "Flatten", "name": "a", "inputs": [[0, 0]]}],'
    ' "heads": [[0, 0]]}',
    '{"nodes": [{"op": "clip", "name": "a", "inputs": []}], "heads": []}',
    '{"nodes": [{"op": [], "name": "a", "inputs": []}], "heads": []}',
    '[' * 100_000, 'x',
  )  # fmt: skip
  def test_other_json_is_refused(self, text):
    with self.assertRaises(DataError) as caught:
      self.read(text)
    self.assertNotIn('\n', str(caught.exception))


def test_the_real_net_is_read_in_the_order_of_computation(shared):
  folder = f'{shared}/weights/insightface_y1_mxnet'
  arrays = read_params(f'{folder}/model-0000.params')
  net = to_net(read_symbol(f'{folder}/model-symbol.json', arrays))
  assert (net.mean, net.scale) == (127.5, 128.0)
  assert net.ignored == ('fc1_gamma',)
  kinds = [layer.kind for layer in net.layers]
  assert [kinds.count(k) for k in ('conv', 'norm', 'slope')] == [50, 50, 33]
  assert [layer.name for layer in net.layers[:4]] == [
    'conv_1_conv2d',
    'conv_1_batchnorm',
    'conv_1_relu',
    'conv_2_dw_conv2d',
  ]
  stem, depthwise = net.layers[0], net.layers[3]
  assert (stem.strides, stem.groups) == ((2, 2), 1)
  assert (depthwise.strides, depthwise.groups) == ((1, 1), 64)
  dense, last = net.layers[-2:]
  np.testing.assert_array_equal(dense.arrays['kernel'], arrays['fc1_weight'])
  np.testing.assert_array_equal(dense.arrays['bias'], arrays['pre_fc1_bias'])
  assert last.epsilon == 2e-5
  np.testing.assert_array_equal(last.arrays['scale'], np.ones(128))
  np.testing.assert_array_equal(last.arrays['var'], arrays['fc1_moving_var'])
  assert {la.epsilon for la in net.layers[:-1]} == {None, 1e-3}


if __name__ == '__main__':
  absltest.main()
