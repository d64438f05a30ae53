"""An index on disk: building, changing and searching it, and what memory holds.

  python -m benchmarks.search_index
  python -m benchmarks.search_index --index_sizes=10000000 --index_edits=0
  python -m benchmarks.search_index --index_folder=/data --output=index.json

For every number of templates, codes and float16 vectors of random faces
(benchmarks.search says how they and their probes are drawn):

  build      adds of 100,000 at a time, commits and checksums included, but not
             the drawing of the faces; then bytes on the disk
  edits      adds and removes a second, one at a time and 1,000 at a time, each
             a durable commit
  search     in a new process: opening, the first search, all probes in one
             call, p50 and p99 of one probe at a time; share of probes whose
             mate is the best answer
  memory     of that process, from /proc: resident in all, and its proportional
             shares of what is its own and of the mapped files; the latter is
             page cache that the system may take back

An index is removed when it has been measured. Ten million templates need 12 GB
on the disk.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

OUTPUT = shared_flags.output()
SIZES = flags.DEFINE_list(
  'index_sizes', ['1000000'], 'Templates of the indexes, a list.'
)
EDITS = flags.DEFINE_integer(
  'index_edits', 200, 'Single adds, and removes, that are timed.', lower_bound=0
)
INDEX_PROBES = flags.DEFINE_integer(
  'index_probes', 1000, 'Probes of the batch.', lower_bound=1
)
INDEX_BITS = flags.DEFINE_integer(
  'index_bits', 128, 'Bits of a code.', lower_bound=8
)
VECTOR_VALUES = flags.DEFINE_integer(
  'index_vector_size', 512, 'Values of a vector.', lower_bound=8
)
FOLDER = flags.DEFINE_string(
  'index_folder', None, 'Where the indexes are for a while; default /tmp.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Measures by the flags; returns the numbers."""
  from benchmarks import search_index_run
  from facejax import files
  from facejax.errors import UsageError

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  sizes = SIZES.value
  if not sizes or not all(word.isdecimal() and int(word) for word in sizes):
    raise UsageError(f'--index_sizes={",".join(sizes)}: give numbers from 1 on')
  result = search_index_run.measure_all(
    [int(word) for word in sizes],
    search_index_run.Shape(INDEX_BITS.value, VECTOR_VALUES.value),
    num_probes=INDEX_PROBES.value,
    edits=EDITS.value,
    folder=FOLDER.value,
  )
  if OUTPUT.value:
    files.write_json(OUTPUT.value, result)
  return result


if __name__ == '__main__':
  run.run(main)
