"""Parameter trees whose ternary leaves are stored in 2 bits a weight."""

import functools
import math
from typing import Any

import flax.struct
import jax

from facejax import trees
from facejax.array_typing import AnyArray, Array, Float, Int8, PyTree
from facejax.compression import ternary as rules_lib
from facejax.ops import packing, ternary


@flax.struct.dataclass
class PackedTernary:
  """A ternary weight tensor, w = alpha * t, in layout A of spec 6.4.

  Invariants: with O outputs of R weights each, in the order of `shape` made
  output-major (OIHW for a convolution, [out, in] for a dense layer),
  - 'rows': words [O, ceil(R / 16)]; a tensor sharded over its outputs packs
    and unpacks on the devices that hold it;
  - 'flat': words [ceil(O * R / 16)], for depthwise kernels, whose rows would
    be mostly padding;
  - alpha is finite and not negative, [] per tensor or [O] per filter;
  - no code is 1, and padding codes decode to 0.

  Attributes:
    words: uint32, 16 codes each.
    alpha: float32 [] or [O].
    shape: static, the shape of the float tensor.
    arrangement: static, 'rows' or 'flat'.
    output_axis: static, where `shape` has the outputs: 0 or -1.
  """

  words: Any  # uint32 [O, W] or [W]
  alpha: Any  # float32 [] or [O]
  shape: tuple[int, ...] = flax.struct.field(pytree_node=False)
  arrangement: str = flax.struct.field(pytree_node=False)
  output_axis: int = flax.struct.field(pytree_node=False)

  @property
  def size(self) -> int:
    """Number of weights."""
    return math.prod(self.shape)

  @property
  def granularity(self) -> str:
    """'tensor' or 'filter'."""
    return 'filter' if self.alpha.ndim else 'tensor'


def is_packed(leaf: Any) -> bool:
  """Whether a leaf is a packed ternary tensor (for `is_leaf`)."""
  return isinstance(leaf, PackedTernary)


def _output_major(ndim: int, output_axis: int) -> tuple[int, ...]:
  """The transposition to [out, in, ...spatial]."""
  if output_axis == 0:
    return tuple(range(ndim))
  return (ndim - 1, ndim - 2, *range(ndim - 2))


def _arrangement(shape: tuple[int, ...]) -> str:
  """How a tensor of this shape is packed; see `PackedTernary`."""
  return 'flat' if len(shape) == 4 and shape[2] == 1 else 'rows'


def code_shape(packed: PackedTernary) -> tuple[int, ...]:
  """The shape of the codes before packing: [O, R] or [O * R]."""
  if packed.arrangement == 'flat':
    return (packed.size,)
  outputs = packed.shape[packed.output_axis]
  return (outputs, packed.size // max(outputs, 1))


def pack(
  w: Float[AnyArray, '...'], granularity: str, *, output_axis: int
) -> PackedTernary:
  """Ternarises and packs one tensor of at least two axes; pure.

  Args:
    w: float weights.
    granularity: 'tensor' or 'filter'.
    output_axis: 0 or -1.

  Returns:
    The packed tensor; on an array sharded over its outputs, sharded likewise.
  """
  axes = rules_lib.reduced_axes(w.ndim, granularity, output_axis)
  t, alpha = ternary.ternarize(w, axes)
  packed = PackedTernary(
    None, alpha, w.shape, _arrangement(w.shape), output_axis
  )
  t = t.transpose(_output_major(w.ndim, output_axis))
  words = packing.pack_ternary(t.reshape(code_shape(packed)))
  return packed.replace(words=words)


def unpack_codes(packed: PackedTernary) -> Int8[Array, '...']:
  """The ternary values in the tensor's own shape.

  Raises:
    ValueError: outside a trace, if the words are corrupt.
  """
  order = _output_major(len(packed.shape), packed.output_axis)
  t = packing.unpack_ternary(packed.words, code_shape(packed))
  t = t.reshape([packed.shape[axis] for axis in order])
  return t.transpose([order.index(axis) for axis in range(len(order))])


def unpack(packed: PackedTernary) -> Float[Array, '...']:
  """The float32 weights alpha * t, bit-equal to `ternary_ste`."""
  alpha = packed.alpha
  if packed.granularity == 'filter':
    axes = [1] * len(packed.shape)
    axes[packed.output_axis] = alpha.shape[0]
    alpha = alpha.reshape(axes)
  return alpha * unpack_codes(packed)


def pack_tree(params: PyTree, rules: rules_lib.Rules) -> PyTree:
  """Packs the parameters that the rules select; others stay as they are.

  Pure and without data movement: jit it on sharded arrays.

  Args:
    params: float parameters; leaves that are packed already stay.
    rules: (regex over the name, granularity), see `compression.ternary`.

  Returns:
    The tree with a `PackedTernary` for each selected leaf.

  Raises:
    UsageError: a rule selects what cannot be ternary.
  """
  selected = rules_lib.granularities(params, rules)

  def pack_leaf(name, leaf):
    if name not in selected:
      return leaf
    axis = rules_lib.output_axis(name)
    return pack(leaf, selected[name], output_axis=axis)

  return trees.map_named(pack_leaf, params, is_leaf=is_packed)


@functools.partial(jax.jit, static_argnames='rules')
def _pack_tree(params: PyTree, *, rules: tuple[tuple[str, str], ...]) -> PyTree:
  """`pack_tree`, compiled once per tree and rules."""
  return pack_tree(params, rules)


def pack_tree_jit(params: PyTree, rules: rules_lib.Rules) -> PyTree:
  """`pack_tree` on the devices that hold the parameters."""
  rules = tuple((pattern, granularity) for pattern, granularity in rules)
  return _pack_tree(params, rules=rules)


def unpack_tree(tree: PyTree) -> PyTree:
  """Float parameters of a packed tree, those of `ternarize_tree` to the bit."""
  return jax.tree.map(
    lambda leaf: unpack(leaf) if is_packed(leaf) else leaf,
    tree,
    is_leaf=is_packed,
  )
