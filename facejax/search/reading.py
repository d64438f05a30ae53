"""The committed files of an index: mapped, measured, checked."""

import os
import zlib

import numpy as np

from facejax import files
from facejax.errors import DataError
from facejax.files import Path
from facejax.search.appending import committed_crc32
from facejax.search.manifest import Manifest

_HELP = 'restore the index from a copy or build it again'


def missing(error: FileNotFoundError) -> DataError:
  """What to tell the user of a file that is not there."""
  return DataError(f'{error.filename} is missing: {_HELP}')


def check_sizes(index: Path, manifest: Manifest) -> None:
  """Refuses files with less than is committed.

  Raises:
    DataError: a file is cut short.
    FileNotFoundError: one is missing, as after a switch of generations.
  """
  folder = index / manifest.folder
  for name, state in manifest.files.items():
    size = os.stat(folder / name).st_size
    if size < state.size:
      raise DataError(
        f'{folder / name} is cut short: {size} of {state.size} committed '
        f'bytes; {_HELP}'
      )


def map_files(index: Path, manifest: Manifest) -> dict[str, np.ndarray]:
  """The committed part of all files, mapped and read-only.

  The maps stay whole whatever a writer does: it appends behind them, or makes
  a new generation. Where an index has no such file there is an empty array.

  Raises:
    DataError: a file is cut short.
    FileNotFoundError: one is missing, as after a switch of generations.
  """
  check_sizes(index, manifest)
  arrays = {}
  for name, state in manifest.files.items():
    column = manifest.columns.get(name)
    shape = (state.size // (column.row_bytes if column else 1),)
    if column and column.length:
      shape = (*shape, column.length)
    dtype = column.dtype if column else '|u1'
    if state.size:
      path = index / manifest.folder / name
      mapped = np.memmap(path, dtype, 'r', shape=shape)
    else:  # nothing cannot be mapped
      mapped = np.empty(shape, dtype)
    arrays[name] = np.asarray(mapped)
  return arrays


def read_calibration(index: Path, manifest: Manifest) -> bytes:
  """The content of the calibration's file.

  Raises:
    DataError: it is not what was written.
    FileNotFoundError: it is missing, as after a newer calibration.
  """
  about = manifest.calibration
  path = index / str(about.get('file'))
  content = open_and_read(path)
  if zlib.crc32(content) != about.get('crc32'):
    raise DataError(f'{path} does not fit its checksum: calibrate again')
  return content


def open_and_read(path: Path) -> bytes:
  """All bytes of a file."""
  with open(path, 'rb') as file:
    return file.read()


def check_contents(index: Path, manifest: Manifest) -> None:
  """Reads every committed byte and compares checksums.

  Raises:
    DataError: names the file that is not what was written.
  """
  folder = index / manifest.folder
  try:
    check_sizes(index, manifest)
    for name, state in files.progress(
      manifest.files.items(), desc='checking', unit='file', delay=2
    ):
      if committed_crc32(folder / name, state.size) != state.crc32:
        raise DataError(f'{folder / name} does not fit its checksum: {_HELP}')
    if manifest.calibration:
      read_calibration(index, manifest)
  except FileNotFoundError as error:
    raise missing(error) from None
