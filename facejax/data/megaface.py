"""Feature files of MegaFace's devkit: one small matrix for each image.

A file is what OpenCV keeps of a matrix of one column: four little-endian int32
(rows, columns, bytes of a row, type) and the values, float32. It stands beside
where its image would, under the image's name and an ending that names the
algorithm: NAME/NAME_12.png_facejax.bin.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from facejax.array_typing import Float
from facejax.data.archives import Archive, is_hidden
from facejax.data.images import EXTENSIONS
from facejax.data.members import safe_name
from facejax.data.names import NameTable
from facejax.errors import DataError, UsageError
from facejax.files import Path

_HEADER = struct.Struct('<4i')
_VALUE_BYTES, _FLOAT32 = 4, 5  # CV_32F
_ENDING = '.bin'
# An algorithm may have '_' in its name; what stands before it is an image.
_IMAGE_AND_SUFFIX = re.compile(
  f'.*({"|".join(map(re.escape, EXTENSIONS))})(?P<suffix>_.*)', re.IGNORECASE
)
_PER_THREAD = 64  # files that a thread is given at a time


def encode_feature(feature: Float[np.ndarray, ' D']) -> bytes:
  """A feature as a file of the devkit."""
  header = _HEADER.pack(len(feature), 1, _VALUE_BYTES, _FLOAT32)
  return header + np.asarray(feature, '<f4').tobytes()


def decode_feature(data: bytes, where: str) -> Float[np.ndarray, ' D']:
  """The feature that a file of the devkit holds.

  Args:
    data: the file.
    where: what to call it in an error.

  Returns:
    float32 [D], finite.

  Raises:
    DataError: cut short, too long, of another kind, or not finite.
  """
  if len(data) < _HEADER.size:
    raise DataError(
      f'{where}: has {len(data)} bytes, fewer than the header of a feature file'
    )
  rows, columns, row_bytes, kind = _HEADER.unpack_from(data)
  if (
    rows < 1
    or (columns, row_bytes, kind) != (1, _VALUE_BYTES, _FLOAT32)
    or rows > len(data)
  ):
    raise DataError(
      f'{where}: begins with {rows}, {columns}, {row_bytes}, {kind}, where a '
      'feature file has its dimension, 1, 4, 5 (a column of float32)'
    )
  expected = _HEADER.size + rows * _VALUE_BYTES
  if len(data) != expected:
    raise DataError(
      f'{where}: has {len(data)} bytes, where {rows} values need {expected}'
    )
  feature = np.frombuffer(data, '<f4', offset=_HEADER.size).astype(np.float32)
  if not np.isfinite(feature).all():
    raise DataError(f'{where}: holds values that are not finite')
  return feature


def _suffix(name: str) -> str:
  """The end of a file's name that tells the algorithm, '_facejax.bin'."""
  base = name.rpartition('/')[2]
  match = _IMAGE_AND_SUFFIX.fullmatch(base)
  if match:
    return match['suffix']
  return '_' + base.rpartition('_')[2] if '_' in base else _ENDING


def find_features(
  names: Iterable[str], *, where: str, suffix: str | None = None
) -> tuple[NameTable, str]:
  """The images whose features an archive holds, sorted as their files are.

  Args:
    names: all files of the archive.
    where: what to call it in an error.
    suffix: how the files end, '_facejax.bin'; None takes the only ending that
      there is.

  Returns:
    Names of the images, and the ending.

  Raises:
    DataError: no file ends so.
    UsageError: there are several endings, and none was chosen.
  """
  found: list[str] = [] if suffix is None else [suffix]

  def images() -> Iterator[str]:
    for name in names:
      if is_hidden(name) or not name.endswith(suffix or _ENDING):
        continue
      ending = suffix or _suffix(name)
      if not found:
        found.append(ending)
      elif ending != found[0]:
        raise UsageError(
          f'{where} has features of several algorithms, *{found[0]} and '
          f'*{ending}: choose by the ending, --feature_suffix={found[0]}'
        )
      yield name[: len(name) - len(ending)]

  table = NameTable.of(images())
  if not len(table):
    raise DataError(f'{where} has no file *{suffix or _ENDING} of features')
  return table, found[0]


def read_features(
  archive: Archive,
  names: Sequence[str],
  *,
  suffix: str,
  where: str,
  dimension: int | None = None,
) -> Float[np.ndarray, 'N D']:
  """Reads the feature files of some images on threads.

  Args:
    archive: holds the files.
    names: N images, at least one.
    suffix: what their feature files have behind the image's name.
    where: what to call the archive in an error.
    dimension: D; None takes that of the first file.

  Returns:
    float32 [N, D].

  Raises:
    DataError: a file is missing, damaged, or of another dimension.
  """

  def read(start: int) -> list[np.ndarray]:
    return [
      decode_feature(archive.read(name + suffix), f'{where}/{name}{suffix}')
      for name in names[start : start + _PER_THREAD]
    ]

  rows: list[np.ndarray] = []
  with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 4)) as pool:
    for part in pool.map(read, range(0, len(names), _PER_THREAD)):
      rows += part
  dimension = len(rows[0]) if dimension is None else dimension
  for name, row in zip(names, rows, strict=True):
    if len(row) != dimension:
      raise DataError(
        f'{where}/{name}{suffix}: has {len(row)} values, where the others have '
        f'{dimension}'
      )
  return np.stack(rows)


def write_features(
  folder: Path,
  names: Sequence[str],
  features: Float[np.ndarray, 'N D'],
  *,
  suffix: str,
) -> None:
  """Writes a feature file for each image, below a folder.

  Whoever calls this puts the folder in its place when all are written.

  Args:
    folder: local; must not be read by others yet.
    names: N images, '/'-separated.
    features: float32 [N, D].
    suffix: of the files, '_facejax.bin'.

  Raises:
    DataError: a name leads out of the folder.
  """
  made: set[str] = set()
  for name, feature in zip(names, features, strict=True):
    path = os.path.join(folder, safe_name(name, str(folder)) + suffix)
    parent = os.path.dirname(path)
    if parent not in made:
      os.makedirs(parent, exist_ok=True)
      made.add(parent)
    with open(path, 'wb') as file:
      file.write(encode_feature(feature))
