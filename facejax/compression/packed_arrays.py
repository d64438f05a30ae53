"""Packed trees as plain arrays and JSON metadata, as they are stored."""

from typing import Any

import jax

from facejax import trees
from facejax.array_typing import PyTree
from facejax.compression.packed import PackedTernary, code_shape, is_packed
from facejax.errors import CheckpointError
from facejax.ops import packing

FORMAT_VERSION = 1
LAYOUT = 'A'  # of spec 6.4


def to_arrays(tree: PyTree) -> tuple[PyTree, dict[str, Any]]:
  """A packed tree as plain arrays and JSON metadata, for storage.

  Args:
    tree: nested dictionaries of arrays and `PackedTernary`.

  Returns:
    (arrays, metadata): the tree with {'words', 'alpha'} for each packed
    leaf; the format version and, by name, what else describes it.
  """
  tensors = {
    name: {
      'shape': list(leaf.shape),
      'layout': LAYOUT,
      'arrangement': leaf.arrangement,
      'output_axis': leaf.output_axis,
      'granularity': leaf.granularity,
    }
    for name, leaf in trees.named_leaves(tree, is_packed).items()
    if is_packed(leaf)
  }
  arrays = jax.tree.map(
    lambda leaf: (
      {'words': leaf.words, 'alpha': leaf.alpha} if is_packed(leaf) else leaf
    ),
    tree,
    is_leaf=is_packed,
  )
  return arrays, {'format_version': FORMAT_VERSION, 'tensors': tensors}


def _check_tensor(name: str, packed: PackedTernary, granularity: str) -> None:
  """Refuses words or scales whose shape or dtype the invariants exclude."""
  codes = code_shape(packed)
  words = (*codes[:-1], packing.words_per_row(codes[-1]))
  filters = (packed.shape[packed.output_axis],)
  alpha = filters if granularity == 'filter' else ()
  for what, array, dtype, shape in (
    ('words', packed.words, 'uint32', words),
    ('alpha', packed.alpha, 'float32', alpha),
  ):
    if array.shape != shape or array.dtype != dtype:
      raise CheckpointError(
        f'packed tensor {name!r}: its {what} are {array.dtype}'
        f'{list(array.shape)}, not {dtype}{list(shape)}'
      )


def from_arrays(arrays: PyTree, metadata: dict[str, Any]) -> PyTree:
  """Inverse of `to_arrays`; works on shapes (`jax.ShapeDtypeStruct`) too.

  Raises:
    CheckpointError: an unknown version or layout, or arrays that do not fit
      the metadata.
  """
  version = metadata.get('format_version')
  if version != FORMAT_VERSION:
    raise CheckpointError(
      f'packed weights of format version {version!r}; this facejax reads '
      f'{FORMAT_VERSION}'
    )
  tensors = dict(metadata['tensors'])

  def build(prefix, node):
    name = '/'.join(prefix)
    if name not in tensors:
      if not isinstance(node, dict):
        return node
      return {key: build((*prefix, key), value) for key, value in node.items()}
    fields = tensors.pop(name)
    if fields['layout'] != LAYOUT:
      raise CheckpointError(
        f'packed tensor {name!r}: unknown layout {fields["layout"]!r}'
      )
    packed = PackedTernary(
      words=node['words'],
      alpha=node['alpha'],
      shape=tuple(fields['shape']),
      arrangement=fields['arrangement'],
      output_axis=fields['output_axis'],
    )
    _check_tensor(name, packed, fields['granularity'])
    return packed

  try:
    tree = build((), arrays)
  except (KeyError, TypeError) as error:
    raise CheckpointError(f'packed weights: bad metadata ({error})') from None
  if tensors:
    raise CheckpointError(f'packed tensor {min(tensors)!r} is missing')
  return tree


_count_invalid_codes = jax.jit(packing.count_invalid_codes)


def check_packed(tree: PyTree) -> None:
  """Refuses a tree with a corrupt code.

  Raises:
    CheckpointError: names the first tensor that holds the code 1.
  """
  for name, leaf in trees.named_leaves(tree, is_packed).items():
    if is_packed(leaf) and (count := int(_count_invalid_codes(leaf.words))):
      raise CheckpointError(
        f'packed tensor {name!r} holds {count} corrupt codes: the file was '
        'damaged, restore it from a copy'
      )
