"""Writes images and a pair list as a .bin, InsightFace's verification set.

The list has lines of 'path_a path_b 0|1' (1: the same person), or is one of
LFW's own; paths are as in the folder, zip or tar of images:

  python -m launch.write_bin --data=my_faces --pairs=my_pairs.txt \\
    --output=my_faces.bin

LFW as a .bin, which launch.evaluate reads too, and then needs no list:

  python -m launch.write_bin --data=../shared/faces/lfw_112.zip \\
    --pairs=../shared/faces/lfw_pairs.txt --output=lfw.bin
  python -m launch.evaluate --model=out/model --protocol=lfw --data=lfw.bin

Images keep their bytes, so give aligned crops (launch.prepare_data aligns).
Pairs stand fold by fold. The result is the JSON object on the last line.
"""

from collections.abc import Sequence
from typing import Any

from launch import flags as shared_flags
from launch import run

_DATA = shared_flags.data()
_PAIRS = shared_flags.pairs()
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Writes the file that the flags describe."""
  from facejax.data import archives, bin_writing, protocols
  from facejax.errors import UsageError
  from facejax.files import Path

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  for flag in (_DATA, _PAIRS, _OUTPUT):
    if not flag.value:
      raise UsageError(f'--{flag.name} is missing')
  output = Path(_OUTPUT.value)
  if output.is_dir() or output.suffix.lower() != '.bin':
    raise UsageError(f'--output={output}: name a file that ends with .bin')
  if output.exists() and not _OVERWRITE.value:
    raise UsageError(
      f'{output} already exists: choose another file, or give --overwrite'
    )
  pairs = protocols.read_any_pairs(_PAIRS.value)
  archive = archives.open_archive(_DATA.value)
  counts = bin_writing.write_bin(output, archive, pairs, where=str(_DATA.value))
  return {**counts, 'output': str(output)}


if __name__ == '__main__':
  run.run(main)
