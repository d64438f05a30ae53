"""Where every byte of a model's payload goes (spec 11.4)."""

import dataclasses

from facejax import trees
from facejax.array_typing import PyTree
from facejax.compression.packed import is_packed

KINDS = ('codes', 'padding', 'alphas', 'float')


@dataclasses.dataclass(frozen=True)
class Row:
  """One kind of content of one tensor.

  Attributes:
    name: of the tensor.
    kind: 'codes' (2 bits a weight, the last byte begun counts whole),
      'padding' (of words and rows), 'alphas' (scales) or 'float'.
    bytes: how many.
    weights: the weights that they hold; 0 for padding and alphas.
  """

  name: str
  kind: str
  bytes: int
  weights: int = 0


@dataclasses.dataclass(frozen=True)
class Ledger:
  """All rows of a tree; they sum to its payload exactly."""

  rows: tuple[Row, ...]

  @property
  def totals(self) -> dict[str, int]:
    """Bytes by kind, and in all as 'total'."""
    totals = {
      kind: sum(row.bytes for row in self.rows if row.kind == kind)
      for kind in KINDS
    }
    return totals | {'total': sum(totals.values())}

  @property
  def bits_per_weight(self) -> dict[str, float | None]:
    """Bits a weight: of the 'codes' with their padding, and of 'all'.

    'codes' is None where no weight is ternary, 'all' in an empty tree.
    """
    totals = self.totals
    ternary = sum(row.weights for row in self.rows if row.kind == 'codes')
    weights = sum(row.weights for row in self.rows)
    packed = totals['codes'] + totals['padding']
    return {
      'codes': 8 * packed / ternary if ternary else None,
      'all': 8 * totals['total'] / weights if weights else None,
    }

  def to_json(self) -> list[dict[str, str | int]]:
    """The rows as JSON values."""
    return [dataclasses.asdict(row) for row in self.rows]


def make_ledger(tree: PyTree) -> Ledger:
  """The ledger of a float or packed tree of arrays (or their shapes)."""
  rows = []
  for name, leaf in trees.named_leaves(tree, is_packed).items():
    if not is_packed(leaf):
      size = leaf.size * leaf.dtype.itemsize
      rows.append(Row(name, 'float', size, leaf.size))
      continue
    codes = -(-leaf.size // 4)
    padding = 4 * leaf.words.size - codes
    rows.append(Row(name, 'codes', codes, leaf.size))
    if padding:
      rows.append(Row(name, 'padding', padding))
    rows.append(Row(name, 'alphas', 4 * leaf.alpha.size))
  return Ledger(tuple(rows))
