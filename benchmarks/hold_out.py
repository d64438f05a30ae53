r"""Divides a prepared set by people: some to train on, some to measure on.

  python -m benchmarks.hold_out --data=out/clean --output=out/hash_study

makes OUTPUT/training and OUTPUT/held_out from the folders and archives that the
set was prepared from, which have to be where they were; what it leaves out is
left out of both. People are taken evenly from the sorted names, so the same
command gives the same people.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

DATA = shared_flags.data()
OUTPUT = shared_flags.output()
NUM_HELD_OUT = flags.DEFINE_integer(
  'num_held_out', 40, 'People to leave out of the training.', lower_bound=2
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Divides the set that --data names."""
  from benchmarks import hash_people
  from facejax.errors import UsageError

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not DATA.value or not OUTPUT.value:
    raise UsageError('name a prepared set by --data and a folder by --output')
  return hash_people.divide(DATA.value, OUTPUT.value, NUM_HELD_OUT.value)


if __name__ == '__main__':
  run.run(main)
