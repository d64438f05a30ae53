import chex
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax.errors import DataError
from facejax.importing.pytorch_files import read_state_dict
from facejax.importing.state_dict import find_state_dict, to_layers

CONV = np.zeros((4, 3, 2, 2), np.float32)
DENSE = np.zeros((4, 3), np.float32)
VECTOR = np.arange(4, dtype=np.float32)


def norm(prefix, **more):
  return {
    f'{prefix}.{name}': VECTOR + offset
    for offset, name in enumerate(
      ('weight', 'bias', 'running_mean', 'running_var')
    )
  } | {f'{prefix}.num_batches_tracked': np.array(7)}


def names(layers):
  return [(layer.name, layer.kind) for layer in layers]


class FindTest(chex.TestCase):
  @parameterized.parameters(
    ({'conv.weight': CONV},),
    ({'epoch': 1, 'net_state_dict': {'conv.weight': CONV}},),
    ({'a': {'b': {'c': {'conv.weight': CONV}}}, 'lr': [1.0]},),
    ({'model': {'conv.weight': CONV}, 'head': {'fc.weight': DENSE}},),
    ({'conv.weight': CONV, 'nested': {'conv.weight': CONV}},),
    ({
      'optimizer': {'state': {0: {'exp_avg': CONV}}},
      'net': {'conv.weight': CONV},
    },),
  )  # fmt: skip
  def test_the_state_dict_is_found(self, value):
    self.assertEqual(list(find_state_dict(value, where='x')), ['conv.weight'])

  def test_what_is_no_array_is_left_out(self):
    value = {'weight': DENSE, 'version': 3, 5: DENSE}
    self.assertEqual(list(find_state_dict(value, where='x')), ['weight', '5'])

  def test_several_nets_are_named(self):
    value = {'net': {'c.weight': CONV}, 'ema': {'c.weight': CONV}}
    with self.assertRaisesRegex(
      DataError,
      r"^x: holds several nets, checkpoint\['net'\], checkpoint\['ema'\]",
    ):
      find_state_dict(value, where='x')

  @parameterized.parameters(
    (7,), ([CONV],), ({},), ({'weight': 3},), ({'kernel': CONV},)
  )
  def test_without_a_weight_there_is_none(self, value):
    with self.assertRaisesRegex(DataError, r'save\s+model\.state_dict\(\)'):
      find_state_dict(value, where='x')


