"""Small graphs in the words of ONNX, of one image x."""

import numpy as np

from facejax.importing.graph import Graph, Node
from facejax.importing.graph_net import to_net

KERNEL = np.arange(4 * 3 * 9, dtype=np.float32).reshape(4, 3, 3, 3)
C = np.array([1, 2, 3, 4], np.float32)
DENSE = np.arange(8, dtype=np.float32).reshape(2, 4)
CONSTANTS = {
  'k': KERNEL,
  'pointwise': np.ones((4, 4, 1, 1), np.float32),
  'c': C,
  'c11': C.reshape(4, 1, 1),
  '1c11': C.reshape(1, 4, 1, 1),
  'w': np.ones((1, 4), np.float32),
  'dense': DENSE,
  'dense_t': DENSE.T,
  'o': np.array([5, 6], np.float32),
  'half': np.float32(0.5),
  'zero': np.float32(0),
  'six': np.float32(6),
  '255': np.float32(255),
  '127.5': np.float32(127.5),
  'inverse': np.float32(1 / 128),
  'rgb': np.full((1, 3, 1, 1), 127.5, np.float32),
  'rgb_unequal': np.float32([[[123]], [[117]], [[104]]]),
  'tiny': np.float32(1e-12),
  'axes': np.array([1]),
  'i': np.array(2),
}
CONV = ('Conv', ['x', 'k'], 'a', {'strides': (2, 2)})


def graph(*steps, shape=(None, 3, 8, 8), outputs=None, **constants):
  """Steps are (operation, inputs, output, attributes)."""
  nodes = [
    Node(op, f'{op}_{output}', tuple(inputs), (output,), dict(*attributes))
    for op, inputs, output, *attributes in steps
  ]
  outputs = outputs or (steps[-1][2],)
  arrays = {k: np.asarray(v) for k, v in (CONSTANTS | constants).items()}
  return Graph('f', tuple(nodes), arrays, {'x': shape}, outputs)


def net(*steps, **more):
  return to_net(graph(*steps, **more))


def kinds(result):
  return [layer.kind for layer in result.layers]
