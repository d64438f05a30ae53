"""Order and shortcuts of the two families of improved residual nets."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from facejax import trees
from facejax.models import get_model
from facejax.models.ir import IRUnit
from facejax.models.tracing import trace_model
from facejax.nn.blocks import ConvNorm
from facejax.nn.layers import Conv, normalize


def _layers(name, unit):
  """(name within the unit, kind) of the layers of one unit, in order."""
  model = get_model(name, image_size=(16, 16), width=0.125, units=(2, 1, 0, 0))
  return [
    (layer.name.removeprefix(f'{unit}/'), layer.kind)
    for layer in trace_model(model).layers
    if layer.name.startswith(unit)
  ]


class OrderTest(chex.TestCase):
  """State dicts have no graph: their layers are matched in this order."""

  def test_ir_computes_the_shortcut_first(self):
    self.assertEqual(
      _layers('ir50', 'stage1_unit0'),
      [
        ('shortcut/conv', 'conv'),
        ('shortcut/norm', 'norm'),
        ('input_norm', 'norm'),
        ('conv1', 'conv'),
        ('activation', 'slope'),
        ('conv2/conv', 'conv'),
        ('conv2/norm', 'norm'),
      ],
    )

  def test_iresnet_computes_the_shortcut_last(self):
    self.assertEqual(
      _layers('iresnet50', 'stage1_unit0'),
      [
        ('input_norm', 'norm'),
        ('conv1/conv', 'conv'),
        ('conv1/norm', 'norm'),
        ('conv1/activation', 'slope'),
        ('conv2/conv', 'conv'),
        ('conv2/norm', 'norm'),
        ('shortcut/conv', 'conv'),
        ('shortcut/norm', 'norm'),
      ],
    )

  def test_squeeze_and_excite_comes_last(self):
    se = [('se/reduce', 'conv'), ('se/expand', 'conv')]
    self.assertEqual(_layers('ir_se50', 'stage1_unit0')[-2:], se)

  def test_equal_channels_need_a_shortcut_layer_in_iresnet_alone(self):
    self.assertNotIn(('shortcut/conv', 'conv'), _layers('ir50', 'stage0_unit0'))
    self.assertIn(
      ('shortcut/conv', 'conv'), _layers('iresnet50', 'stage0_unit0')
    )
    for name in ('ir50', 'iresnet50'):
      self.assertNotIn(('shortcut/conv', 'conv'), _layers(name, 'stage0_unit1'))

  def test_both_end_in_a_norm_a_biased_dense_layer_and_a_norm(self):
    for name in ('ir50', 'iresnet50'):
      model = get_model(name, image_size=(16, 16), units=(1, 1, 0, 0))
      tail = trace_model(model).layers[-3:]
      self.assertEqual(
        [layer.name for layer in tail], ['output_norm', 'embed', 'embed_norm']
      )
      self.assertEqual(
        tail[1].params, {'kernel': (4, 4, 128, 512), 'bias': (512,)}
      )


class IRUnitTest(chex.TestCase):
  def test_a_shortcut_of_equal_channels_takes_every_second_position(self):
    unit = IRUnit(8, 2, Conv, ConvNorm, normalize)
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 8)).astype(np.float32)
    x = jnp.asarray(x)
    variables = jax.jit(unit.init, static_argnums=2)(
      jax.random.key(0), x, False
    )
    # The residual branch ends in conv2's norm.
    silent = trees.map_named(
      lambda name, leaf: leaf * (not name.endswith('conv2/norm/scale')),
      variables,
    )
    y = jax.jit(unit.apply, static_argnums=2)(silent, x, False)
    np.testing.assert_array_equal(y, x[:, ::2, ::2])
