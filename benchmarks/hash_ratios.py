r"""How wide conv 2 of module A should be: five shares of its channels.

  python -m benchmarks.hold_out --data=out/clean --output=out/hash_study
  python -m benchmarks.hash_ratios --data=out/hash_study/training \
    --held_out=out/hash_study/held_out \
    --output=benchmarks/results/hash_ratios.json

Trains the spliced SphereFace of configs/hashing.py, with ten layers, narrow and
on small crops so that two cores can, for the widths 1, 3/4, 1/2, 1/3 and 1/4 of
its last stage: A-Softmax, 128 bits, one schedule. Each is looked up on LFW's
closed set by codes, by codes and then floats, and by floats, when it is done;
the paper's row stands beside that. Several --study_seeds tell how much of a
difference is chance.

An interrupted command goes on where it was. With --output=X.json also X.md.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from benchmarks import study_flags
from launch import run

FOLDER, STEPS, EVALUATIONS = 'out/hash_ratios', 1500, 5
RATE, IMAGE = 0.05, (56, 48)
STUDY_SEEDS = flags.DEFINE_list(
  'study_seeds', ['0'], 'Seeds; each trains all ratios once.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Trains and measures all ratios by the flags."""
  from facejax.errors import UsageError

  study = study_flags.make_study(
    argv, folder=FOLDER, steps=STEPS, evaluations=EVALUATIONS
  )
  image_size = study_flags.image_size(IMAGE)
  seeds = STUDY_SEEDS.value
  if not seeds or not all(seed.isdecimal() for seed in seeds):
    raise UsageError(
      f'--study_seeds={",".join(seeds)}: give whole numbers, such as 0,1'
    )
  from facejax.parallel import mesh

  mesh.split_cpu(study.batch_size)
  from benchmarks import hash_ratios_page, hash_ratios_run, study_report

  result = hash_ratios_run.measure(
    study,
    [*map(int, dict.fromkeys(seeds))],
    width=study_flags.STUDY_WIDTH.value,
    image_size=image_size,
    rate=study_flags.STUDY_RATE.value or RATE,
  )
  study_report.publish(
    result, hash_ratios_page.markdown(result), study_flags.OUTPUT.value
  )
  return result


if __name__ == '__main__':
  run.run(main)
