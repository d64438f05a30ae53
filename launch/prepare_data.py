r"""Prepares a set of faces for training: aligned, checked, numbered, in shards.

Folders, zip or tar files of IDENTITY/image.jpg, here or at gs://, of aligned
crops. Folders of one name are one person over all inputs:

  python -m launch.prepare_data --source=folder \
    --input=faces/celeba.zip,faces/more_people --output=data/mine

RecordIO of InsightFace or MXNet (train.rec, with or without .idx), which needs
no MXNet; a .bin of verification pairs; a set of tensorflow-datasets:

  python -m launch.prepare_data --source=recordio --input=faces_emore \
    --output=data/ms1mv2

Photos that nobody aligned: MTCNN finds the face nearest to the middle, or a
list gives the five landmarks of every photo (name x1 y1 .. x5 y5). --list says
who is on which photo where no folders do (lines of 'path identity'):

  python -m launch.prepare_data --source=folder --input=photos \
    --list=identities.txt --align=mtcnn --output=data/aligned

Leave out people or files, one name or NAME/file a line (for example the people
of a test set, or a list that an earlier report gave):

  python -m launch.prepare_data --source=folder --input=faces.zip \
    --exclude=names_in_lfw.txt,more.txt --output=data/clean

With a model, or embeddings of the set, the report also lists near-duplicates,
likely label errors, and people who are likely in a test set:

  python -m launch.prepare_data --input=faces.zip --output=data/mine \
    --model=out/model --test_set=lfw_112.zip

Faces drawn by a program, to try the rest without any data:

  python -m launch.prepare_data --source=synthetic --num_identities=200 \
    --images_per_identity=20 --seed=0 --output=data/synthetic

Nothing is dropped in silence: OUTPUT/report has the counts, the rejected files
with their reasons, exact duplicates and pictures. An interrupted run goes on
where it was when the same command is given again.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_SOURCE = flags.DEFINE_enum(
  'source',
  'folder',
  ['folder', 'recordio', 'bin', 'tfds', 'synthetic'],
  'Form of the faces.',
)
_INPUT = shared_flags.input_paths()
_LIST = flags.DEFINE_string(
  'list', None, "Lines of 'path identity', or an .lst of im2rec (folder)."
)
_SPLIT = flags.DEFINE_string('split', 'train', 'Split to read (tfds).')
_IMAGE_FEATURE = flags.DEFINE_string(
  'image_feature', 'image', 'Feature that holds the image (tfds).'
)
_LABEL_FEATURE = flags.DEFINE_string(
  'label_feature', 'label', 'Feature that says whom it shows (tfds).'
)
_EXCLUDE = flags.DEFINE_list(
  'exclude', [], 'Lists of one identity, or IDENTITY/file, a line.'
)
_ALIGN = flags.DEFINE_enum(
  'align',
  'none',
  ['none', 'mtcnn', 'landmarks'],
  'How photos become crops; none: they are crops of --image_size.',
)
_LANDMARKS = flags.DEFINE_string(
  'landmarks', None, 'List of five landmarks a photo (align=landmarks).'
)
_LANDMARKS_SCALE = flags.DEFINE_float(
  'landmarks_scale',
  1.0,
  'Size of the photos, divided by that of the photos the list is of.',
  lower_bound=1e-3,
)
_NO_FACE = flags.DEFINE_enum(
  'no_face',
  'reject',
  ['reject', 'center'],
  'Photos without a face found: list them, or cut out the middle and count.',
)
_IMAGE_SIZE = flags.DEFINE_string(
  'image_size', '112x112', 'HEIGHTxWIDTH of the crops.'
)
_MIN_IMAGES = flags.DEFINE_integer(
  'min_images',
  None,
  'Identities with fewer good images are rejected; default 2, bin 1.',
  lower_bound=1,
)
_NUM_IDENTITIES = flags.DEFINE_integer(
  'num_identities', 200, 'People to draw (synthetic).', lower_bound=1
)
_IMAGES_PER_IDENTITY = flags.DEFINE_integer(
  'images_per_identity', 20, 'Images of each (synthetic).', lower_bound=1
)
_SEED = shared_flags.seed()
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()
_MODEL = shared_flags.model()
_EMBEDDINGS = shared_flags.embeddings()
_TEST_SET = shared_flags.test_set()
_TEST_EMBEDDINGS = shared_flags.test_embeddings()

# Where a flag has a meaning; elsewhere it is refused rather than ignored.
_READ = ('folder', 'recordio', 'bin', 'tfds')
_BELONGS_TO = {
  'input': ('source', _READ),
  'exclude': ('source', _READ),
  'align': ('source', _READ),
  'image_size': ('source', _READ),
  'min_images': ('source', _READ),
  'list': ('source', ('folder',)),
  'split': ('source', ('tfds',)),
  'image_feature': ('source', ('tfds',)),
  'label_feature': ('source', ('tfds',)),
  'num_identities': ('source', ('synthetic',)),
  'images_per_identity': ('source', ('synthetic',)),
  'seed': ('source', ('synthetic',)),
  'landmarks': ('align', ('landmarks',)),
  'landmarks_scale': ('align', ('landmarks',)),
  'no_face': ('align', ('mtcnn', 'landmarks')),
}


def _check_flags(argv: Sequence[str]) -> None:
  """Raises UsageError for a flag that this call would not read."""
  from facejax.errors import UsageError

  if argv:
    raise UsageError(
      f'unexpected argument {argv[0]!r}: name inputs with --input=A,B'
    )
  if not _OUTPUT.value:
    raise UsageError('--output is missing: name the folder to make')
  for name, (other, values) in _BELONGS_TO.items():
    value = flags.FLAGS[other].value
    if flags.FLAGS[name].present and value not in values:
      homes = ' or '.join(f'--{other}={home}' for home in values)
      raise UsageError(f'--{name} belongs to {homes}, not {value}')


def _make_aligner(image_size: tuple[int, int]) -> Any:
  """What cuts the crops, None where there is nothing to cut."""
  from facejax.preparation import opening

  return opening.make_aligner(
    _ALIGN.value,
    image_size,
    landmarks=_LANDMARKS.value,
    landmarks_scale=_LANDMARKS_SCALE.value,
    fallback=_NO_FACE.value == 'center',
  )


def _open_source() -> Any:
  """The source that the flags describe."""
  from facejax.preparation import opening, sources

  if _SOURCE.value == 'synthetic':
    return sources.SyntheticSource(
      _NUM_IDENTITIES.value, _IMAGES_PER_IDENTITY.value, seed=_SEED.value or 0
    )
  return opening.open_source(
    _SOURCE.value,
    _INPUT.value,
    image_list=_LIST.value,
    split=_SPLIT.value,
    image_feature=_IMAGE_FEATURE.value,
    label_feature=_LABEL_FEATURE.value,
  )


def _judges() -> dict[str, str | None] | None:
  """What is to judge the set when it is prepared, None where nothing is."""
  given = {
    'model': _MODEL.value,
    'embeddings': _EMBEDDINGS.value,
    'test_data': _TEST_SET.value,
    'test_embeddings': _TEST_EMBEDDINGS.value,
  }
  if not any(given.values()):
    return None
  from facejax.preparation import embedding_check

  embedding_check.check_arguments(**given)
  return given


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Prepares the set that the flags describe."""
  from facejax.preparation import exclusion, prepare

  _check_flags(argv)
  judges = _judges()
  image_size = prepare.parse_size(_IMAGE_SIZE.value)
  few = 2 if _SOURCE.value not in ('bin', 'synthetic') else 1
  result = prepare.prepare(
    _open_source(),
    _OUTPUT.value,
    exclusion=exclusion.read_exclusion(_EXCLUDE.value),
    image_size=image_size,
    min_images=few if _MIN_IMAGES.value is None else _MIN_IMAGES.value,
    aligner=_make_aligner(image_size),
    overwrite=_OVERWRITE.value,
  )
  if judges is None:
    return result
  from facejax.preparation import embedding_check

  return result | embedding_check.check_embeddings(
    result['output'], report=result['report'], **judges
  )


if __name__ == '__main__':
  run.run(main)
