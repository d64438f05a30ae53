"""State dicts of arcface_torch, by the names of its public source, fit."""

import chex
import jax
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from facejax import models
from facejax.importing.candidates import fit_architecture
from facejax.importing.source import SourceNet
from facejax.importing.state_dict import to_layers


def _norm(name, channels):
  return {
    f'{name}.{leaf}': (channels,)
    for leaf in ('weight', 'bias', 'running_mean', 'running_var')
  }


def iresnet_shapes(units):
  """Names and shapes of arcface_torch's iresnet.py."""
  shapes = {'conv1.weight': (64, 3, 3, 3)} | _norm('bn1', 64)
  shapes['prelu.weight'] = (64,)
  inputs = 64
  for stage, (features, count) in enumerate(
    zip((64, 128, 256, 512), units, strict=True), 1
  ):
    for unit in range(count):
      name = f'layer{stage}.{unit}'
      shapes |= _norm(f'{name}.bn1', inputs)
      shapes[f'{name}.conv1.weight'] = (features, inputs, 3, 3)
      shapes |= _norm(f'{name}.bn2', features)
      shapes[f'{name}.prelu.weight'] = (features,)
      shapes[f'{name}.conv2.weight'] = (features, features, 3, 3)
      shapes |= _norm(f'{name}.bn3', features)
      if unit == 0:
        shapes[f'{name}.downsample.0.weight'] = (features, inputs, 1, 1)
        shapes |= _norm(f'{name}.downsample.1', features)
      inputs = features
  shapes |= _norm('bn2', 512)
  shapes |= {'fc.weight': (512, 25088), 'fc.bias': (512,)}
  return shapes | _norm('features', 512)


def mbf_shapes():
  """Names and shapes of arcface_torch's mobilefacenet.py, get_mbf."""
  shapes = {}

  def block(name, features, inputs, side, *, is_linear=False):
    shapes[f'{name}.0.weight'] = (features, inputs, side, side)
    shapes.update(_norm(f'{name}.1', features))
    if not is_linear:
      shapes[f'{name}.2.weight'] = (features,)

  def bottleneck(name, features, inputs, hidden):
    block(f'{name}.0.layers', hidden, inputs, 1)
    block(f'{name}.1.layers', hidden, 1, 3)
    block(f'{name}.2.layers', features, hidden, 1, is_linear=True)

  block('layers.0.layers', 128, 3, 3)
  block('layers.1.layers', 128, 2, 3)
  inputs = 128
  # Of each stage: channels, hidden ones of the first block, then of `count`.
  for place, features, first, hidden, count in (
    (2, 128, 128, 128, 4), (4, 256, 256, 256, 6), (6, 256, 512, 256, 2)
  ):  # fmt: skip
    bottleneck(f'layers.{place}.layers', features, inputs, first)
    for unit in range(count):
      name = f'layers.{place + 1}.layers.{unit}.layers'
      bottleneck(name, features, features, hidden)
    inputs = features
  block('conv_sep.layers', 512, 256, 1)
  block('features.layers.0.layers', 512, 1, 7, is_linear=True)
  shapes['features.layers.2.weight'] = (512, 512)
  return shapes | _norm('features.layers.3', 512)


def random_state(shapes, seed=0):
  generator = np.random.default_rng(seed)
  state = {}
  for name, shape in shapes.items():
    scale = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
    state[name] = generator.normal(0, scale, shape).astype(np.float32)
    if name.endswith('running_var'):
      state[name] = 1 + np.abs(state[name])
  return state


def file_of(shapes):
  layers, _ = to_layers(random_state(shapes), where='backbone.pth')
  return SourceNet('backbone.pth', layers, is_graph=False)


class ArcfaceTorchTest(chex.TestCase):
  @parameterized.parameters(
    ('iresnet18', iresnet_shapes((2, 2, 2, 2))),
    ('iresnet50', iresnet_shapes((3, 4, 14, 3))),
    ('mbf', mbf_shapes()),
  )
  def test_state_dicts_by_the_public_names_fit(self, name, shapes):
    net = file_of(shapes)
    fields, match = fit_architecture(net, name)
    self.assertEqual(fields['image_size'], (112, 112))
    self.assertEqual(match.left_behind, ())
    self.assertLen(match.matched, len(net.layers))

  def test_iresnet18_computes_what_pytorch_does(self):
    torch = pytest.importorskip('torch')
    shapes = iresnet_shapes((2, 2, 2, 2))
    fields, match = fit_architecture(file_of(shapes), 'iresnet18')
    state = {k: torch.tensor(v) for k, v in random_state(shapes).items()}
    images = np.random.default_rng(1).normal(size=(1, 112, 112, 3))
    images = images.astype(np.float32)
    model = models.get_model('iresnet18', **fields)
    ours = jax.jit(lambda v, x: model.apply(v, x, False))(
      match.variables, images
    )
    theirs = torch_iresnet(torch, state, images.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(
      ours, theirs, atol=1e-3 * np.abs(theirs).max(), rtol=0
    )


def torch_iresnet(torch, state, images):
  """The forward pass of arcface_torch's iresnet.py from its state dict."""
  f = torch.nn.functional

  def norm(x, name):
    leaves = ('running_mean', 'running_var', 'weight', 'bias')
    return f.batch_norm(x, *(state[f'{name}.{leaf}'] for leaf in leaves))

  x = f.conv2d(torch.tensor(images), state['conv1.weight'], padding=1)
  x = f.prelu(norm(x, 'bn1'), state['prelu.weight'])
  for stage in range(1, 5):
    for unit in range(2):
      name, stride = f'layer{stage}.{unit}', 2 - unit
      y = norm(x, f'{name}.bn1')
      y = f.conv2d(y, state[f'{name}.conv1.weight'], padding=1)
      y = f.prelu(norm(y, f'{name}.bn2'), state[f'{name}.prelu.weight'])
      y = f.conv2d(y, state[f'{name}.conv2.weight'], stride=stride, padding=1)
      y = norm(y, f'{name}.bn3')
      if unit == 0:
        x = f.conv2d(x, state[f'{name}.downsample.0.weight'], stride=stride)
        x = norm(x, f'{name}.downsample.1')
      x = x + y
  x = norm(x, 'bn2').flatten(1)
  x = f.linear(x, state['fc.weight'], state['fc.bias'])
  return norm(x, 'features').numpy()


if __name__ == '__main__':
  absltest.main()
