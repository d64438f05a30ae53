"""Files of other systems, made up from the model that they are to fit."""

import numpy as np

from facejax.importing.source import SourceLayer, SourceNet


def random_arrays(layer, generator):
  """Arrays of a layer in PyTorch's layout, all values different."""
  shapes = layer.params | layer.statistics
  if layer.kind == 'conv':
    height, width, inputs, outputs = shapes['kernel']
    shapes['kernel'] = (outputs, inputs, height, width)
  arrays = {
    name: generator.normal(0, 0.1, shape).astype(np.float32)
    for name, shape in shapes.items()
  }
  if 'var' in arrays:
    arrays['var'] = 1 + np.abs(arrays['var'])
  return arrays


def net_of(trace, *, seed=0, is_graph=False, **more):
  """A file that fits a model: its layers by number, with random weights."""
  generator = np.random.default_rng(seed)
  layers = tuple(
    SourceLayer(str(number), layer.kind, random_arrays(layer, generator))
    for number, layer in enumerate(trace.layers)
  )
  return SourceNet('net.pth', layers, is_graph=is_graph, **more)
