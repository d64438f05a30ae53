"""Small zips and tars, good and bad, for tests of what reads them."""

import io
import pathlib
import tarfile
import zipfile
from collections.abc import Mapping
from typing import Any


def write_files(
  root: pathlib.Path, members: Mapping[str, bytes]
) -> pathlib.Path:
  """Writes files below a folder."""
  for name, data in members.items():
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
  return root


def write_zip(
  path: pathlib.Path,
  members: Mapping[str, bytes],
  compression: int = zipfile.ZIP_STORED,
) -> pathlib.Path:
  """Writes a zip of the given files."""
  with zipfile.ZipFile(path, 'w', compression) as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return path


def tar_entry(name: str, **fields: Any) -> tarfile.TarInfo:
  """A header with these fields, such as `type` and `linkname`."""
  info = tarfile.TarInfo(name)
  for field, value in fields.items():
    setattr(info, field, value)
  return info


def write_tar(
  path: pathlib.Path,
  members: Mapping[str, bytes],
  *entries: tarfile.TarInfo,
  mode: str = 'w',
  tar_format: int = tarfile.PAX_FORMAT,
) -> pathlib.Path:
  """Writes a tar of the given files, then of bare headers."""
  with tarfile.open(path, mode, format=tar_format) as archive:
    for name, data in members.items():
      archive.addfile(tar_entry(name, size=len(data)), io.BytesIO(data))
    for entry in entries:
      archive.addfile(entry)
  return path
