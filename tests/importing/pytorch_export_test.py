import os
import warnings

import numpy as np
import pytest

from facejax.importing.graph_net import to_net
from facejax.importing.onnx_files import read_onnx


def exported(tmp_path, **options):
  """A net that PyTorch exports, its weights by name, and what was read."""
  torch = pytest.importorskip('torch')
  if options['dynamo']:
    pytest.importorskip('onnxscript')
  nn = torch.nn

  class Net(nn.Module):
    def __init__(self):
      super().__init__()
      self.conv = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
      self.norm = nn.BatchNorm2d(8)
      self.prelu = nn.PReLU(8)
      self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
      self.relu6 = nn.ReLU6()
      self.squeeze = nn.Conv2d(8, 8, 1)
      self.fc = nn.Linear(8 * 16, 5)
      self.last = nn.BatchNorm1d(5)

    def forward(self, x):
      x = (x / 255 - 0.5) / 0.5
      x = self.prelu(self.norm(self.conv(x)))
      y = self.relu6(self.depthwise(x))
      gate = torch.sigmoid(self.squeeze(y.mean((2, 3), keepdim=True)))
      x = x + y * gate
      a, b = x.chunk(2, 1)
      x = torch.cat([torch.maximum(a, b), a], 1)
      x = self.last(self.fc(x.reshape(x.shape[0], -1)))
      return nn.functional.normalize(x)

  torch.manual_seed(0)
  net = Net().eval()
  for norm in (net.norm, net.last):
    for array in (norm.weight.data, norm.running_mean, norm.running_var):
      array.uniform_(0.5, 2)
  path = os.fspath(tmp_path / 'x.onnx')
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # of the exporter, of its own future
    torch.onnx.export(net, (torch.zeros(2, 3, 8, 8),), path, **options)
  arrays = {k: v.numpy() for k, v in net.state_dict().items()}
  return arrays, to_net(read_onnx(path))


def check_exported(arrays, net):
  """All of a net whose first norm the exporter has folded, or not."""
  assert (net.mean, net.scale) == (127.5, 127.5)
  assert net.activations == {'relu6'}
  assert (net.image_size, net.image_channels) == ((8, 8), 3)
  layers = list(net.layers)
  kernel = layers[0].arrays['kernel']
  scale = arrays['norm.weight'] / np.sqrt(arrays['norm.running_var'] + 1e-5)
  if layers[1].kind == 'norm':
    np.testing.assert_array_equal(
      layers.pop(1).arrays['var'], arrays['norm.running_var']
    )
    scale = np.ones_like(scale)
  expected = arrays['conv.weight'] * scale[:, None, None, None]
  np.testing.assert_allclose(kernel, expected, rtol=1e-5, atol=1e-7)
  assert [layer.kind for layer in layers[:5]] == [
    'conv', 'slope', 'conv', 'conv', 'conv'
  ]  # fmt: skip
  assert layers[2].groups == 8 and layers[0].strides == (2, 2)
  np.testing.assert_array_equal(
    layers[1].arrays['slope'], arrays['prelu.weight']
  )
  np.testing.assert_array_equal(
    layers[2].arrays['bias'], arrays['depthwise.bias']
  )
  scale = np.ones(5)
  if len(layers) == 5:  # the last norm is folded too
    var = arrays['last.running_var']
    scale = arrays['last.weight'] / np.sqrt(var + 1e-5)
  np.testing.assert_allclose(
    layers[4].arrays['kernel'], arrays['fc.weight'] * scale[:, None], rtol=1e-5
  )


@pytest.mark.parametrize('opset', [9, 17])
def test_what_the_old_exporter_of_pytorch_writes_is_read(tmp_path, opset):
  options = {'dynamo': False, 'opset_version': opset}
  check_exported(*exported(tmp_path, **options))


def test_what_the_new_exporter_of_pytorch_writes_is_read(tmp_path):
  options = {'dynamo': True, 'external_data': True, 'verbose': False}
  check_exported(*exported(tmp_path, **options))
