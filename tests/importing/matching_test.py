"""Layers find their place in order, and every number of them its own."""

import dataclasses

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.importing.conversion import convert_kernel
from facejax.importing.matching import match_layers
from facejax.importing.pairing import MismatchError
from facejax.importing.source import SourceLayer, SourceNet
from facejax.models.tracing import LayerTrace, ModelTrace
from facejax.nn.layers import NORM_EPSILON


def conv_trace(path, kernel, *, bias=False, groups=1, strides=1):
  params = {'kernel': kernel} | ({'bias': kernel[-1:]} if bias else {})
  path = tuple(path.split('/'))
  return LayerTrace(path, 'conv', params, {}, 1, groups, strides)


def norm_trace(path, channels, *, follows=None, folded=False):
  shape = (channels,)
  return LayerTrace(
    tuple(path.split('/')),
    'norm',
    {'scale': shape, 'bias': shape},
    {} if folded else {'mean': shape, 'var': shape},
    positions=1,
    follows=follows and tuple(follows.split('/')),
  )


def slope_trace(path, channels):
  path = tuple(path.split('/'))
  return LayerTrace(path, 'slope', {'slope': (channels,)}, {}, 1)


def conv(name, *shape, bias=None, **more):
  kernel = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
  arrays = {'kernel': kernel}
  if bias is not None:
    arrays['bias'] = np.asarray(bias, np.float32)
  return SourceLayer(name, 'conv', arrays, **more)


def norm(name, scale, bias, mean, var, epsilon=NORM_EPSILON):
  values = {'scale': scale, 'bias': bias, 'mean': mean, 'var': var}
  arrays = {k: np.asarray(v, np.float32) for k, v in values.items()}
  return SourceLayer(name, 'norm', arrays, epsilon)


def slope(name, values):
  return SourceLayer(name, 'slope', {'slope': np.asarray(values, np.float32)})


def match(source, target, embedding_size=2):
  net = SourceNet('net.pth', tuple(source), is_graph=False)
  return match_layers(
    net, ModelTrace(tuple(target), embedding_size), name='toy'
  )


NORM = norm('bn', [2, 3], [5, 7], [11, 13], [4, 9])
POINTWISE = conv_trace('a/conv', (1, 1, 3, 2))
NORMED = [POINTWISE, norm_trace('a/norm', 2, follows='a/conv')]


class KernelTest(chex.TestCase):
  def test_axes_go_from_outputs_first_to_outputs_last(self):
    kernel = np.arange(2 * 3 * 5 * 4, dtype=np.float32).reshape(2, 3, 5, 4)
    ours = convert_kernel(kernel, (5, 4, 3, 2))
    for o, i, y, x in np.ndindex(2, 3, 5, 4):
      self.assertEqual(ours[y, x, i, o], kernel[o, i, y, x])

  def test_a_dense_layer_over_a_map_reads_channels_outermost(self):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(4, 3, 2))  # a map [H, W, C]
    dense = generator.normal(size=(5, 24)).astype(np.float32)
    flat = features.transpose(2, 0, 1).reshape(-1)
    ours = convert_kernel(dense, (4, 3, 2, 5))
    np.testing.assert_allclose(
      np.einsum('hwc,hwco->o', features, ours), dense @ flat, rtol=1e-6
    )

  def test_a_depthwise_kernel_keeps_a_filter_a_channel(self):
    target = [conv_trace('a', (3, 3, 1, 4), groups=4)]
    source = conv('dw', 4, 1, 3, 3, groups=4)
    ours = match([source], target).variables['params']['a']['kernel']
    for c in range(4):
      np.testing.assert_array_equal(
        ours[:, :, 0, c], source.arrays['kernel'][c, 0]
      )


