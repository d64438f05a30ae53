"""Makes a prepared set of a source: whole, or not at all."""

import itertools
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import tensorflow_datasets as tfds

from facejax.data.manifest import MANIFEST
from facejax.errors import UsageError
from facejax.files import Path, PathLike
from facejax.preparation import draft, report, writing
from facejax.preparation.aligners import Aligner
from facejax.preparation.collect import collect
from facejax.preparation.exclusion import Exclusion
from facejax.preparation.sources import FaceSource

DATASET, SPLIT = 'face_folder', 'train'
_RESULT = (
  'num_images',
  'num_identities',
  'num_rejected',
  'num_fallback',
  'num_excluded',
  'bytes',
)
_SHOWN = 5  # names in a note on stderr; the lists have them all


def parse_size(text: str) -> tuple[int, int]:
  """'112x96' to (112, 96), height first.

  Raises:
    UsageError: `text` is not of that form.
  """
  match = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', text)
  if not match:
    raise UsageError(f'image size {text!r}: use HEIGHTxWIDTH, such as 112x112')
  return int(match[1]), int(match[2])


def _check_output(output: Path, overwrite: bool) -> None:
  """--overwrite must never delete anything but a prepared set."""
  if '://' in os.fspath(output):
    raise UsageError(
      f'{output}: shards can be written to local disks alone; prepare the set '
      'there and copy the folder, or mount the bucket'
    )
  if not output.exists() or (output.is_dir() and not any(output.iterdir())):
    return
  if not overwrite:
    raise UsageError(f'{output} already exists: choose another folder')
  if not (output / MANIFEST).exists():
    raise UsageError(
      f'{output} is no prepared set, so it is not overwritten: choose another '
      'folder'
    )


def _note(what: str, number: int, names: Sequence[str] = ()) -> None:
  """A line on stderr about `number` things, a few of them by name."""
  if number:
    shown = ', '.join(draft.printable(name) for name in names[:_SHOWN])
    more = ' and more' if number > len(names[:_SHOWN]) and names else ''
    colon = ': ' if names else ''
    print(f'note: {number} {what}{colon}{shown}{more}', file=sys.stderr)


def _say_what_is_missing(
  directory: Path, manifest: dict[str, Any], summary: dict[str, Any]
) -> None:
  with (directory / report.FOLDER / draft.REJECTED).open('r') as file:
    rows = list(itertools.islice(file, 1, 1 + _SHOWN))
  unmatched = manifest['exclusions_unmatched']
  _note(
    'entries of the exclusion list match nothing', len(unmatched), unmatched
  )
  _note(
    f'identities have fewer than {manifest["min_images"]} good images',
    manifest['num_small_identities'],
  )
  _note(
    'images are rejected (report/rejected.tsv)',
    manifest['num_rejected'],
    [row.split('\t')[1] for row in rows],
  )
  _note('images were cut without a face found', manifest['num_fallback'])
  _note(
    'images repeat another byte for byte (report/duplicates.tsv)',
    summary['num_duplicates'],
  )
  for sentence in manifest['claims']['notes']:
    print(f'note: {sentence}', file=sys.stderr)


def prepare(
  source: FaceSource,
  output: PathLike,
  *,
  exclusion: Exclusion | None = None,
  image_size: tuple[int, int] = (112, 112),
  min_images: int = 2,
  aligner: Aligner | None = None,
  overwrite: bool = False,
) -> dict[str, Any]:
  """Checks all images of a source and writes the good ones as a set.

  The set appears at `output` whole or not at all. What an interrupted call
  has done stands in a hidden folder beside it, and the same call goes on from
  there.

  Args:
    source: the faces.
    output: folder to make, on a local disk.
    exclusion: identities and files to leave out.
    image_size: (height, width) that every crop must have, pixels.
    min_images: fewer good images than this and the identity is rejected.
    aligner: cuts crops of `image_size` from photos; without one the images
      are the crops.
    overwrite: whether a prepared set that stands there is replaced.

  Returns:
    num_images, num_identities, num_rejected, num_fallback, num_excluded,
    num_duplicates, bytes (of the JPEG files), output and report, its folder.

  Raises:
    UsageError: `output` exists, or is no prepared set that could be replaced,
      or is not local.
    DataError: nothing is left to write, or the disk is full.
  """
  output = Path(output)
  _check_output(output, overwrite)
  with draft.draft_directory(output) as directory:
    manifest = collect(
      directory,
      source,
      exclusion=exclusion or Exclusion(),
      image_size=tuple(image_size),
      min_images=min_images,
      aligner=aligner,
      dataset=DATASET,
      split=SPLIT,
    )
    summary = report.write_report(directory, manifest)
    split = writing.make_split(directory, DATASET, SPLIT, manifest['shards'])
    tfds.folder_dataset.write_metadata(
      data_dir=directory,
      features=writing.make_features(image_size, manifest['num_identities']),
      split_infos=[split],
      description='Faces of IDENTITY/image.jpg, prepared by facejax.',
      check_data=False,
    )
    _say_what_is_missing(directory, manifest, summary)
  return {key: manifest[key] for key in _RESULT} | {
    'num_duplicates': summary['num_duplicates'],
    'output': str(output),
    'report': str(output / report.FOLDER),
  }
