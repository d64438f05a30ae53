"""Operations of MXNet in the words of ONNX.

Defaults are MXNet's where they differ: the epsilon of a BatchNorm is 1e-3, a
LeakyReLU's slope 0.25.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

Parameters = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Operation:
  """What a node of a symbol does.

  Attributes:
    op: its name in ONNX's operator set; one that it lacks is refused later.
    attributes: of ONNX's node.
    scalar: a constant that comes behind its inputs.
    has_fixed_scale: whether the scale of a norm counts as 1, whatever is
      stored.
  """

  op: str
  attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  scalar: float | None = None
  has_fixed_scale: bool = False


def integers(text: str) -> tuple[int, ...]:
  """Numbers of a tuple as Python 2 or 3 writes it, '(2L, 2L)'."""
  return tuple(int(number) for number in re.findall(r'-?[0-9]+', text))


def _flag(parameters: Parameters, name: str, default: bool = False) -> bool:
  return parameters.get(name, str(default)) in ('True', 'true', '1')


def _convolution(parameters: Parameters) -> Operation:
  if parameters.get('layout', 'None') not in ('None', 'NCHW'):
    return Operation(f'Convolution({parameters["layout"]})')
  attributes = {
    'group': int(parameters.get('num_group', '1')),
    'strides': integers(parameters.get('stride', '')) or (1, 1),
    'dilations': integers(parameters.get('dilate', '')) or (1, 1),
  }
  return Operation('Conv', attributes)


def _batch_norm(parameters: Parameters) -> Operation:
  if parameters.get('axis', '1') != '1':
    return Operation(f'BatchNorm(axis={parameters["axis"]})')
  return Operation(
    'BatchNormalization',
    {'epsilon': float(parameters.get('eps', '1e-3'))},
    has_fixed_scale=_flag(parameters, 'fix_gamma', True),
  )


def _leaky(parameters: Parameters) -> Operation:
  kind = parameters.get('act_type', 'leaky')
  if kind == 'prelu':
    return Operation('PRelu')
  if kind == 'leaky':
    alpha = float(parameters.get('slope', '0.25'))
    return Operation('LeakyRelu', {'alpha': alpha})
  return Operation(f'LeakyReLU({kind})')


def _activation(parameters: Parameters) -> Operation:
  known = {'relu': 'Relu', 'sigmoid': 'Sigmoid', 'tanh': 'Tanh'}
  kind = parameters.get('act_type', '')
  return Operation(known.get(kind, f'Activation({kind})'))


def _pooling(parameters: Parameters) -> Operation:
  names = {'max': 'MaxPool', 'avg': 'AveragePool'}
  kind = parameters.get('pool_type', 'max')
  prefix = 'Global' if _flag(parameters, 'global_pool') else ''
  name = prefix + names[kind] if kind in names else f'Pooling({kind})'
  return Operation(name)


def _clip(parameters: Parameters) -> Operation:
  limits = float(parameters['a_min']), float(parameters['a_max'])
  return Operation('Clip', dict(zip(('min', 'max'), limits, strict=True)))


def _transpose(parameters: Parameters) -> Operation:
  return Operation('Transpose', {'perm': integers(parameters.get('axes', ''))})


def _reduced(op: str) -> Callable[[Parameters], Operation]:
  def make(parameters: Parameters) -> Operation:
    return Operation(op, {'keepdims': int(_flag(parameters, 'keepdims'))})

  return make


def _with_scalar(op: str) -> Callable[[Parameters], Operation]:
  def make(parameters: Parameters) -> Operation:
    return Operation(op, scalar=float(parameters['scalar']))

  return make


def _plain(op: str) -> Callable[[Parameters], Operation]:
  def make(parameters: Parameters) -> Operation:
    del parameters  # axes and sizes, which no weight depends on
    return Operation(op)

  return make


_SAME = {
  'Add': 'elemwise_add _Plus _plus broadcast_add broadcast_plus',
  'Sum': 'add_n ElementWiseSum',
  'Sub': 'elemwise_sub _Minus _minus broadcast_sub broadcast_minus',
  'Mul': 'elemwise_mul _Mul _mul broadcast_mul',
  'Div': 'elemwise_div _Div _div broadcast_div',
  'Max': '_Maximum _maximum broadcast_maximum',
  'Min': '_Minimum _minimum broadcast_minimum',
  'Cast': 'Cast cast amp_cast',
  'Concat': 'Concat concat',
  'Dropout': 'Dropout',
  'Flatten': 'Flatten flatten',
  'Identity': 'identity _copy BlockGrad stop_gradient',
  'LpNormalization': 'L2Normalization',
  'Pad': 'Pad pad',
  'Pow': 'square',
  'Relu': 'relu',
  'Reshape': 'Reshape reshape',
  'Sigmoid': 'sigmoid',
  'Slice': 'slice_axis slice',
  'Split': 'SliceChannel split',
  'Sqrt': 'sqrt',
  'Squeeze': 'squeeze',
  'Tanh': 'tanh',
  'Unsqueeze': 'expand_dims',
}
_SCALARS = {
  'Add': '_plus_scalar _PlusScalar',
  'Sub': '_minus_scalar _MinusScalar',
  'Mul': '_mul_scalar _MulScalar',
  'Div': '_div_scalar _DivScalar',
  'Pow': '_power_scalar _PowerScalar',
}
OPERATORS = {
  'Activation': _activation,
  'BatchNorm': _batch_norm,
  'BatchNorm_v1': _batch_norm,
  '_contrib_SyncBatchNorm': _batch_norm,
  'Convolution': _convolution,
  'Convolution_v1': _convolution,
  'FullyConnected': lambda parameters: Operation('Gemm', {'transB': 1}),
  'LeakyReLU': _leaky,
  'Pooling': _pooling,
  'Pooling_v1': _pooling,
  'clip': _clip,
  'mean': _reduced('ReduceMean'),
  'norm': _reduced('ReduceL2'),
  'sum': _reduced('ReduceSum'),
  'transpose': _transpose,
}
for _op, _names in _SAME.items():
  OPERATORS |= {name: _plain(_op) for name in _names.split()}
for _op, _names in _SCALARS.items():
  OPERATORS |= {name: _with_scalar(_op) for name in _names.split()}
