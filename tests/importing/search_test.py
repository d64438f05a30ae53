"""Every architecture is found again from its own layers, whatever they hide."""

import dataclasses
import functools
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax import models
from facejax.errors import DataError, UsageError
from facejax.importing.candidates import describe_assumptions, fit_architecture
from facejax.importing.pairing import MismatchError
from facejax.importing.search import find_architecture
from facejax.importing.source import SourceLayer, SourceNet
from facejax.models.insightface_mbf import InsightFaceMbf
from facejax.models.ir import IRNet
from facejax.models.iresnet import IResNet
from facejax.models.lightcnn import LightCNN
from facejax.models.mobilefacenet import MobileFaceNet
from facejax.models.mobilenet_v1 import MobileNetV1
from facejax.models.sphereface import SphereFace
from facejax.models.tracing import trace_model
from tests.importing.nets import net_of

# One of every family, shallow: what a trace costs is layers.
STAGES = ((2, 64, 1, 2), (2, 64, 1, 2))
UNITS = (1, 1, 1, 1)
TINY = {
  'mobilefacenet': functools.partial(MobileFaceNet, stages=STAGES),
  'mobilefacenet_s': functools.partial(
    MobileFaceNet, stages=STAGES, embedding_size=None, last_features=None
  ),
  'mobilenet_v1': functools.partial(MobileNetV1, blocks=((64, 1), (128, 2))),
  'mbf': functools.partial(InsightFaceMbf, blocks=(1, 1, 1, 1)),
  'sphereface4': functools.partial(SphereFace, depth=4),
  'ir18': functools.partial(IRNet, units=UNITS),
  'ir_se18': functools.partial(IRNet, units=UNITS, se_ratio=16),
  'iresnet18': functools.partial(IResNet, units=UNITS),
  'lightcnn9': functools.partial(LightCNN, depth=9),
}


def trace(name, **fields):
  return trace_model(models.get_model(name, **fields))


class TinyModelsTest(chex.TestCase):
  """Base of tests that see the shallow models alone."""

  def setUp(self):
    super().setUp()
    self.enter_context(mock.patch.object(models, 'MODELS', TINY))


class FieldsTest(TinyModelsTest):
  @parameterized.parameters(
    {'image_size': (112, 96), 'embedding_size': 256},
    {'image_size': (96, 96), 'activation': 'relu', 'folded': True},
    {'se_ratio': 4, 'se_position': 'depthwise'},
    {'se_ratio': 16, 'se_position': 'residual', 'embedding_size': 512},
  )
  def test_what_shapes_show_is_read_off_them(self, **fields):
    net = net_of(trace('mobilefacenet', **fields))
    found, _ = fit_architecture(net, 'mobilefacenet')
    self.assertEqual({k: found[k] for k in fields}, fields)

  def test_the_graph_tells_relu6_from_relu(self):
    net = net_of(
      trace('mobilefacenet', activation='relu6'),
      is_graph=True,
      activations=frozenset({'relu', 'relu6'}),
    )
    found, _ = fit_architecture(net, 'mobilefacenet')
    self.assertEqual(found['activation'], 'relu6')
    self.assertEqual(describe_assumptions(net, 'mobilefacenet', found), [])

  def test_what_the_file_does_not_say_is_said(self):
    net = net_of(trace('mobilenet_v1', image_size=(112, 112)))
    found, _ = fit_architecture(net, 'mobilenet_v1')
    sentences = describe_assumptions(net, 'mobilenet_v1', found)
    self.assertStartsWith(sentences[0], 'activation relu: ')
    self.assertStartsWith(sentences[1], 'images of 112x112: ')

  def test_the_size_that_the_file_says_is_taken(self):
    net = net_of(trace('mobilenet_v1'), image_size=(128, 96))
    found, _ = fit_architecture(net, 'mobilenet_v1')
    self.assertEqual(found['image_size'], (128, 96))

  def test_a_classifier_decides_no_embedding_size(self):
    net = net_of(trace('sphereface4', embedding_size=256))
    head = SourceLayer('fc6', 'conv', {'kernel': np.zeros((90, 256), 'f4')})
    net = dataclasses.replace(net, layers=(*net.layers, head))
    found, match = fit_architecture(net, 'sphereface4')
    self.assertEqual(found['embedding_size'], 256)
    self.assertEqual(match.left_behind, ('fc6',))

  def test_an_unknown_name_is_refused(self):
    net = net_of(trace('sphereface4'))
    with self.assertRaisesRegex(UsageError, 'use sphereface'):
      fit_architecture(net, 'spherface4')

  def test_a_file_without_convolutions_is_refused(self):
    net = SourceNet('x.pth', (), is_graph=False)
    with self.assertRaisesRegex(DataError, 'holds no convolution'):
      fit_architecture(net, 'mobilefacenet')
    with self.assertRaisesRegex(DataError, 'holds no convolution'):
      find_architecture(net)


class FindTest(TinyModelsTest):
  @parameterized.parameters(
    'mobilefacenet',
    'mobilefacenet_s',
    'mbf',
    'sphereface4',
    'ir18',
    'iresnet18',
  )
  def test_every_family_finds_itself_alone(self, name):
    found, fields, match, others = find_architecture(net_of(trace(name)))
    self.assertEqual(found, name)
    self.assertEqual(others, ())
    self.assertEqual(match.left_behind, ())
    self.assertEqual(fields['image_size'], models.get_model(name).image_size)

  def test_of_two_names_for_one_net_the_one_that_says_so_is_taken(self):
    found, fields, _, others = find_architecture(net_of(trace('ir_se18')))
    self.assertEqual((found, others), ('ir_se18', ('ir18',)))
    self.assertNotIn('se_ratio', fields)

  def test_no_fit_says_how_far_the_nearest_went(self):
    net = net_of(trace('mobilefacenet'))
    kernel = np.ones((128, 500, 1, 1), np.float32)
    wrong = SourceLayer('27', 'conv', {'kernel': kernel})
    layers = (*net.layers[:27], wrong, *net.layers[28:])
    with self.assertRaisesRegex(
      DataError,
      'net.pth: fits no architecture; nearest are mobilefacenet, 27 of 29 '
      'layers, then the file has conv 27 128x500x1x1, mobilefacenet wants conv '
      'embed/conv 1x1x512x128; ',
    ):
      find_architecture(dataclasses.replace(net, layers=layers))

  @parameterized.parameters(
    ('mobilefacenet_s', 'layer 23 of 24: the file has conv 22 512x64x1x1'),
    ('sphereface4', 'layer 3 of 9: the file has conv 3 64x1x3x3'),
    ('iresnet18', 'layer 4 of .*: the file has conv 3 64x1x3x3'),
  )
  def test_a_wrong_name_is_refused_at_the_first_difference(self, name, place):
    net = net_of(trace('mobilefacenet', image_size=(112, 96)))
    with self.assertRaisesRegex(MismatchError, place):
      fit_architecture(net, name)


if __name__ == '__main__':
  absltest.main()
