r"""How fast three forms of a hashing net learn, on the same images in order.

  python -m benchmarks.hold_out --data=out/clean --output=out/hash_study
  python -m benchmarks.hash_convergence --data=out/hash_study/training \
    --held_out=out/hash_study/held_out \
    --output=benchmarks/results/hash_convergence.json

  usual       a feature layer, a hash layer behind it, a classifier on h
  hash_alone  pooled features F, a hash layer, a classifier on h (VGG-P)
  spliced     pooled features F, a hash layer, a classifier on F and h

as configs/hashing.py makes them of SphereFace with ten layers, narrow and on
small crops so that two cores can train it from scratch. The paper's own form is
of VGG; of that, without BatchNorm, two cores do not get far enough to compare:
a narrow one of eight convolutions is at a loss of 5.2, from 5.8, after 450
steps, and its form with h alone gives all faces one code. Softmax, whose loss
means the same in every step; one seed, one order of the images, one schedule.

Curves are drawn against steps, and against seconds: steps times the median time
of a step, which all forms are timed for in turns, so that other work on the
machine hits all alike. How soon each reaches the best losses of the VGG-P form
stands beside the paper's claims. LFW is looked up once, by the finished models.

An interrupted command goes on where it was. With --output=X.json also X.md and
X.png.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks import study_flags
from launch import run

FOLDER, STEPS, EVALUATIONS = 'out/hash_convergence', 1500, 12
RATE, IMAGE = 0.05, (56, 48)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Trains and measures all forms by the flags; curves are in --output."""
  study = study_flags.make_study(
    argv, folder=FOLDER, steps=STEPS, evaluations=EVALUATIONS
  )
  image_size = study_flags.image_size(IMAGE)
  from facejax.parallel import mesh

  mesh.split_cpu(study.batch_size)
  from benchmarks import (
    hash_convergence_page,
    hash_convergence_run,
    study_report,
  )

  result = hash_convergence_run.measure(
    study,
    width=study_flags.STUDY_WIDTH.value,
    image_size=image_size,
    rate=study_flags.STUDY_RATE.value or RATE,
  )
  study_report.publish(
    result,
    hash_convergence_page.markdown(result),
    study_flags.OUTPUT.value,
    figure=hash_convergence_page.figure(result),
  )
  forms = {
    form: {name: value for name, value in found.items() if name != 'curves'}
    for form, found in result['forms'].items()
  }
  return result | {'forms': forms}


if __name__ == '__main__':
  run.run(main)