class NormTest(chex.TestCase):
  def test_parameters_and_statistics_arrive_as_they_are(self):
    found = match([conv('c', 2, 3, 1, 1), NORM], NORMED)
    chex.assert_trees_all_equal(
      found.variables['params']['a']['norm'],
      {'scale': np.float32([2, 3]), 'bias': np.float32([5, 7])},
    )
    chex.assert_trees_all_equal(
      found.variables['batch_stats']['a']['norm'],
      {'mean': np.float32([11, 13]), 'var': np.float32([4, 9])},
    )
    self.assertEqual(found.matched, {'c': 'a/conv', 'bn': 'a/norm'})
    self.assertEqual(found.assumptions, ())

  def test_a_bias_before_a_norm_moves_into_its_mean(self):
    found = match([conv('c', 2, 3, 1, 1, bias=[1, 20]), NORM], NORMED)
    stats = found.variables['batch_stats']['a']['norm']
    np.testing.assert_array_equal(stats['mean'], [10, -7])
    self.assertNotIn('bias', found.variables['params']['a']['conv'])

  def test_another_epsilon_moves_into_the_scale_and_inference_stays(self):
    theirs = dataclasses.replace(NORM, epsilon=0.5)
    found = match([conv('c', 2, 3, 1, 1), theirs], NORMED)
    ours = found.variables['params']['a']['norm']
    var = np.array([4.0, 9.0])
    np.testing.assert_array_equal(
      found.variables['batch_stats']['a']['norm']['var'], var
    )
    np.testing.assert_allclose(
      ours['scale'] / np.sqrt(var + 1e-5), [2, 3] / np.sqrt(var + 0.5), 1e-6
    )
    self.assertEqual(
      found.assumptions, ('the epsilon of the file, 0.5, is part of the scales '
                          'of norms',),
    )  # fmt: skip

  def test_an_epsilon_that_the_file_lacks_is_pytorchs_and_said(self):
    theirs = dataclasses.replace(NORM, epsilon=None)
    found = match([conv('c', 2, 3, 1, 1), theirs], NORMED)
    np.testing.assert_array_equal(
      found.variables['params']['a']['norm']['scale'], [2, 3]
    )
    self.assertIn('epsilon 1e-05 of 1 norms', found.assumptions[0])

  def test_a_norm_alone_is_a_scale_and_shift_in_a_folded_model(self):
    found = match([NORM], [norm_trace('n', 2, folded=True)])
    self.assertNotIn('batch_stats', found.variables)
    ours = found.variables['params']['n']
    np.testing.assert_allclose(ours['scale'], [1, 1], rtol=1e-5)
    np.testing.assert_allclose(ours['bias'], [5 - 11, 7 - 13], rtol=1e-5)

  def test_a_norm_is_folded_where_the_model_has_a_bias_instead(self):
    target = [conv_trace('a', (1, 1, 3, 2), bias=True), slope_trace('s', 2)]
    source = conv('c', 2, 3, 1, 1, bias=[1, 20])
    found = match([source, NORM, slope('p', [0.5])], target)
    x = np.array([1.0, -2.0, 4.0])
    kernel = source.arrays['kernel'][:, :, 0, 0]
    y = (kernel @ x + [1, 20] - [11, 13]) / np.sqrt([4, 9]) * [2, 3] + [5, 7]
    ours = found.variables['params']
    np.testing.assert_allclose(
      x @ ours['a']['kernel'][0, 0] + ours['a']['bias'], y, rtol=1e-5
    )
    np.testing.assert_array_equal(ours['s']['slope'], [0.5, 0.5])
    self.assertEqual(found.matched, {'c': 'a', 'bn': 'a', 'p': 's'})

  def test_a_norm_with_a_place_of_its_own_is_not_folded(self):
    target = [
      conv_trace('a', (1, 1, 3, 2), bias=True),
      norm_trace('n', 2, folded=True),
    ]
    found = match([conv('c', 2, 3, 1, 1, bias=[1, 2]), NORM], target)
    np.testing.assert_array_equal(
      found.variables['params']['a']['bias'], [1, 2]
    )


