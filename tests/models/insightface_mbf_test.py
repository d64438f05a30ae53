"""InsightFace's nets: the layers of the source, one by one."""

import chex
from absl.testing import parameterized

from facejax.errors import UsageError
from facejax.models import get_model
from facejax.models.counts import Counts, count_model
from facejax.models.tracing import trace_model


def _source_layers(scale, blocks):
  """(kernel HWIO, groups, stride) as the PyTorch module registers them."""
  layers = []

  def conv(inputs, outputs, kernel=1, stride=1, groups=1):
    shape = (kernel, kernel, inputs // groups, outputs)
    layers.append((shape, groups, stride))

  def depthwise(inputs, outputs, groups, stride):
    conv(inputs, groups)
    conv(groups, groups, 3, stride, groups)
    conv(groups, outputs)

  def residual(channels, count, groups):
    for _ in range(count):
      depthwise(channels, channels, groups, 1)

  small, large = 64 * scale, 128 * scale
  conv(3, small, 3, 2)
  if blocks[0] == 1:
    conv(small, small, 3, 1, 64)
  else:
    residual(small, blocks[0], 128)
  depthwise(small, small, 128, 2)
  residual(small, blocks[1], 128)
  depthwise(small, large, 256, 2)
  residual(large, blocks[2], 256)
  depthwise(large, large, 512, 2)
  residual(large, blocks[3], 256)
  conv(large, 512)
  conv(512, 512, 7, None, 512)
  conv(512, 512, 1, None)
  return layers


class InsightFaceMbfTest(chex.TestCase):
  @parameterized.parameters(
    ('mbf', 2_059_520, 2_047_616, 437_520_896),
    ('mbf_large', 6_314_880, 6_288_512, 1_816_482_816),
  )
  def test_counts(self, name, *counts):
    model = get_model(name, conv_path='convolution')
    self.assertEqual(count_model(model), Counts(*counts, 512))

  @parameterized.parameters(
    ('mbf', 2, (1, 4, 6, 2)), ('mbf_large', 4, (2, 8, 12, 4))
  )
  def test_layers_come_in_the_order_of_the_source(self, name, scale, blocks):
    layers = trace_model(get_model(name, conv_path='convolution')).layers
    convolutions = [
      (layer.params['kernel'], layer.groups, layer.strides)
      for layer in layers
      if layer.kind == 'conv'
    ]
    self.assertEqual(convolutions, _source_layers(scale, blocks))

  def test_a_norm_and_mostly_a_slope_follow_every_convolution(self):
    layers = trace_model(get_model('mbf', conv_path='convolution')).layers
    kinds = ' '.join(layer.kind for layer in layers)
    block = 'conv norm slope conv norm slope conv norm '
    self.assertEqual(
      kinds,
      'conv norm slope ' * 2
      + block * (5 + 7 + 3)
      + 'conv norm slope conv norm conv norm',
    )

  def test_the_second_convolution_is_grouped_and_not_depthwise(self):
    layers = trace_model(get_model('mbf', conv_path='convolution')).layers
    grouped = [x for x in layers if x.name == 'stem_grouped/conv']
    self.assertEqual(grouped[0].params['kernel'], (3, 3, 2, 128))
    self.assertEqual(grouped[0].groups, 64)

  def test_three_block_counts_are_refused(self):
    with self.assertRaisesRegex(UsageError, 'give 4 counts'):
      count_model(get_model('mbf', blocks=(1, 4, 6)))
