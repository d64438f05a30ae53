"""Speed and memory of MegaFace: probes among a million distractors.

  python -m benchmarks.megaface
  python -m benchmarks.megaface --distractor_count=100000 --dim=128
  python -m benchmarks.megaface --output=benchmarks/results/megaface.json

Probes are random unit vectors around a centre for each person, distractors
random unit vectors; both lie on disk and are read by blocks, as saved
embeddings of a user's are. Timed is the whole protocol once it is compiled:
identification to rank 20, rank-1 by the number of distractors, the counts of
all scores and the largest of them. Beside it, the product of the same matrices
alone, jitted and split over the devices alike. In the same command the results
are compared with plain NumPy at a small size. The peak of memory is that of
the process with all that it has loaded.
"""

from absl import flags

from launch import flags as shared_flags
from launch import run

OUTPUT = shared_flags.output()
DISTRACTOR_COUNT = flags.DEFINE_integer(
  'distractor_count', 1_000_000, 'Images of other people.', lower_bound=100
)
PROBE_COUNT = flags.DEFINE_integer(
  'probe_count', 3530, 'Images looked for, 44 a person.', lower_bound=88
)
DIM = flags.DEFINE_integer('dim', 512, 'Values of a feature.', lower_bound=8)


def main(argv):
  """Measures, compares with NumPy, and returns the numbers."""
  from facejax import files
  from facejax.errors import UsageError
  from facejax.parallel.mesh import split_cpu

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  split_cpu(batch_size=64)
  from benchmarks import megaface_run

  result = megaface_run.measure(
    PROBE_COUNT.value, DISTRACTOR_COUNT.value, DIM.value
  )
  if OUTPUT.value:
    files.write_json(OUTPUT.value, result)
  return result


if __name__ == '__main__':
  run.run(main)
