"""Both nets of ../shared/weights compute here what they compute at home."""

import os

import chex
import jax
import numpy as np
import pytest
from absl.testing import absltest, parameterized
from onnx import TensorProto, helper, numpy_helper

from facejax import models
from facejax.evaluation.crops import mirrored
from facejax.importing.importer import import_weights
from facejax.importing.opening import read_net
from facejax.importing.search import find_architecture
from facejax.importing.translation import translate

# (format, file, crops of the references, size, who says the normalisation)
NETS = {
  'xiaoccer': (
    'pytorch', 'xiaoccer_mobilefacenet_112x96/068.ckpt', 'crops96x112',
    (112, 96), 'assumed',
  ),
  'y1': (
    'mxnet', 'insightface_y1_mxnet/model-0000.params', 'crops112x112',
    (112, 112), 'graph',
  ),
}  # fmt: skip
TOLERANCE = 1e-3  # of the largest value


@pytest.fixture(scope='module')
def outputs(shared):
  """Translation, embeddings and all intermediates of both nets.

  One compilation each, for 8 crops and their mirror images.
  """
  folder = os.path.join(shared, 'weights')
  references = np.load(os.path.join(folder, 'reference_embeddings.npz'))
  found = {}
  for name, (format, file, crops, _, _) in NETS.items():
    net = read_net(os.path.join(folder, file), format=format)
    translation = translate(net, architecture='mobilefacenet')
    model = models.get_model('mobilefacenet', **translation.fields)
    images = references[crops]
    images = np.concatenate([images, mirrored(images)])
    contract = translation.preprocessing
    pixels = (images.astype(np.float32) - contract.mean) / contract.scale
    embeddings, state = jax.jit(
      lambda variables, x, model=model: model.apply(
        variables, x, False, capture_intermediates=True, mutable='intermediates'
      )
    )(translation.match.variables, pixels)
    found[name] = translation, np.asarray(embeddings), state['intermediates']
  return found


class RealWeightsTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _take(self, outputs, shared):
    self.outputs = outputs
    self.folder = os.path.join(shared, 'weights')

  def assert_close(self, actual, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, atol=TOLERANCE * scale, rtol=0)

  @parameterized.parameters(*NETS)
  def test_embeddings_are_those_of_the_references(self, name):
    _, embeddings, _ = self.outputs[name]
    references = np.load(os.path.join(self.folder, 'reference_embeddings.npz'))
    self.assert_close(embeddings[:8], references[f'{name}_emb'])
    self.assert_close(embeddings[8:], references[f'{name}_emb_flip'])

  def test_every_intermediate_map_is_that_of_the_reference(self):
    _, _, maps = self.outputs['xiaoccer']
    expected = np.load(
      os.path.join(self.folder, 'xiaoccer_activations_crop0_nchw.npz')
    )
    counts = (5, 1, 6, 1, 2)  # blocks of the stages
    blocks = [
      f'stage{s}_block{b}' for s, n in enumerate(counts) for b in range(n)
    ]
    ours = dict(zip((f'blocks.{i}' for i in range(15)), blocks, strict=True))
    ours |= {'conv1': 'stem', 'dw_conv1': 'stem_depthwise', 'conv2': 'last'}
    ours |= {'linear7': 'global', 'linear1': 'embed'}
    self.assertEqual(set(ours), set(expected.files))
    for theirs, name in ours.items():
      features = np.asarray(maps[name]['__call__'][0][:1])
      self.assert_close(features.transpose(0, 3, 1, 2), expected[theirs])

  @parameterized.parameters(*NETS)
  def test_fields_and_preprocessing_are_read_off_the_file(self, name):
    translation, _, _ = self.outputs[name]
    *_, size, origin = NETS[name]
    self.assertEqual(translation.fields['image_size'], size)
    self.assertEqual(translation.fields['activation'], 'prelu')
    self.assertFalse(translation.fields['folded'])
    contract = translation.preprocessing
    self.assertEqual((contract.mean, contract.scale), (127.5, 128.0))
    self.assertEqual(contract.crop, size)
    self.assertEqual(translation.preprocessing_from, origin)
    self.assertLen(translation.match.matched, 133)
    self.assertEqual(translation.match.left_behind, ())

  def test_the_epsilons_of_the_graph_are_told(self):
    translation, _, _ = self.outputs['y1']
    self.assertEqual(
      translation.assumptions,
      (
        'the epsilon of the file, 2e-05, 0.001, is part of the scales of norms',
      ),
    )


