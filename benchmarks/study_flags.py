"""Flags of the experiments of the hashing paper: on what, where, how long."""

from collections.abc import Sequence
from typing import Any

from absl import flags

from facejax.errors import UsageError
from launch import flags as shared_flags

DATA = shared_flags.data()
OUTPUT = shared_flags.output()
HELD_OUT = flags.DEFINE_string(
  'held_out', None, 'Prepared set of people who are not in --data.'
)
STUDY_LFW = flags.DEFINE_string(
  'study_lfw', '../shared/faces/lfw_112.zip', 'Aligned crops of LFW.'
)
STUDY_FOLDER = flags.DEFINE_string(
  'study_folder', None, 'Folder for the runs; what is done there is not again.'
)
STUDY_STEPS = flags.DEFINE_integer(
  'study_steps', None, 'Steps of every run.', lower_bound=8
)
STUDY_BATCH = flags.DEFINE_integer(
  'study_batch', 64, 'Images in a step.', lower_bound=1
)
STUDY_RATE = flags.DEFINE_float(
  'study_rate', None, 'Learning rate of the first step.', lower_bound=0.0
)
STUDY_WIDTH = flags.DEFINE_float(
  'study_width', 0.25, 'Factor on the channels of the net.', lower_bound=0.0
)
STUDY_IMAGE = flags.DEFINE_list(
  'study_image', None, 'Height and width that crops are resized to.'
)
EVALUATION_COUNT = flags.DEFINE_integer(
  'evaluation_count', None, 'Evaluations of a run, evenly.', lower_bound=1
)


def image_size(default: tuple[int, int]) -> tuple[int, int]:
  """Height and width of --study_image.

  Raises:
    UsageError: not two whole numbers.
  """
  words = STUDY_IMAGE.value
  if words is None:
    return default
  if len(words) != 2 or not all(word.isdecimal() for word in words):
    raise UsageError(
      f'--study_image={",".join(words)}: give a height and a width, such as '
      '56,48'
    )
  return int(words[0]), int(words[1])


def make_study(
  argv: Sequence[str], *, folder: str, steps: int, evaluations: int
) -> Any:
  """A `hash_study.Study` of the flags.

  Args:
    argv: what stands on the command line beside them.
    folder: default of --study_folder.
    steps: default of --study_steps.
    evaluations: default of --evaluation_count.

  Raises:
    UsageError: something is missing, or means nothing.
  """
  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not DATA.value or not HELD_OUT.value:
    raise UsageError(
      'name a prepared set by --data and one of other people by --held_out: '
      'python -m benchmarks.hold_out divides a set'
    )
  from benchmarks.hash_study import Study

  return Study(
    data=DATA.value,
    held_out=HELD_OUT.value,
    lfw=STUDY_LFW.value,
    folder=STUDY_FOLDER.value or folder,
    steps=STUDY_STEPS.value or steps,
    batch_size=STUDY_BATCH.value,
    evaluations=EVALUATION_COUNT.value or evaluations,
  )
