"""The same MobileFaceNet in onnxruntime, the peer of the forward pass."""

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from benchmarks.facejax_mobilefacenet import layer_names, strides_of
from benchmarks.settings import Settings
from facejax import trees
from facejax.array_typing import PyTree
from facejax.compression.folding import fold_batch_norm

_OPSET, _IR_VERSION = 17, 8


class _Graph:
  """Nodes and weights as they are added; `output` is the last one's name."""

  def __init__(self):
    self.nodes: list[onnx.NodeProto] = []
    self.weights: list[onnx.TensorProto] = []
    self.output = 'images'

  def add(self, kind: str, *weights: np.ndarray, extra=(), **attributes):
    """A node on the last output, its weights and the outputs named extra."""
    name = f'{kind.lower()}_{len(self.nodes)}'
    names = [f'{name}_{index}' for index in range(len(weights))]
    self.weights += [
      numpy_helper.from_array(np.ascontiguousarray(array), weight)
      for array, weight in zip(weights, names, strict=True)
    ]
    inputs = [self.output, *names, *extra]
    self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
    self.output = name


def make_graph(settings: Settings, variables: PyTree) -> onnx.ModelProto:
  """The net of Table 1 for any number of images, BatchNorm folded.

  Args:
    settings: of the net.
    variables: of `MobileFaceNet`, not folded.

  Returns:
    images float32 [B, 3, H, W] to embeddings float32 [B, D].
  """
  leaves = trees.named_leaves(fold_batch_norm(variables)['params'])
  leaves = {name: np.asarray(leaf) for name, leaf in leaves.items()}
  graph, block_input, block_channels = _Graph(), '', 0
  for layer in layer_names(settings):
    block, _, part = layer.rpartition('/')
    inputs, outputs = leaves[f'{layer}/conv/kernel'].shape[2:]
    if part == 'expand':
      block_input, block_channels = graph.output, inputs
    _add_layer(graph, layer, leaves)
    stays = strides_of(f'{block}/depthwise') == 1 and outputs == block_channels
    if part == 'project' and stays:
      graph.add('Add', extra=[block_input])
  graph.add('Flatten')
  model = helper.make_model(
    helper.make_graph(
      graph.nodes,
      'mobilefacenet',
      [_value('images', ['B', 3, *(settings.image_size,) * 2])],
      [_value(graph.output, ['B', outputs])],
      graph.weights,
    ),
    opset_imports=[helper.make_opsetid('', _OPSET)],
    ir_version=_IR_VERSION,
  )
  onnx.checker.check_model(model)
  return model


def _add_layer(graph: _Graph, layer: str, leaves: dict) -> None:
  """A convolution with its bias, and the activation if it has one."""
  kernel = leaves[f'{layer}/conv/kernel']
  height, width, inputs, outputs = kernel.shape
  padding = 0 if layer == 'global' else height // 2
  graph.add(
    'Conv',
    kernel.transpose(3, 2, 0, 1),
    leaves[f'{layer}/conv/bias'],
    group=outputs if inputs == 1 else 1,
    strides=[strides_of(layer)] * 2,
    pads=[padding] * 4,
    kernel_shape=[height, width],
  )
  slope = leaves.get(f'{layer}/activation/slope')
  if slope is not None:
    graph.add('PRelu', slope.reshape(-1, 1, 1))


def _value(name: str, shape: list) -> onnx.ValueInfoProto:
  return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def make_forward(
  settings: Settings, variables: PyTree, images: np.ndarray
) -> Callable[[], np.ndarray]:
  """A forward pass on the CPU with every optimisation of graphs.

  Args:
    settings: of the net, and the number of threads.
    variables: of `MobileFaceNet`, not folded.
    images: float32 [B, H, W, 3].

  Returns:
    A function that returns the embeddings [B, D].
  """
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = settings.threads
  options.inter_op_num_threads = 1
  options.graph_optimization_level = (
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
  )
  session = onnxruntime.InferenceSession(
    make_graph(settings, variables).SerializeToString(),
    options,
    providers=['CPUExecutionProvider'],
  )
  # The layout that the runtime takes, as ours takes NHWC.
  inputs = {'images': np.ascontiguousarray(images.transpose(0, 3, 1, 2))}
  return lambda: session.run(None, inputs)[0]