class OrderTest(chex.TestCase):
  TARGET = (
    conv_trace('stem', (1, 1, 3, 2)),
    conv_trace('unit/shortcut/conv', (1, 1, 2, 4)),
    conv_trace('unit/a', (3, 3, 2, 4)),
    conv_trace('unit/b', (3, 3, 4, 4)),
    conv_trace('last', (1, 1, 4, 2)),
  )
  STEM, LAST = conv('stem', 2, 3, 1, 1), conv('last', 2, 4, 1, 1)
  SHORTCUT = conv('down', 4, 2, 1, 1)
  A, B = conv('a', 4, 2, 3, 3), conv('b', 4, 4, 3, 3)

  @parameterized.parameters(
    ([STEM, SHORTCUT, A, B, LAST],), ([STEM, A, B, SHORTCUT, LAST],)
  )
  def test_a_shortcut_may_come_first_or_last_in_its_block(self, source):
    found = match(source, self.TARGET)
    self.assertEqual(
      found.matched,
      {
        'stem': 'stem',
        'down': 'unit/shortcut/conv',
        'a': 'unit/a',
        'b': 'unit/b',
        'last': 'last',
      },
    )

  def test_a_shortcut_elsewhere_is_a_mismatch(self):
    with self.assertRaisesRegex(MismatchError, 'layer 3 of 5.*conv down 4x2'):
      match([self.STEM, self.A, self.SHORTCUT, self.B, self.LAST], self.TARGET)


class MismatchTest(chex.TestCase):
  @parameterized.named_parameters(
    ('shape', conv('c', 2, 4, 1, 1), 'conv c 2x4x1x1, toy wants conv a/conv '
     '1x1x3x2: name'),
    ('kind', slope('p', [1, 2]), 'slope p 2, toy wants conv a/conv 1x1x3x2'),
    ('groups', conv('c', 2, 3, 1, 1, groups=3), r'\(in 3 groups, and in 1\)'),
    ('strides', conv('c', 2, 3, 1, 1, strides=(2, 2)),
     r'\(at strides \(2, 2\), and \(1, 1\)\)'),
    ('bias', conv('c', 2, 3, 1, 1, bias=[1, 2]), 'without a bias'),
  )  # fmt: skip
  def test_the_error_names_both_layers(self, source, pattern):
    with self.assertRaisesRegex(
      MismatchError, 'net.pth: layer 1 of 1.*' + pattern
    ):
      match([source], [POINTWISE])

  def test_a_file_that_ends_early_is_refused(self):
    with self.assertRaisesRegex(
      MismatchError, 'layer 2 of 2: the file ends, toy wants norm a/norm 2'
    ) as caught:
      match([conv('c', 2, 3, 1, 1)], NORMED)
    self.assertEqual(caught.exception.num_matched, 1)

  def test_a_classifier_stays_behind(self):
    found = match([conv('c', 2, 3, 1, 1), conv('fc', 90, 2)], [POINTWISE])
    self.assertEqual(found.left_behind, ('fc',))

  @parameterized.parameters(
    ([conv('fc', 90, 3)],), ([conv('fc', 90, 2), conv('more', 9, 90)],)
  )
  def test_what_else_is_left_over_is_refused(self, rest):
    with self.assertRaisesRegex(MismatchError, 'toy ends.*has conv fc'):
      match([conv('c', 2, 3, 1, 1), *rest], [POINTWISE])

  @parameterized.parameters(
    (norm('bn', [1], [1], [1], [1]),),
    (
      dataclasses.replace(NORM, arrays=NORM.arrays | {'var': np.ones(3, 'f4')}),
    ),
  )
  def test_a_norm_of_another_size_is_refused(self, wrong):
    with self.assertRaisesRegex(MismatchError, 'layer 2 of 2'):
      match([conv('c', 2, 3, 1, 1), wrong], NORMED)


if __name__ == '__main__':
  absltest.main()
