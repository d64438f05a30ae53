"""Speed of evaluation: all pairs of LFW and its closed set.

  python -m benchmarks.evaluation
  python -m benchmarks.evaluation --lfw_embeddings=out/lfw.npz
  python -m benchmarks.evaluation --score_peers=false --evaluation_rounds=9

The embeddings are those that `launch.evaluate --save_embeddings` wrote, or
else random unit vectors with as many images of each person as LFW has. Timed,
once it is compiled, with the CPU as one device and as several:

  features     reads the file and makes unit features, in mode plain
  all_pairs    55 million pairs: rates, thresholds, AUC, EER, curves
  closed_set   7,484 probes among 5,749 enrolled images, with the CMC
  bootstrap    1,000 draws of people for the intervals of all pairs
  product      the products of the same tiles alone: what no scoring can beat

`together` is the first three. Beside them, given the 55 million scores for
free: scikit-learn's `roc_curve` (requirements-bench.txt) and NumPy's sort. Our
rates must be those of that curve.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

OUTPUT = shared_flags.output()
LFW_EMBEDDINGS = flags.DEFINE_string(
  'lfw_embeddings', None, 'Saved embeddings of LFW (.npz); default random ones.'
)
CPU_SPLITS = flags.DEFINE_list(
  'cpu_splits', ['1', '2'], 'Devices that the CPU counts as, a list.'
)
EVALUATION_ROUNDS = flags.DEFINE_integer(
  'evaluation_rounds', 5, 'Rounds that the medians are over.', lower_bound=1
)
SCORE_PEERS = flags.DEFINE_bool(
  'score_peers', True, 'Also scikit-learn and NumPy: a minute or two.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Measures by the flags; returns the numbers."""
  from benchmarks import evaluation_run
  from facejax import files
  from facejax.errors import UsageError

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  splits = CPU_SPLITS.value
  if not splits or not all(word.isdecimal() and int(word) for word in splits):
    raise UsageError(f'--cpu_splits={",".join(splits)}: give numbers from 1 on')
  result = evaluation_run.measure_all(
    LFW_EMBEDDINGS.value,
    [int(word) for word in splits],
    rounds=EVALUATION_ROUNDS.value,
    peers=SCORE_PEERS.value,
  )
  if OUTPUT.value:
    files.write_json(OUTPUT.value, result)
  return result


if __name__ == '__main__':
  run.run(main)
