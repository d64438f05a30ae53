r"""Builds an index of faces to search, adds to one, and keeps it in order.

Aligned faces, IDENTITY/image.jpg, in a folder, a zip or a prepared set:

  python -m launch.build_index --model=out/model --images=faces.zip \
    --output=out/index

A model with a hash layer (launch.add_hash) gives codes of L bits and, for the
second stage, vectors in float16 (--vectors=float32, int8 or none); any other
model gives vectors alone. An interrupted run goes on, and more faces are added,
with --add; names that are there already are not read again:

  python -m launch.build_index --add --images=more --output=out/index

Lists of what goes, a person or a name a line; the files shrink by --compact:

  python -m launch.build_index --remove=gone.txt --compact --output=out/index

So that a search can answer "unknown" at a wanted rate, calibrate with faces of
people who are not in the index, the more the better:

  python -m launch.build_index --calibration=strangers.zip --output=out/index

Codes for faiss, an IndexBinaryFlat with FILE.names beside it, and back:

  python -m launch.build_index --faiss=codes.faiss --output=out/index
  python -m launch.build_index --from_faiss=codes.faiss --output=out/codes

Several of these may be asked for at once; they are done in this order: remove,
add, calibrate, compact, export. Each is one commit or more, and what was
committed stays whatever happens. Other processes may search meanwhile. Images
that cannot be read are left out and listed in OUTPUT/rejected.tsv.

The result is the JSON object on the last line: num_templates, num_people,
num_added, num_present (names that were there already), num_removed,
num_rejected, bits, vectors, bytes (of all files), bytes_per_template (of code
and vector), seconds. docs/search.md says more.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import flags as shared_flags
from launch import run

_MODEL = shared_flags.model()
_IMAGES = shared_flags.images()
_OUTPUT = shared_flags.output()
_BATCH_SIZE = shared_flags.batch_size()
_VECTORS = flags.DEFINE_enum(
  'vectors',
  'float16',
  ['float32', 'float16', 'int8', 'none'],
  'How a new index keeps vectors for the second stage.',
)
_ADD = flags.DEFINE_bool('add', False, 'Add to the index at --output.')
_REMOVE = flags.DEFINE_string(
  'remove', None, 'List of people, or of names of templates, to remove.'
)
_CALIBRATION = shared_flags.calibration()
_COMPACT = flags.DEFINE_bool(
  'compact', False, 'Write the index anew without removed templates.'
)
_FAISS = flags.DEFINE_string(
  'faiss', None, 'File to write the codes to, for faiss.'
)
_FROM_FAISS = flags.DEFINE_string(
  'from_faiss', None, 'IndexBinaryFlat of faiss to build an index of.'
)


def _check_flags(argv: Sequence[str]) -> None:
  """Raises UsageError for flags that do not go together."""
  from facejax.errors import UsageError

  if argv:
    raise UsageError(f'unexpected argument {argv[0]!r}')
  if not _OUTPUT.value:
    raise UsageError('--output is missing: name the folder of the index')
  makes = bool(_FROM_FAISS.value) or bool(_IMAGES.value and not _ADD.value)
  if _ADD.value and not _IMAGES.value:
    raise UsageError('--add is of --images: name the faces to add')
  if _FROM_FAISS.value and (_IMAGES.value or _CALIBRATION.value):
    raise UsageError('--from_faiss brings codes alone: leave images out')
  if makes and _REMOVE.value:
    raise UsageError('--remove is of an index that is there: use --add with it')
  if flags.FLAGS['vectors'].present and (not makes or _FROM_FAISS.value):
    raise UsageError('--vectors belongs to a new index of --images')
  asked = (_REMOVE.value, _CALIBRATION.value, _COMPACT.value, _FAISS.value)
  if not (makes or _ADD.value or any(asked)):
    raise UsageError('nothing to do: give --images, or see --help')


def main(argv: Sequence[str]) -> dict[str, Any]:
  """Does to the index what the flags say."""
  _check_flags(argv)
  from facejax.evaluation import index_building

  return index_building.build(
    _OUTPUT.value,
    model=_MODEL.value,
    images=_IMAGES.value,
    add=_ADD.value,
    vectors=_VECTORS.value,
    remove=_REMOVE.value,
    calibration=_CALIBRATION.value,
    compact=_COMPACT.value,
    faiss=_FAISS.value,
    from_faiss=_FROM_FAISS.value,
    batch_size=_BATCH_SIZE.value,
  )


if __name__ == '__main__':
  run.run(main)
