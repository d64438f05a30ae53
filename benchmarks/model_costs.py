"""What MobileFaceNet must compute and move, from shapes alone."""

import collections
import dataclasses
import functools
import math

from benchmarks import facejax_mobilefacenet as ours
from benchmarks.settings import Settings
from facejax import trees
from facejax.models.tracing import trace_model

# Gigabytes a second, from the makers' data sheets; the first part of a name
# that a device's kind contains counts.
_BANDWIDTHS = {
  'B200': 8000,
  'H200': 4800,
  'H100 PCIe': 2000,
  'H100': 3350,
  'A100-SXM4-40GB': 1555,
  'A100-PCIE-40GB': 1555,
  'A100 80GB PCIe': 1935,
  'A100': 2039,
  'L40S': 864,
  'L4': 300,
  'A10G': 600,
  'V100': 900,
  'T4': 320,
}
# Of a convolution's output and its gradient in a training step: written and
# read forward; read, and the gradient written and read, backward.
_STEP_PASSES = 2.5


@dataclasses.dataclass(frozen=True)
class LayerCost:
  """One convolution of one image.

  Attributes:
    layer: its name, see `facejax_mobilefacenet.layer_names`.
    multiply_adds: of the convolution.
    values: read and written at least, its weights not included.
  """

  layer: str
  multiply_adds: int
  values: int


@functools.cache
def layer_costs(settings: Settings) -> list[LayerCost]:
  """The convolutions in the order of computation."""
  costs = []
  for layer in trace_model(ours.make_model(settings, folded=True)).layers:
    if layer.kind != 'conv':
      continue
    height, width, inputs, outputs = layer.params['kernel']
    # A layer without a stride sees its whole map at once.
    seen = height * width
    if layer.strides is not None:
      seen = layer.strides**2 * layer.positions
    costs.append(
      LayerCost(
        layer.name.removesuffix('/conv'),
        math.prod(layer.params['kernel']) * layer.positions,
        seen * inputs * layer.groups + layer.positions * outputs,
      )
    )
  return costs


def memory_floor(
  settings: Settings, batch_size: int, *, training: bool = False
) -> int:
  """Bytes that a net of one kernel a convolution moves at the very least.

  Every convolution reads its input and writes its output, norm, activation and
  sum fused into it; a block's input is read once more for the sum. Nothing
  stays in a cache from one convolution to the next. A training step does so
  two and a half times: backward it reads each output again, and writes and
  reads its gradient. Weights, float32, are read once; in a step so are they
  again, their gradient is written and read, their momentum and they themselves
  are read and written.

  Args:
    settings: of the net; bfloat16 halves the bytes of activations.
    batch_size: images.
    training: a step instead of a forward pass.
  """
  costs = layer_costs(settings)
  values = sum(cost.values for cost in costs)
  passes, weight_passes = (_STEP_PASSES, 8) if training else (1, 1)
  itemsize = 2 if settings.precision == 'bfloat16' else 4
  values = passes * (values + _residual_values(settings, costs))
  weights = trees.parameter_count(ours.parameter_shapes(settings))
  return round(values * itemsize * batch_size + weight_passes * 4 * weights)


def _residual_values(settings: Settings, costs: list[LayerCost]) -> int:
  """Inputs of the blocks that add them to their output."""
  shapes = trees.named_leaves(ours.parameter_shapes(settings))
  by_layer = {cost.layer: cost for cost in costs}
  total = 0
  for layer, cost in by_layer.items():
    block, _, part = layer.rpartition('/')
    if part != 'expand' or ours.strides_of(f'{block}/depthwise') != 1:
      continue
    inputs, hidden = shapes[f'{layer}/conv/kernel'].shape[2:]
    outputs = shapes[f'{block}/project/conv/kernel'].shape[3]
    if inputs == outputs:
      total += cost.values * inputs // (inputs + hidden)
  return total


def bandwidth(device_kind: str) -> float | None:
  """Of the chip's memory, GB/s; None for one that is not known."""
  for part, value in _BANDWIDTHS.items():
    if part in device_kind:
      return float(value)
  return None


def by_kind(settings: Settings) -> dict[str, tuple[int, int]]:
  """Multiply-adds and values of one image, by kind of layer ('expand')."""
  total: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
  for cost in layer_costs(settings):
    kind = total[cost.layer.rpartition('/')[-1]]
    kind[0] += cost.multiply_adds
    kind[1] += cost.values
  return {kind: (adds, values) for kind, (adds, values) in total.items()}
