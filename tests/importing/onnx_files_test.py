import os

import chex
import numpy as np
import onnx
from absl.testing import absltest, parameterized
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from facejax.errors import DataError
from facejax.importing.graph_net import to_net
from facejax.importing.onnx_files import read_onnx

KERNEL = np.arange(4 * 3 * 9, dtype=np.float32).reshape(4, 3, 3, 3)
SLOPE = np.arange(4, dtype=np.float32)


def model(nodes=None, arrays=None, *, opset=13, shape=('n', 3, 8, 6), **more):
  """A convolution and a PReLU, or other nodes."""
  nodes = nodes or [
    helper.make_node('Conv', ['x', 'k'], ['a'], 'conv', strides=[2, 2]),
    helper.make_node('PRelu', ['a', 's'], ['y']),
  ]
  arrays = {'k': KERNEL, 's': SLOPE.reshape(4, 1, 1)} | (arrays or {})
  graph = helper.make_graph(
    nodes,
    'net',
    [helper.make_tensor_value_info('x', TensorProto.FLOAT, shape)],
    [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)],
    [numpy_helper.from_array(a, name) for name, a in arrays.items()],
  )
  opsets = [helper.make_opsetid('', opset)]
  return helper.make_model(graph, opset_imports=opsets, **more)


class OnnxFilesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'x.onnx')

  def read(self, data):
    data = data if isinstance(data, bytes) else data.SerializeToString()
    with open(self.path, 'wb') as file:
      file.write(data)
    return read_onnx(self.path)

  def test_nodes_constants_and_the_input_are_read(self):
    graph = self.read(model())
    self.assertEqual(graph.where, self.path)
    self.assertEqual([node.op for node in graph.nodes], ['Conv', 'PRelu'])
    # A node without a name is called like its result.
    self.assertEqual([node.name for node in graph.nodes], ['conv', 'y'])
    self.assertEqual(graph.nodes[0].inputs, ('x', 'k'))
    self.assertEqual(graph.nodes[0].attributes, {'strides': (2, 2)})
    self.assertEqual(graph.inputs, {'x': (None, 3, 8, 6)})
    self.assertEqual(graph.outputs, ('y',))
    np.testing.assert_array_equal(graph.constants['k'], KERNEL)

  def test_weights_that_old_files_list_as_inputs_are_none(self):
    old = model(opset=7)
    old.graph.input.append(
      helper.make_tensor_value_info('k', TensorProto.FLOAT, KERNEL.shape)
    )
    self.assertEqual(list(self.read(old).inputs), ['x'])

  @parameterized.parameters(np.float16, np.float64)
  def test_weights_of_every_width_become_float32(self, dtype):
    net = to_net(self.read(model(arrays={'k': KERNEL.astype(dtype)})))
    kernel = net.layers[0].arrays['kernel']
    self.assertEqual(kernel.dtype, np.float32)
    np.testing.assert_array_equal(kernel, KERNEL)

  def test_bfloat16_becomes_float32(self):
    changed = model()
    tensor = helper.make_tensor(
      's', TensorProto.BFLOAT16, [4], [0.0, 1.0, 2.0, 3.0]
    )
    changed.graph.initializer[1].CopyFrom(tensor)
    array = self.read(changed).constants['s']
    self.assertEqual(array.dtype, np.float32)
    np.testing.assert_array_equal(array, SLOPE)

  def test_constants_are_nodes_too(self):
    nodes = [
      helper.make_node('Constant', [], ['m'], value_float=127.5),
      helper.make_node(
        'Constant', [], ['k2'], value=numpy_helper.from_array(KERNEL)
      ),
      helper.make_node('Sub', ['x', 'm'], ['p']),
      helper.make_node('Conv', ['p', 'k2'], ['y']),
    ]
    net = to_net(self.read(model(nodes)))
    self.assertEqual((net.mean, net.scale), (127.5, 1.0))
    np.testing.assert_array_equal(net.layers[0].arrays['kernel'], KERNEL)

  def test_functions_of_the_model_are_opened(self):
    opset = [helper.make_opsetid('', 13)]
    block = helper.make_function(
      'mine', 'Block', ['u', 'w'], ['v'],
      [helper.make_node('Conv', ['u', 'w'], ['v'], 'inner')], opset,
    )  # fmt: skip
    node = helper.make_node('Block', ['x', 'k'], ['y'], domain='mine')
    with_function = model([node], functions=[block])
    with_function.opset_import.append(helper.make_opsetid('mine', 1))
    self.assertEqual(len(to_net(self.read(with_function)).layers), 1)

  def test_operations_of_other_domains_are_refused_by_name(self):
    node = helper.make_node('Conv', ['x', 'k'], ['y'], domain='com.microsoft')
    with self.assertRaisesRegex(DataError, r'com\.microsoft\.Conv y is an op'):
      to_net(self.read(model([node])))

  def test_graphs_inside_of_nodes_are_refused_by_name(self):
    node = helper.make_node(
      'If', ['x'], ['y'], 'choice', then_branch=model().graph
    )
    with self.assertRaisesRegex(DataError, 'If choice is an operation that'):
      to_net(self.read(model([node])))

  def test_integers_are_refused(self):
    quantised = model(arrays={'k': KERNEL.astype(np.int8)})
    with self.assertRaisesRegex(DataError, r'conv\.kernel holds int8'):
      to_net(self.read(quantised))

  def test_values_that_are_not_finite_are_counted(self):
    bad = np.where(KERNEL < 3, np.nan, KERNEL)
    with self.assertRaisesRegex(DataError, r'conv\.kernel has 3 of 108 values'):
      to_net(self.read(model(arrays={'k': bad})))

  def test_sparse_weights_are_refused(self):
    changed = model()
    changed.graph.sparse_initializer.add()
    with self.assertRaisesRegex(DataError, 'sparse weights: export'):
      self.read(changed)

  def save_outside(self):
    with open(self.path, 'wb'):
      pass
    onnx.save(
      model(),
      self.path,
      save_as_external_data=True,
      location='x.data',
      size_threshold=0,
    )

  def test_data_beside_the_model_are_read(self):
    self.save_outside()
    graph = read_onnx(self.path)
    np.testing.assert_array_equal(graph.constants['k'], KERNEL)

  def test_data_that_are_missing_or_cut_are_refused(self):
    self.save_outside()
    data = os.path.join(os.path.dirname(self.path), 'x.data')
    os.truncate(data, 100)
    with self.assertRaisesRegex(DataError, 'damaged, or its data file'):
      read_onnx(self.path)
    os.remove(data)
    with self.assertRaisesRegex(DataError, 'damaged, or its data file'):
      read_onnx(self.path)

  @parameterized.parameters('../secret', '/etc/passwd', 'link')
  def test_data_elsewhere_are_refused(self, location):
    folder = os.path.dirname(self.path)
    secret = os.path.join(os.path.dirname(folder), 'secret')
    with open(secret, 'wb') as file:
      file.write(bytes(1000))
    os.symlink(secret, os.path.join(folder, 'link'))
    self.save_outside()
    changed = onnx.load(self.path, load_external_data=False)
    for tensor in changed.graph.initializer:
      for entry in tensor.external_data:
        if entry.key == 'location':
          entry.value = location
    with self.assertRaises(DataError):
      self.read(changed)

  @parameterized.parameters(b'', b'x' * 50, b'\x08\x07', b'{"a": 1}')
  def test_other_files_are_refused(self, data):
    with self.assertRaisesRegex(DataError, 'is no ONNX model'):
      self.read(data)

  def test_a_cut_file_is_refused_wherever_it_is_cut(self):
    data = model().SerializeToString()
    for length in range(0, len(data) - 1, 5):
      with self.assertRaises(DataError):
        to_net(self.read(data[:length]))

  @settings(deadline=None, max_examples=150)
  @given(st.data())
  def test_damage_raises_nothing_but_a_data_error(self, data):
    content = bytearray(model().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
      place = data.draw(st.integers(0, len(content) - 1))
      content[place] = data.draw(st.integers(0, 255))
    try:
      to_net(self.read(bytes(content)))
    except DataError as error:
      self.assertNotIn('\n', str(error))

  @parameterized.parameters(
    {'strides': 2}, {'strides': [2.0, 2.0]}, {'group': [1]}, {'group': 'a'}
  )
  def test_attributes_of_another_type_are_refused(self, **attributes):
    node = helper.make_node('Conv', ['x', 'k'], ['y'], **attributes)
    with self.assertRaisesRegex(DataError, 'has another type'):
      self.read(model([node]))

  def test_constants_that_are_no_numbers_are_refused(self):
    node = helper.make_node('Constant', [], ['t'], value_string='text')
    conv = helper.make_node('Conv', ['x', 'k'], ['y'])
    with self.assertRaisesRegex(DataError, 'other things than numbers'):
      self.read(model([node, conv]))
    changed = model()
    tensor = helper.make_tensor('s', TensorProto.STRING, [1], [b'text'])
    changed.graph.initializer[1].CopyFrom(tensor)
    with self.assertRaisesRegex(DataError, 's is of type'):
      self.read(changed)

  def test_weights_that_claim_more_than_they_have_are_refused(self):
    changed = model()
    changed.graph.initializer[0].dims[0] = 1 << 40
    with self.assertRaisesRegex(DataError, 'is damaged'):
      self.read(changed)


if __name__ == '__main__':
  absltest.main()
