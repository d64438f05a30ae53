import os
import shutil

import chex
import numpy as np
from absl.testing import absltest, parameterized
from safetensors import numpy as safe_numpy

from facejax.errors import DataError, UsageError
from facejax.importing.opening import read_net
from tests.importing.checkpoints import legacy_bytes, whole, zip_bytes
from tests.importing.onnx_files_test import model
from tests.importing.params_writer import params_bytes, symbol_text

KERNEL = np.arange(4 * 3 * 9, dtype='<f4').reshape(4, 3, 3, 3)
STATE = {'conv.weight': whole('0', KERNEL)}
SYMBOL = symbol_text([('Convolution', 'conv', ['data', 'k'])])
FILES = {
  'onnx': model().SerializeToString(),
  'pytorch': zip_bytes(STATE),
  'mxnet': params_bytes({'arg:k': KERNEL}),
}


class OpeningTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path

  def write(self, name, data):
    path = os.path.join(self.folder, name)
    with open(path, 'wb') as file:
      file.write(data)
    return path

  @parameterized.parameters(
    (FILES['onnx'], 'x.onnx', 'onnx'),
    (zip_bytes(STATE), 'x.pt', 'pytorch'),
    (legacy_bytes(STATE), 'x.ckpt', 'pytorch'),
    (safe_numpy.save({'conv.weight': KERNEL}), 'x.bin', 'pytorch'),
    (FILES['mxnet'], 'x-0012.params', 'mxnet'),
  )
  def test_every_format_gives_the_same_kernel(self, data, name, format):
    self.write('x-symbol.json', SYMBOL.encode())
    path = self.write(name, data)
    net = read_net(path, format=format)
    np.testing.assert_array_equal(net.layers[0].arrays['kernel'], KERNEL)
    self.assertEqual(net.is_graph, format != 'pytorch')
    self.assertIn(self.folder, net.where)

  def test_a_symbol_may_stand_elsewhere(self):
    path = self.write('weights', FILES['mxnet'])
    symbol = self.write('s.json', SYMBOL.encode())
    net = read_net(path, format='mxnet', symbol=symbol)
    self.assertLen(net.layers, 1)

  @parameterized.product(found=tuple(FILES), asked=tuple(FILES))
  def test_a_format_that_the_bytes_contradict_names_the_right_one(
    self, found, asked
  ):
    if found != asked:
      path = self.write('x-0000.params', FILES[found])
      with self.assertRaisesRegex(
        UsageError, f'is no {asked} file: use format={found}'
      ):
        read_net(path, format=asked)

  @parameterized.parameters(
    (b'\x89HDF\r\n', 'HDF5 of Keras: convert it'),
    (b'<!DOCTYPE html>', 'a web page'),
    (b'version https://git-lfs', 'Git LFS'),
    (b'\x1f\x8b\x08', 'an archive: unpack'),
  )
  def test_other_files_are_named(self, data, message):
    with self.assertRaisesRegex(UsageError, message):
      read_net(self.write('x', data), format='onnx')

  @parameterized.parameters('onnx', 'pytorch', 'mxnet')
  def test_unknown_bytes_are_a_data_error(self, format):
    self.write('x-symbol.json', SYMBOL.encode())
    for data in (b'', b'abc', b'\xff' * 100):
      path = self.write('x-0000.params', data)
      with self.assertRaises(DataError) as caught:
        read_net(path, format=format)
      self.assertStartsWith(str(caught.exception), path)

  def test_what_is_asked_wrongly_is_a_usage_error(self):
    path = self.write('x.params', FILES['mxnet'])
    cases = (
      (path, {'format': 'caffe'}, 'use one of onnx, pytorch, mxnet'),
      (path + '2', {'format': 'mxnet'}, 'does not exist'),
      (self.folder, {'format': 'mxnet'}, 'is a folder'),
      (path, {'format': 'mxnet'}, 'PREFIX-symbol.json is not beside it'),
      (path, {'format': 'mxnet', 'symbol': 'no'}, 'no does not exist'),
      (path, {'format': 'onnx', 'symbol': path}, 'symbol is for format=mxnet'),
    )
    for place, options, message in cases:
      with self.assertRaisesRegex(UsageError, message):
        read_net(place, **options)
    path = self.write('y-0000.params', FILES['mxnet'])
    with self.assertRaisesRegex(UsageError, 'y-symbol.json is not beside it'):
      read_net(path, format='mxnet')
    symbol = self.write('s.json', SYMBOL.encode())
    with self.assertRaisesRegex(UsageError, 'is a symbol: give the .params'):
      read_net(symbol, format='mxnet')

  def test_a_state_dict_without_layers_is_refused(self):
    data = safe_numpy.save({'margin': KERNEL})
    with self.assertRaisesRegex(DataError, 'holds no layer'):
      read_net(self.write('x.safetensors', data), format='pytorch')


def test_the_real_files_are_read(shared, tmp_path):
  checkpoint = f'{shared}/weights/xiaoccer_mobilefacenet_112x96/068.ckpt'
  net = read_net(checkpoint, format='pytorch')
  assert len(net.layers) == 133 and not net.is_graph
  folder = f'{shared}/weights/insightface_y1_mxnet'
  shutil.copytree(folder, tmp_path / 'y1')
  net = read_net(tmp_path / 'y1' / 'model-0000.params', format='mxnet')
  assert len(net.layers) == 133 and net.is_graph


if __name__ == '__main__':
  absltest.main()
