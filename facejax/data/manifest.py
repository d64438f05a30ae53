"""The manifest of a prepared set and the files beside its shards."""

import hashlib
from collections.abc import Sequence
from typing import Any

from facejax import files
from facejax.errors import DataError
from facejax.files import Path, PathLike

MANIFEST = 'manifest.json'
IDENTITIES = 'identities.txt'  # a name a line, in label order
IDENTITY_SIZES = 'identity_sizes.npy'  # int32 [K], images of each
FORMAT_VERSION = 2
_REQUIRED = (
  'format_version',
  'identities_checksum',
  'image_size',
  'num_identities',
  'num_images',
  'shards',
)


def identities_checksum(identities: Sequence[str]) -> str:
  """SHA-256 in hex of the names in label order: equal where labels agree."""
  return hashlib.sha256('\n'.join(identities).encode()).hexdigest()


def read_manifest(directory: PathLike) -> dict[str, Any]:
  """The manifest of a prepared set.

  Raises:
    DataError: there is no prepared set, or one of another format.
  """
  directory = Path(directory)
  if not directory.is_dir():
    raise DataError(f'{directory} is no folder: make it by launch.prepare_data')
  path = directory / MANIFEST
  if not path.exists():
    raise DataError(
      f'{directory} has no {MANIFEST}: it is no prepared set; make one by '
      'launch.prepare_data'
    )
  manifest = files.read_json(path)
  missing = [
    key
    for key in _REQUIRED
    if not isinstance(manifest, dict) or key not in manifest
  ]
  if missing:
    raise DataError(f'{path} lacks {", ".join(missing)}: prepare it again')
  if manifest['format_version'] != FORMAT_VERSION:
    raise DataError(
      f'{path} has format version {manifest["format_version"]}, this facejax '
      f'reads {FORMAT_VERSION}: prepare the set again'
    )
  return manifest
