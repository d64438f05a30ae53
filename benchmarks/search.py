"""Speed of the search against faiss, and what two stages cost and lose.

  python -m benchmarks.search
  python -m benchmarks.search --gallery_templates=100000 --search_rounds=9
  python -m benchmarks.search --output=benchmarks/results/search.json

The gallery is random unit vectors, the probes lie at cosines drawn from
N(0.63, 0.13) to rows of it, codes are signs of random projections. On the same
cores, in one run:

  hamming        top 100 by the Hamming distance of 128 bits
  asymmetric     top 100 by logits against stored bits
  hamming_L_cC   two stages: C candidates by codes of L bits, then the cosine;
  asymmetric_L_cC  C the fewest that keep 99 % of the exhaustive answers
  float          exhaustive top 100 by the cosine
  faiss_hamming  IndexBinaryFlat, 128 bits; also on one thread
  faiss_float    IndexFlatIP; also on one thread

Throughput is that of all probes in one call, in rounds that time every side
once; then latency of one probe at a time. Ratios stand by medians and by the
least times; run it on an idle machine (benchmarks/search_timing.py). Recall is
the share of probes whose exhaustive answer is among the candidates. Needs faiss
(requirements-bench.txt) for its sides; adds and removes are measured by
`benchmarks.search_index`.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

OUTPUT = shared_flags.output()
TEMPLATES = flags.DEFINE_integer(
  'gallery_templates', 1_000_000, 'Templates of the gallery.', lower_bound=200
)
PROBES = flags.DEFINE_integer(
  'search_probes', 1000, 'Probes of the batch.', lower_bound=8
)
SIZE = flags.DEFINE_integer(
  'vector_size', 512, 'Values of a vector.', lower_bound=8
)
WIDTHS = flags.DEFINE_list(
  'code_widths', ['64', '128', '256', '512'], 'Bits of the codes, a list.'
)
STORED = flags.DEFINE_enum(
  'stored_type',
  'float32',
  ['float32', 'float16', 'int8'],
  'What the vectors of the second stage are stored in.',
)
ROUNDS = flags.DEFINE_integer(
  'search_rounds', 3, 'Rounds that the ratios are over.', lower_bound=1
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Measures by the flags; returns the numbers."""
  from benchmarks import search_run
  from facejax import files
  from facejax.errors import UsageError

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  words = WIDTHS.value
  if not words or not all(w.isdecimal() and int(w) % 8 == 0 for w in words):
    raise UsageError(f'--code_widths={",".join(words)}: give multiples of 8')
  if PROBES.value > TEMPLATES.value:
    raise UsageError('--search_probes: at most as many as --gallery_templates')
  result = search_run.measure(
    TEMPLATES.value,
    PROBES.value,
    SIZE.value,
    [int(word) for word in words],
    dtype=STORED.value,
    rounds=ROUNDS.value,
  )
  if OUTPUT.value:
    files.write_json(OUTPUT.value, result)
  return result


if __name__ == '__main__':
  run.run(main)
