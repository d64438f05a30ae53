r"""Hash layers on finished nets: what their codes find on LFW, and how fast.

  python -m benchmarks.hash_codes --hash_nets=out/xiaoccer,out/y1 \
    --hash_lfw_embeddings=out/xiaoccer_lfw.npz,out/y1_lfw.npz \
    --hash_training_set=out/clean --hash_crops=../shared/faces/lfw_112.zip \
    --output=benchmarks/results/hash_codes.json

The backbone is frozen: its embeddings of the training set are computed once
(kept in --hash_cache, so that another run takes minutes), and every method fits
its layer on them, as launch.add_hash does:

  trained  the layer of launch.add_hash --method=trained
  itq      iterative quantisation, fitted on the training crops
  random   random hyperplanes
  sign     the signs of the embedding itself, as many bits as it has values

Measured on the closed set of LFW, full: the first image of 5,749 people
enrolled, 7,484 others looked up, mode plain; LFW takes no part in any choice.
A probe and a photo come alone when they are timed. With --output=X.json the
table stands in X.md too.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

OUTPUT = shared_flags.output()
HASH_NETS = flags.DEFINE_list(
  'hash_nets', [], 'Model directories of nets without a hash layer.'
)
HASH_LFW_EMBEDDINGS = flags.DEFINE_list(
  'hash_lfw_embeddings', [], 'Saved embeddings of LFW (.npz), one a net.'
)
HASH_TRAINING_SET = flags.DEFINE_string(
  'hash_training_set', None, 'Prepared set that the layers are fitted on.'
)
HASH_CACHE = flags.DEFINE_string(
  'hash_cache',
  'out/hash_cache',
  'Folder for the embeddings of the training set.',
)
HASH_CROPS = flags.DEFINE_string(
  'hash_crops', None, 'LFW itself, to time extraction; without it, no S1.'
)
HASH_LENGTHS = flags.DEFINE_list(
  'hash_lengths', ['64', '128', '256', '512'], 'Bits of the codes, a list.'
)
HASH_METHODS = flags.DEFINE_list(
  'hash_methods', ['trained', 'itq', 'random', 'sign'], 'A list of methods.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Measures by the flags; returns the numbers."""
  from benchmarks import hash_codes_run, hash_codes_table
  from facejax import files
  from facejax.errors import UsageError

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  nets, embeddings = HASH_NETS.value, HASH_LFW_EMBEDDINGS.value
  if not nets or len(nets) != len(embeddings):
    raise UsageError(
      f'--hash_nets names {len(nets)} nets and --hash_lfw_embeddings '
      f'{len(embeddings)} files: give one file for each net'
    )
  result = hash_codes_run.measure_all(
    list(zip(nets, embeddings, strict=True)),
    hash_codes_run.Settings(
      lengths=hash_codes_run.parse_lengths(HASH_LENGTHS.value),
      methods=tuple(HASH_METHODS.value),
      training_set=HASH_TRAINING_SET.value,
      cache=HASH_CACHE.value,
      crops=HASH_CROPS.value,
    ),
  )
  table = hash_codes_table.markdown(result)
  files.note(table)
  if OUTPUT.value:
    files.write_json(OUTPUT.value, result)
    path = files.Path(OUTPUT.value).with_suffix('.md')
    files.write_bytes(path, table.encode())
  return result


if __name__ == '__main__':
  run.run(main)
