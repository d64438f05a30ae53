"""The table of `hash_sizes`, in markdown."""

from collections.abc import Sequence
from typing import Any

from facejax.training.hash_sizes import LEDGERS

_COLUMNS = ('net', 'form', 'bits', 'classifier', *LEDGERS, 'printed')
_NOTES = """\
MB are 10^6 bytes of weights, without running statistics; four for each float.
`packed`: every kernel but depthwise ones at 2 bits, a scale a filter, without \
the classifier or with it at 2 bits.
`ternary_classifier`: the classifier alone at 2 bits, everything else float. \
The bold figure is the one that is printed.
"""


def to_markdown(rows: Sequence[dict[str, Any]]) -> str:
  """The rows of `hash_sizes.measure_all` as a table with its legend."""
  names = [name.replace('_', ' ') for name in _COLUMNS]
  lines = [
    names,
    ['---', '---', '---:', '---:', *['---:'] * len(LEDGERS), '---'],
  ]
  lines += [_cells(row) for row in rows]
  table = ''.join(f'| {" | ".join(line)} |\n' for line in lines)
  return f'{table}\n{_NOTES}'


def _cells(row: dict[str, Any]) -> list[str]:
  sizes = []
  for name in LEDGERS:
    size = f'{row["bytes"][name] / 1e6:.3f}'
    is_printed = row['printed'] and name == row['printed_of']
    sizes.append(f'**{size}**' if is_printed else size)
  printed = row['printed'] or '-'
  if row['agrees'] is False:
    printed += ', not ours rounded'
  return [
    row['label'],
    row['form'].replace('_', ' '),
    str(row['hash_bits']),
    f'{row["identities"]:,} x {row["classifier_inputs"]:,}'
    + (' + bias' if row['biased'] else ''),
    *sizes,
    printed,
  ]