def folded_graph(net):
  """The net as ONNX: norms folded, ReLU6 in place of PReLU."""
  nodes, arrays, value, entry = [], [], 'x', None
  convs = [layer for layer in net.layers if layer.kind == 'conv']
  norms = [layer.arrays for layer in net.layers if layer.kind == 'norm']
  for i, (conv, norm) in enumerate(zip(convs, norms, strict=True)):
    kernel = conv.arrays['kernel']
    scale = norm['scale'] / np.sqrt(norm['var'] + 1e-5)
    weights = {f'w{i}': kernel * scale[:, None, None, None]}
    weights[f'b{i}'] = norm['bias'] - norm['mean'] * scale
    arrays += [numpy_helper.from_array(a, k) for k, a in weights.items()]
    # Blocks of three from the third on; these ones have stride 2.
    block, part = divmod(i - 2, 3)
    in_block = 2 <= i < 47
    strided = i == 0 or (part == 1 and in_block and block in (0, 5, 12))
    nodes.append(
      helper.make_node(
        'Conv',
        [value, f'w{i}', f'b{i}'],
        [f'c{i}'],
        group=kernel.shape[0] if kernel.shape[1] == 1 else 1,
        pads=[1 if kernel.shape[2] == 3 else 0] * 4,
        strides=[2, 2] if strided else [1, 1],
      )
    )
    if in_block and part == 0:
      entry = value
    value = f'c{i}'
    if in_block and part == 2:
      if block not in (0, 5, 12):
        nodes.append(helper.make_node('Add', [entry, value], [f's{i}']))
        value = f's{i}'
    elif i < 48:
      nodes.append(helper.make_node('Clip', [value, 'low', 'six'], [f'r{i}']))
      value = f'r{i}'
  nodes.append(helper.make_node('Flatten', [value], ['y']))
  limits = {'low': np.float32(0), 'six': np.float32(6)}
  arrays += [numpy_helper.from_array(a, k) for k, a in limits.items()]
  graph = helper.make_graph(
    nodes,
    'folded',
    [helper.make_tensor_value_info('x', TensorProto.FLOAT, (1, 3, 112, 96))],
    [helper.make_tensor_value_info('y', TensorProto.FLOAT, (1, 128))],
    arrays,
  )
  opset = [helper.make_opsetid('', 13)]
  return helper.make_model(graph, opset_imports=opset, ir_version=8)


class FoldedTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _take(self, shared, tmp_path):
    self.folder = os.path.join(shared, 'weights')
    self.root = tmp_path

  def test_a_folded_graph_with_relu6_computes_the_same_here(self):
    format, file, *_ = NETS['xiaoccer']
    net = read_net(os.path.join(self.folder, file), format=format)
    path = self.root / 'folded.onnx'
    path.write_bytes(folded_graph(net).SerializeToString())
    result = import_weights(
      path,
      format='onnx',
      architecture='mobilefacenet',
      output=self.root / 'out',
    )
    self.assertTrue(result['fields']['folded'])
    self.assertEqual(result['fields']['activation'], 'relu6')
    self.assertEqual(result['fields']['image_size'], (112, 96))
    self.assertLess(result['max_abs_error'], 1e-5)


class AutoTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _take(self, shared):
    self.folder = os.path.join(shared, 'weights')

  @parameterized.parameters(*NETS)
  def test_auto_finds_the_paper_s_net_among_all(self, name):
    format, file, _, size, _ = NETS[name]
    net = read_net(os.path.join(self.folder, file), format=format)
    found, fields, match, others = find_architecture(net)
    self.assertEqual((found, others), ('mobilefacenet', ()))
    self.assertEqual(fields['image_size'], size)
    self.assertEqual(match.left_behind, ())


class ImportedNetTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _take(self, imported_net):
    self.model = imported_net

  def test_thresholds_stand_at_the_rates_that_its_people_resolve(self):
    thresholds = self.model.description['thresholds']
    self.assertEqual(thresholds['num_impostor_pairs'], 11_025)
    self.assertLess(
      self.model.threshold_at(1e-2), self.model.threshold_at(1e-3)
    )
    (entry,) = [e for e in thresholds['at'] if e['far'] == 1e-2]
    self.assertGreater(entry['tar'], 0.9)

  def test_the_mean_says_whose_it_is(self):
    self.assertEqual(self.model.training_mean.shape, (128,))
    origin = self.model.description['training_data']['training_mean_from']
    self.assertEqual(origin['num_images'], 150)
    self.assertEndsWith(origin['set'], 'people')


if __name__ == '__main__':
  absltest.main()
