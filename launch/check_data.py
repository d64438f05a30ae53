r"""Checks a prepared set with an embedding model, before anything trains on it.

Lists near-duplicates, images under a wrong name and identities that are one
person, each as a list for --exclude of launch.prepare_data:

  python -m launch.check_data --data=data/mine --model=out/model \
    --output=out/check

No result on a test set may rest on people who are in it. Which of them are in
the training set, under whatever name:

  python -m launch.check_data --data=data/mine --model=out/model \
    --test_set=../shared/faces/lfw_112.zip --output=out/check

With embeddings of another system, an .npz of names ('IDENTITY/file'), plain
and maybe flip, or an .npy in the order of the records (embeddings.npy of an
earlier check is one):

  python -m launch.check_data --data=data/mine --embeddings=mine.npz \
    --test_embeddings=lfw.npz --output=out/check

Scores are standard scores: deviations above the scores of strangers. Their
thresholds are estimated from the set for a stated number of false alarms;
embedding_check.json states all, the .tsv and .png files let one judge.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_DATA = shared_flags.data()
_MODEL = shared_flags.model()
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()
_BATCH_SIZE = shared_flags.batch_size()
_EMBEDDINGS = shared_flags.embeddings()
_TEST_SET = shared_flags.test_set()
_TEST_EMBEDDINGS = shared_flags.test_embeddings()
_NEAR_DUPLICATE = flags.DEFINE_float(
  'near_duplicate', 0.95, 'Cosine above which two images are one photo.'
)
_OUTLIER = flags.DEFINE_float(
  'outlier', None, 'Standard score below which an image is an outlier.'
)
_SAME_PERSON = flags.DEFINE_float(
  'same_person', None, 'Standard score above which two identities are one.'
)
_OVERLAP = flags.DEFINE_float(
  'overlap', None, 'Standard score above which one is in the test set.'
)
_FALSE_ALARMS = flags.DEFINE_float(
  'false_alarms', 1.0, 'Pairs that may be listed as one person by chance.'
)
_FALSE_SHARE = flags.DEFINE_float(
  'false_share', 0.1, 'Share of the outliers that may be listed by chance.'
)
_OVERLAP_SHARE = flags.DEFINE_float(
  'overlap_share', 0.02, 'Share of the people that may be lost by chance.'
)


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Checks the set that the flags name."""
  from facejax import files
  from facejax.errors import UsageError
  from facejax.preparation import embedding_check, suspicions

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not _DATA.value or not _OUTPUT.value:
    raise UsageError('give --data, a prepared set, and --output, a new folder')
  limits = suspicions.Limits(
    near_duplicate=_NEAR_DUPLICATE.value,
    outlier=_OUTLIER.value,
    same_person=_SAME_PERSON.value,
    overlap=_OVERLAP.value,
    false_alarms=_FALSE_ALARMS.value,
    false_share=_FALSE_SHARE.value,
    overlap_share=_OVERLAP_SHARE.value,
  )
  embedding_check.check_output(_OUTPUT.value, overwrite=_OVERWRITE.value)
  with files.new_directory(_OUTPUT.value, overwrite=_OVERWRITE.value) as folder:
    result = embedding_check.check_embeddings(
      _DATA.value,
      report=folder,
      model=_MODEL.value,
      embeddings=_EMBEDDINGS.value,
      test_data=_TEST_SET.value,
      test_embeddings=_TEST_EMBEDDINGS.value,
      limits=limits,
      batch_size=_BATCH_SIZE.value,
    )
  return result | {'output': _OUTPUT.value}


if __name__ == '__main__':
  run.run(main)