class ToLayersTest(chex.TestCase):
  def refused(self, state, message):
    with self.assertRaisesRegex(DataError, message):
      to_layers(state, where='x')

  def test_modules_become_layers_in_their_order(self):
    state = {
      'module.conv.weight': CONV,
      'module.conv.bias': VECTOR,
      **norm('module.bn'),
      'module.prelu.weight': VECTOR,
      'module.one.weight': VECTOR[:1],
      'module.fc.weight': DENSE,
      'module.margin': np.array(0.5),
      'module.table': CONV[0],
    }
    layers, ignored = to_layers(state, where='x')
    self.assertEqual(
      names(layers),
      [
        ('module.conv', 'conv'),
        ('module.bn', 'norm'),
        ('module.prelu', 'slope'),
        ('module.one', 'slope'),
        ('module.fc', 'conv'),
      ],
    )
    conv, bn, prelu, _, _ = layers
    self.assertEqual(set(conv.arrays), {'kernel', 'bias'})
    for offset, name in enumerate(('scale', 'bias', 'mean', 'var')):
      np.testing.assert_array_equal(bn.arrays[name], VECTOR + offset)
    np.testing.assert_array_equal(prelu.arrays['slope'], VECTOR)
    self.assertEqual(
      ignored,
      ('module.bn.num_batches_tracked', 'module.margin', 'module.table'),
    )
    self.assertIsNone(bn.epsilon)
    self.assertIsNone(conv.groups)

  def test_a_norm_without_parameters_scales_by_one(self):
    state = {'bn.running_mean': VECTOR, 'bn.running_var': VECTOR}
    ((layer,), _) = to_layers(state, where='x')
    np.testing.assert_array_equal(layer.arrays['scale'], np.ones(4))
    np.testing.assert_array_equal(layer.arrays['bias'], np.zeros(4))

  @parameterized.parameters('', 'module.', 'model.')
  def test_the_output_layer_of_a_backbone_comes_last(self, prefix):
    state = {
      f'{prefix}input_layer.0.weight': CONV,
      **norm(f'{prefix}output_layer.0'),
      f'{prefix}output_layer.3.weight': DENSE,
      f'{prefix}body.0.weight': CONV,
    }
    layers, _ = to_layers(state, where='x')
    self.assertEqual(
      [layer.name.removeprefix(prefix) for layer in layers],
      ['input_layer.0', 'body.0', 'output_layer.0', 'output_layer.3'],
    )

  def test_one_module_alone_has_no_name(self):
    ((layer,), _) = to_layers({'weight': DENSE}, where='x')
    self.assertEqual((layer.name, layer.kind), ('', 'conv'))

  @parameterized.parameters(np.float16, np.float64, '>f4')
  def test_every_floating_type_becomes_float32(self, dtype):
    ((layer,), _) = to_layers({'p.weight': VECTOR.astype(dtype)}, where='x')
    self.assertEqual(layer.arrays['slope'].dtype, np.dtype(np.float32))
    self.assertTrue(layer.arrays['slope'].dtype.isnative)
    np.testing.assert_array_equal(layer.arrays['slope'], VECTOR)

  def test_values_that_are_not_finite_are_counted(self):
    bad = VECTOR.copy()
    bad[[0, 2]] = np.nan, np.inf
    state = norm('net.bn') | {'net.bn.running_var': bad}
    self.refused(state, r'^x: net\.bn\.running_var has 2 of 4 values')
    self.refused({'p.weight': VECTOR.astype('f8') * 1e300}, '3 of 4 values')

  def test_quantised_weights_are_refused(self):
    self.refused({'c.weight': CONV.astype(np.int8)}, 'c.weight holds int8')

  def test_layers_that_no_net_here_has_are_refused(self):
    self.refused({'c.weight': np.zeros((1,) * 5)}, 'c is a .* three dimensions')
    self.refused({'n.weight': VECTOR, 'n.bias': VECTOR}, 'n has .* BatchNorm')

  def test_sizes_that_do_not_fit_are_refused(self):
    self.refused({'c.weight': CONV, 'c.bias': VECTOR[1:]}, r'fit.*bias \(3,\)')
    self.refused(norm('b') | {'b.bias': VECTOR[1:]}, 'do not fit')
    self.refused(norm('b') | {'b.running_mean': CONV}, 'do not fit')
    self.refused({'c.weight': CONV[:0]}, 'kernel of shape')


def test_the_real_checkpoint_has_its_133_layers(shared):
  path = f'{shared}/weights/xiaoccer_mobilefacenet_112x96/068.ckpt'
  layers, ignored = to_layers(read_state_dict(path), where='x')
  kinds = [layer.kind for layer in layers]
  # 17 bottlenecks of 3 convolutions, stem, depthwise, 1x1, global and linear.
  assert kinds.count('conv') == kinds.count('norm') == 50
  assert kinds.count('slope') == 33
  assert all(name.endswith('num_batches_tracked') for name in ignored)
  assert sum(
    a.size for la in layers for n, a in la.arrays.items() if n in ('kernel',)
  ) == 972_416  # fmt: skip
  assert layers[-2].arrays['kernel'].shape == (128, 512, 1, 1)


def test_layers_of_a_pytorch_net_are_in_the_order_of_its_modules():
  torch = pytest.importorskip('torch')
  net = torch.nn.Sequential(
    torch.nn.Conv2d(4, 8, 3, groups=4),
    torch.nn.BatchNorm2d(8, affine=False),
    torch.nn.PReLU(),
    torch.nn.Flatten(),
    torch.nn.Linear(8, 2),
  )
  state = {k: v.numpy() for k, v in net.state_dict().items()}
  layers, _ = to_layers(state, where='x')
  assert names(layers) == [
    ('0', 'conv'),
    ('1', 'norm'),
    ('2', 'slope'),
    ('4', 'conv'),
  ]
  assert layers[0].arrays['kernel'].shape == (8, 1, 3, 3)


if __name__ == '__main__':
  absltest.main()
