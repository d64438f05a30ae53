"""Imports leave a model that loads, or nothing and one clear line."""

import pathlib

import chex
import numpy as np
from absl.testing import absltest, parameterized
from onnx import TensorProto, helper, numpy_helper

import facejax
from facejax import files, models
from facejax.data.images import decode_image
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.importing.importer import import_weights
from facejax.importing.source import SourceLayer, SourceNet
from facejax.importing.translation import translate
from facejax.models.tracing import trace_model
from tests.importing.checkpoints import whole, zip_bytes
from tests.importing.nets import net_of
from tests.inference.tiny_model import random_faces
from tests.preparation import face_sets

_GENERATOR = np.random.default_rng(0)
# LeNet-5 on colours, the smallest net here: names as PyTorch has them.
SHAPES = {
  'conv1.weight': (20, 3, 5, 5), 'conv1.bias': (20,),
  'conv2.weight': (50, 20, 5, 5), 'conv2.bias': (50,),
  'fc1.weight': (24, 800), 'fc1.bias': (24,),
}  # fmt: skip
STATE = {
  name: _GENERATOR.normal(0, 0.05, shape).astype('<f4')
  for name, shape in SHAPES.items()
}


def checkpoint_bytes(state):
  return zip_bytes(
    {name: whole(str(i), a) for i, (name, a) in enumerate(state.items())}
  )


def graph(pool='MaxPool', *, normalises=False):
  """The same net as an ONNX model."""
  window = {'kernel_shape': [2, 2], 'strides': [2, 2]}
  nodes = [
    helper.make_node('Conv', ['x', 'conv1.weight', 'conv1.bias'], ['a']),
    helper.make_node(pool, ['a'], ['b'], **window),
    helper.make_node('Conv', ['b', 'conv2.weight', 'conv2.bias'], ['c']),
    helper.make_node('MaxPool', ['c'], ['d'], **window),
    helper.make_node('Flatten', ['d'], ['e']),
    helper.make_node('Gemm', ['e', 'fc1.weight', 'fc1.bias'], ['f'], transB=1),
    helper.make_node('Relu', ['f'], ['y']),
  ]
  arrays = dict(STATE)
  if normalises:
    arrays |= {'mean': np.float32(100), 'scale': np.float32(1 / 64)}
    nodes[0].input[0] = 'n'
    nodes[:0] = [
      helper.make_node('Sub', ['x', 'mean'], ['m']),
      helper.make_node('Mul', ['m', 'scale'], ['n']),
    ]
  made = helper.make_graph(
    nodes,
    'lenet',
    [helper.make_tensor_value_info('x', TensorProto.FLOAT, (1, 3, 28, 28))],
    [helper.make_tensor_value_info('y', TensorProto.FLOAT, (1, 24))],
    [numpy_helper.from_array(a, name) for name, a in arrays.items()],
  )
  opset = [helper.make_opsetid('', 13)]
  return helper.make_model(made, opset_imports=opset, ir_version=8)


class ImportTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.output = self.folder / 'out'

  def write(self, data, name='net.pth'):
    (self.folder / name).write_bytes(data)
    return self.folder / name

  def run_import(self, path, **options):
    format = 'onnx' if path.suffix == '.onnx' else 'pytorch'
    options = {'architecture': 'lenet5', 'output': self.output, **options}
    return import_weights(path, format=format, **options)

  def test_the_model_computes_what_the_net_does(self):
    self.run_import(self.write(checkpoint_bytes(STATE)), mean=100, scale=64)
    model = facejax.load_model(self.output)
    image = random_faces(1)[:, :28, :28]
    x = (image.astype(np.float64) - 100) / 64

    def conv_pool(x, kernel, bias):
      windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), (1, 2))
      y = np.einsum('byxcij,ocij->byxo', windows, kernel) + bias
      b, h, w, c = y.shape
      return y.reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))

    for layer in ('conv1', 'conv2'):
      x = conv_pool(x, STATE[f'{layer}.weight'], STATE[f'{layer}.bias'])
    x = x.transpose(0, 3, 1, 2).reshape(1, -1) @ STATE['fc1.weight'].T
    expected = np.maximum(x + STATE['fc1.bias'], 0)
    np.testing.assert_allclose(
      model.embed(image, normalize=False), expected, atol=1e-4
    )

  def test_the_report_says_what_was_done(self):
    path = self.write(checkpoint_bytes(STATE | {
      'fc2.weight': np.zeros((10, 24), '<f4'), 'fc2.bias': np.zeros(10, '<f4'),
    }))  # fmt: skip
    result = self.run_import(path)
    self.assertEqual(result['model_dir'], str(self.output))
    self.assertEqual(result['architecture'], 'lenet5')
    self.assertEqual(
      result['fields'],
      {
        'image_size': (28, 28),
        'folded': False,
        'image_channels': 3,
        'embedding_size': 24,
      },
    )
    self.assertEqual(
      result['num_parameters'], sum(a.size for a in STATE.values())
    )
    self.assertEqual(result['matched'], 3)
    self.assertEqual(result['left_behind'], ('fc2',))
    self.assertEqual(result['preprocessing_from'], 'assumed')
    self.assertLen(result['assumptions'], 1)
    self.assertIsNone(result['max_abs_error'])
    saved = files.read_json(self.output / 'import.json')
    self.assertEqual(
      saved['layers'], {'conv1': 'conv1', 'conv2': 'conv2', 'fc1': 'fc1'}
    )
    description = facejax.load_model(self.output).description
    self.assertIsNone(description['thresholds'])
    self.assertIsNone(description['training_mean'])
    imported = description['training_data']['imported']
    self.assertEqual(imported['sha256'], files.checksum(path))

  def test_a_set_of_people_gives_thresholds_and_a_mean(self):
    people = face_sets.write_set(
      self.folder, {f'p{number}': 3 for number in range(6)}
    )
    result = self.run_import(
      self.write(checkpoint_bytes(STATE)), calibration=people, batch_size=8
    )
    model = facejax.load_model(self.output)
    self.assertIn('0.1', result['thresholds'])
    self.assertEqual(model.threshold_at(0.1), result['thresholds']['0.1'])
    records = FaceRecords(people)
    crops = np.stack(
      [decode_image(record['image'], record['key']) for record in records]
    )
    np.testing.assert_allclose(
      model.training_mean,
      model.embed(crops, normalize=False).mean(0),
      atol=1e-5,
    )
    origin = model.description['training_data']['training_mean_from']
    self.assertEqual(origin['num_images'], 18)
    self.assertEqual(origin['set'], str(people))

  @parameterized.parameters((False, 'assumed', 127.5), (True, 'graph', 100.0))
  def test_onnx_is_proven_by_its_own_graph(self, normalises, origin, mean):
    data = graph(normalises=normalises).SerializeToString()
    result = self.run_import(self.write(data, 'net.onnx'))
    self.assertLess(result['max_abs_error'], 1e-5)
    self.assertEqual(result['preprocessing_from'], origin)
    self.assertEqual(result['preprocessing']['mean'], mean)

  def test_a_graph_that_computes_something_else_is_refused(self):
    path = self.write(graph('AveragePool').SerializeToString(), 'net.onnx')
    with self.assertRaisesRegex(DataError, 'its graph computes another'):
      self.run_import(path)
    self.assertFalse(self.output.exists())

  def test_an_output_that_exists_is_kept_unless_it_may_be_replaced(self):
    path = self.write(checkpoint_bytes(STATE))
    self.run_import(path)
    with self.assertRaisesRegex(UsageError, 'already exists'):
      self.run_import(path)
    self.run_import(path, overwrite=True, color_order='BGR')
    contract = facejax.load_model(self.output).preprocessing
    self.assertEqual(contract.color_order, 'BGR')

  def test_a_graph_that_normalises_takes_no_other_mean(self):
    data = graph(normalises=True).SerializeToString()
    with self.assertRaisesRegex(UsageError, 'leave mean and scale out'):
      self.run_import(self.write(data, 'net.onnx'), mean=127.5)

  def test_a_scale_of_zero_is_refused(self):
    with self.assertRaisesRegex(UsageError, 'scale has to be above 0'):
      self.run_import(self.write(checkpoint_bytes(STATE)), scale=0)

  def test_values_that_are_not_finite_name_their_layer(self):
    broken = STATE | {'conv2.bias': np.full(50, np.nan, '<f4')}
    with self.assertRaisesRegex(DataError, 'conv2'):
      self.run_import(self.write(checkpoint_bytes(broken)))
    self.assertFalse(self.output.exists())

  def test_a_net_of_one_channel_sees_grey_images(self):
    grey = STATE | {'conv1.weight': STATE['conv1.weight'][:, :1]}
    result = self.run_import(self.write(checkpoint_bytes(grey)))
    self.assertEqual(result['preprocessing']['color_order'], 'GRAY')
    model = facejax.load_model(self.output)
    self.assertEqual(model.embed(random_faces(2)).shape, (2, 24))

  def test_a_net_of_other_channels_is_refused(self):
    two = STATE | {'conv1.weight': STATE['conv1.weight'][:, :2]}
    with self.assertRaisesRegex(DataError, 'takes images of 2 channels'):
      self.run_import(self.write(checkpoint_bytes(two)))


class TranslateTest(chex.TestCase):
  @parameterized.parameters(
    ((112, 112), (112, 112)), ((112, 96), (112, 96)), ((96, 96), (96, 96)),
    ((128, 128), (112, 112)),
  )  # fmt: skip
  def test_the_crop_goes_with_the_image_size(self, size, crop):
    trace = trace_model(models.get_model('lenet5', image_channels=3,
                                         image_size=size))  # fmt: skip
    net = net_of(trace, image_size=size, is_graph=True)
    contract = translate(net, architecture='lenet5').preprocessing
    self.assertEqual((contract.image_size, contract.crop), (size, crop))

  def _normed(self, **values):
    net = net_of(trace_model(models.get_model('mobilenet_v1')))
    stem, norm, *rest = net.layers
    arrays = norm.arrays | {
      name: np.full_like(norm.arrays[name], value)
      for name, value in values.items()
    }
    norm = SourceLayer('bn', 'norm', arrays, epsilon=0.0)
    return SourceNet('net.pth', (stem, norm, *rest), is_graph=False)

  def test_a_negative_variance_is_refused(self):
    with self.assertRaisesRegex(DataError, 'norm bn has a negative variance'):
      translate(self._normed(var=-1.0), architecture='mobilenet_v1')

  def test_a_norm_that_overflows_is_refused(self):
    with self.assertRaisesRegex(DataError, 'bn has values that are not finite'):
      translate(self._normed(var=0.0), architecture='mobilenet_v1')


if __name__ == '__main__':
  absltest.main()
