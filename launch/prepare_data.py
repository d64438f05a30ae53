"""Prepares a set of faces for training: checked, numbered, in a few files.

Folders or zip files of IDENTITY/image.jpg, aligned crops, become ArrayRecord
shards. Folders of one name are one person over all inputs. The bytes of a good
JPEG are kept; other formats are encoded anew. What cannot be used is listed
with its reason in manifest.json:

  python -m launch.prepare_data --source=folder \\
    --input=faces/celeba.zip,faces/more_people --output=data/mine

Leave out people or files, one name or NAME/file a line (for example the people
of a test set):

  python -m launch.prepare_data --source=folder --input=faces.zip \\
    --exclude=names_in_lfw.txt --output=data/clean

Faces drawn by a program, to try the rest without any data:

  python -m launch.prepare_data --source=synthetic --num_identities=200 \\
    --images_per_identity=20 --seed=0 --output=data/synthetic
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_SOURCE = flags.DEFINE_enum(
  'source', 'folder', ['folder', 'synthetic'], 'Where the faces come from.'
)
_INPUT = flags.DEFINE_list(
  'input', [], 'Folders and zip files, with a comma between them.'
)
_EXCLUDE = flags.DEFINE_string(
  'exclude', None, 'File with one identity, or IDENTITY/file, a line.'
)
_IMAGE_SIZE = flags.DEFINE_string(
  'image_size', '112x112', 'HEIGHTxWIDTH that every image must have.'
)
_MIN_IMAGES = flags.DEFINE_integer(
  'min_images',
  2,
  'Identities with fewer good images are rejected.',
  lower_bound=1,
)
_NUM_IDENTITIES = flags.DEFINE_integer(
  'num_identities', 200, 'People to draw (synthetic).', lower_bound=1
)
_IMAGES_PER_IDENTITY = flags.DEFINE_integer(
  'images_per_identity', 20, 'Images of each (synthetic).', lower_bound=1
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Which people are drawn (synthetic).', lower_bound=0
)
_OUTPUT = shared_flags.output()
_OVERWRITE = shared_flags.overwrite()

# Flags of one source; the others refuse them rather than ignore them.
_FLAGS_OF = {
  'folder': ('input', 'exclude', 'min_images', 'image_size'),
  'synthetic': ('num_identities', 'images_per_identity', 'seed'),
}


def _check_flags(argv: Sequence[str]) -> None:
  """Raises UsageError for a flag that this source would not read."""
  from facejax.errors import UsageError

  if argv:
    raise UsageError(
      f'unexpected argument {argv[0]!r}: name inputs with --input=A,B'
    )
  if not _OUTPUT.value:
    raise UsageError('--output is missing: name the folder to make')
  for source, names in _FLAGS_OF.items():
    for name in names:
      if source != _SOURCE.value and flags.FLAGS[name].present:
        raise UsageError(
          f'--{name} belongs to --source={source}, not {_SOURCE.value}'
        )


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Prepares the set that the flags describe."""
  from facejax.preparation import exclusion, prepare, sources

  _check_flags(argv)
  if _SOURCE.value == 'synthetic':
    return prepare.prepare(
      sources.SyntheticSource(
        _NUM_IDENTITIES.value, _IMAGES_PER_IDENTITY.value, seed=_SEED.value
      ),
      _OUTPUT.value,
      min_images=1,
      overwrite=_OVERWRITE.value,
    )
  return prepare.prepare(
    sources.FolderSource(_INPUT.value),
    _OUTPUT.value,
    exclusion=exclusion.read_exclusion(_EXCLUDE.value)
    if _EXCLUDE.value
    else None,
    image_size=prepare.parse_size(_IMAGE_SIZE.value),
    min_images=_MIN_IMAGES.value,
    overwrite=_OVERWRITE.value,
  )


if __name__ == '__main__':
  run.run(main)
