"""How many identities a device holds: the tables of docs/scaling.md.

  python -m benchmarks.head_memory
  python -m benchmarks.head_memory --nets --output=docs/scaling.md

Nothing is computed or timed: steps are compiled for eight described devices,
as `facejax.training.dry_run` does. The tables go to stderr; --output names a
page whose tables of the same names are replaced.

The result has `heads`, of heads without a net the bytes per device for each of
--rows at each sampling rate; `largest`, by rate the most millions of rows on a
device; and with --nets `nets`, dry runs of whole steps.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

OUTPUT = shared_flags.output()
ROWS = flags.DEFINE_list(
  'rows',
  ['0.1', '0.5', '1', '2', '4', '8', '12.5', '15'],
  'Millions of identities on a device, a list.',
)
NETS = flags.DEFINE_bool(
  'nets', False, 'Also compile whole steps: minutes on two cores.'
)


def _millions() -> list[float]:
  """The flag as numbers."""
  from facejax.errors import UsageError

  try:
    millions = [float(word) for word in ROWS.value]
  except ValueError as error:
    raise UsageError(f'--rows: {error}: give numbers') from None
  if not all(0 < value < 1000 for value in millions):
    raise UsageError(f'--rows={ROWS.value}: give millions, 0 to 1000')
  return millions


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Compiles the heads, and the nets if they are wanted; writes the page."""
  from benchmarks import head_tables
  from facejax import files
  from facejax.errors import UsageError

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  millions = _millions()
  page = files.Path(OUTPUT.value) if OUTPUT.value else None
  if page is not None and not page.is_file():
    raise UsageError(f'--output={page}: name a page that has the tables')
  heads = head_tables.measure_heads(millions)
  largest = head_tables.measure_largest()
  result = {'heads': heads, 'largest': largest}
  tables = {
    'heads': head_tables.heads_table(heads),
    'largest': head_tables.largest_table(largest),
  }
  if NETS.value:
    result['nets'] = head_tables.measure_nets()
    tables['nets'] = head_tables.nets_table(result['nets'])
  files.note('\n\n'.join(tables.values()))
  if page is not None:
    text = head_tables.replace_tables(page.read_text(), tables)
    files.write_bytes(page, text.encode())
  return result


if __name__ == '__main__':
  run.run(main)
