"""Turns a source of faces into a prepared set: check, number, write.

Two passes over the source, so that memory does not grow with the images: the
first decodes every one and decides what the set holds, hence the labels; the
second copies the bytes into the shards.
"""

import collections
import functools
import re
import sys
from collections.abc import Sequence
from typing import Any

from facejax import files
from facejax.data import records
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike
from facejax.preparation import checks
from facejax.preparation.checks import CheckedFile
from facejax.preparation.exclusion import Exclusion
from facejax.preparation.sources import FaceFile, FaceSource
from facejax.preparation.writing import (
  describe_shards,
  make_manifest,
  write,
)

_RESULT = (
  'num_images',
  'num_identities',
  'num_rejected',
  'num_excluded',
  'bytes',
)
_SHOWN = 5  # names in a note on stderr; the manifest has them all


def parse_size(text: str) -> tuple[int, int]:
  """'112x96' to (112, 96), height first.

  Raises:
    UsageError: `text` is not of that form.
  """
  match = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', text)
  if not match:
    raise UsageError(f'image size {text!r}: use HEIGHTxWIDTH, such as 112x112')
  return int(match[1]), int(match[2])


def prepare(
  source: FaceSource,
  output: PathLike,
  *,
  exclusion: Exclusion | None = None,
  image_size: tuple[int, int] = (112, 112),
  min_images: int = 2,
  overwrite: bool = False,
) -> dict[str, Any]:
  """Checks all images of a source and writes the good ones as a set.

  Identities are sorted by name, images within one by file name; the label is
  the index of the identity. The set appears at `output` whole or not at all.

  Args:
    source: the faces.
    output: folder to make.
    exclusion: identities and files to leave out.
    image_size: (height, width) that every image must have, pixels.
    min_images: fewer good images than this and the identity is rejected.
    overwrite: whether a prepared set that stands there is replaced.

  Returns:
    num_images, num_identities, num_rejected, num_excluded, bytes (of the
    JPEG files) and output.

  Raises:
    UsageError: `output` exists, or is no prepared set that could be replaced.
    DataError: nothing is left to write, or the disk is full.
  """
  exclusion = exclusion or Exclusion()
  _check_output(Path(output), overwrite)
  with files.new_directory(output, overwrite=overwrite) as directory:
    found = source.files()
    kept = [
      file
      for file in found
      if not exclusion.excludes(file.identity or '', file.path)
    ]
    _note('entries of the exclusion list match nothing', exclusion.unmatched)
    _check_some(kept, found, source)
    good, rejected = _check_files(source, kept, image_size, min_images)
    shards = write(directory, source, good, image_size=image_size)
    manifest = make_manifest(
      source, good, rejected, image_size=image_size, min_images=min_images
    ) | {
      'num_excluded': len(found) - len(kept),
      'excluded': {e: n for e, n in sorted(exclusion.counts.items()) if n},
      'exclusions_unmatched': exclusion.unmatched,
      'shards': describe_shards(directory, shards),
    }
    files.write_json(directory / records.MANIFEST, manifest)
    records.FaceRecords(directory)  # what cannot be read is not a set
  return {key: manifest[key] for key in _RESULT} | {'output': str(output)}


def _note(what: str, names: Sequence[str]) -> None:
  """A line on stderr about `names`, if there are any."""
  if names:
    shown = ', '.join(checks.printable(name) for name in names[:_SHOWN])
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    print(f'note: {len(names)} {what}: {shown}{more}', file=sys.stderr)


def _check_output(output: Path, overwrite: bool) -> None:
  """--overwrite must never delete anything but a prepared set."""
  if (
    overwrite
    and output.exists()
    and not (output / records.MANIFEST).exists()
    and (not output.is_dir() or any(output.iterdir()))
  ):
    raise UsageError(
      f'{output} is no prepared set, so it is not overwritten: choose another '
      'folder'
    )


def _check_some(
  kept: Sequence[FaceFile], found: Sequence[FaceFile], source: FaceSource
) -> None:
  where = ', '.join(source.names)
  if not found:
    raise DataError(
      f'{where}: has no images: expected IDENTITY/image.jpg (or .png, .bmp, '
      '.webp)'
    )
  if not kept:
    raise DataError(f'{where}: the exclusion list leaves no image')


def _check_files(
  source: FaceSource,
  candidates: Sequence[FaceFile],
  image_size: tuple[int, int],
  min_images: int,
) -> tuple[list[CheckedFile], list[CheckedFile]]:
  """Good files in the order of the set, and rejected ones."""
  candidates = sorted(
    candidates, key=lambda f: (f.identity or '', f.key, f.source, f.path)
  )
  check = functools.partial(
    checks.check_file, source, image_size=tuple(image_size)
  )
  good, rejected = [], []
  for checked in files.progress(
    checks.ordered_map(check, candidates),
    desc='checking',
    total=len(candidates),
    unit='img',
  ):
    (rejected if checked.reason else good).append(checked)
  counts = collections.Counter(c.file.identity for c in good)
  few = {name: n for name, n in counts.items() if n < min_images}
  rejected += [
    CheckedFile(
      c.file,
      reason=f'the identity has {few[c.file.identity]} good image(s), fewer '
      f'than min_images={min_images}',
    )
    for c in good
    if c.file.identity in few
  ]
  _note(f'identities have fewer than {min_images} good images', list(few))
  _note('images are rejected', [c.file.path for c in rejected])
  good = [c for c in good if c.file.identity not in few]
  if not good:
    first = rejected[0]
    raise DataError(
      f'{", ".join(source.names)}: no image is fit for the set: for example '
      f'{checks.printable(first.file.path)}: {first.reason}'
    )
  return good, rejected
