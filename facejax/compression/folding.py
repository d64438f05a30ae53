"""BatchNorm folding: a trained net without its running statistics.

  w' = scale w / sqrt(var + eps)
  b' = bias + (b - mean) scale / sqrt(var + eps)

A norm directly behind a convolution disappears into it; any other, such as
one before a padded convolution, becomes the channel-wise scale and shift that
it is. The tree that comes out is that of the same model with `folded=True`.

References:
  Jacob et al., Quantization and Training of Neural Networks for Efficient
  Integer-Arithmetic-Only Inference, 2018, https://arxiv.org/abs/1712.05877,
  section 3.2 (spec 2.3).
"""

from typing import Any

from jax import lax

from facejax.array_typing import PyTree
from facejax.compression.packed import PackedTernary
from facejax.errors import DataError
from facejax.nn.layers import NORM_EPSILON


def fold_batch_norm(variables: PyTree) -> PyTree:
  """The variables of the same model with `folded=True`.

  Args:
    variables: {'params': float parameters, 'batch_stats': ...}; a model
      without BatchNorm comes back as it is.

  Returns:
    {'params': ...}, no statistics; embeddings agree to float rounding.

  Raises:
    DataError: packed weights, or statistics that fit no norm.
  """
  statistics = variables.get('batch_stats', {})
  return {'params': _fold(variables['params'], statistics)}


def _fold(params: PyTree, statistics: PyTree) -> PyTree:
  """Folds one level of the tree and what lies below it."""
  if 'norm' in statistics and 'conv' in params:
    rest = {name: params[name] for name in params if name != 'norm'}
    return rest | {
      'conv': _fold_conv(params['conv'], params['norm'], statistics['norm'])
    }
  folded = {}
  for name, value in params.items():
    stats = statistics.get(name, {})
    if 'mean' in stats:
      scale, shift = _affine(value, stats)
      folded[name] = {'scale': scale, 'bias': shift}
    else:
      folded[name] = _fold(value, stats) if isinstance(value, dict) else value
  if missing := sorted(set(statistics) - set(params)):
    raise DataError(f'statistics without a norm: {", ".join(missing)}')
  return folded


def _affine(norm: dict[str, Any], statistics: dict[str, Any]) -> tuple:
  """The scale and shift that a norm is at inference."""
  scale = norm['scale'] * lax.rsqrt(statistics['var'] + NORM_EPSILON)
  return scale, norm['bias'] - statistics['mean'] * scale


def _fold_conv(
  conv: dict[str, Any], norm: dict[str, Any], statistics: dict[str, Any]
) -> dict[str, Any]:
  """The convolution with kernel and bias that both layers are."""
  if isinstance(conv['kernel'], PackedTernary):
    raise DataError(
      'packed weights cannot be folded: fold the float model before packing'
    )
  scale, shift = _affine(norm, statistics)
  bias = conv.get('bias', 0.0)
  per_output = scale.reshape(1, 1, 1, -1)
  return {'kernel': conv['kernel'] * per_output, 'bias': bias * scale + shift}
