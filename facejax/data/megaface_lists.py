"""Lists of MegaFace: templates of the devkit, and images known to be noise."""

import collections
import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Bool
from facejax.data.identification_lists import read_identity_list
from facejax.data.names import NameTable
from facejax.data.pair_lists.lines import numbered_lines
from facejax.errors import DataError
from facejax.files import Path, PathLike


@dataclasses.dataclass(frozen=True)
class TemplateList:
  """Images in the order of a list.

  Attributes:
    names: of the N images; none stands there twice.
    identities: N names of people; None where the list tells none.
  """

  names: Sequence[str]
  identities: Sequence[str] | None = None


def _strings(content: dict[str, Any], key: str, path: Path) -> list[str]:
  """A list of names in a JSON object; numbers become text."""
  values = content[key]
  if not isinstance(values, list) or not all(
    isinstance(value, str | int) for value in values
  ):
    raise DataError(f'{path}: {key!r} must be a list of names')
  return [str(value) for value in values]


def _read_json(path: Path) -> TemplateList:
  """A list of the devkit: 'path' and, for probes, 'id'."""
  content = files.read_json(path)
  if not isinstance(content, dict) or 'path' not in content:
    raise DataError(
      f"{path}: expected the devkit's form, an object with the lists 'path' "
      "and, for probes, 'id'"
    )
  names = _strings(content, 'path', path)
  if 'id' not in content:
    return TemplateList(names)
  identities = _strings(content, 'id', path)
  if len(identities) != len(names):
    raise DataError(
      f"{path}: 'path' has {len(names)} entries, 'id' {len(identities)}"
    )
  return TemplateList(names, identities)


def _check_names(names: Sequence[str], path: Path) -> None:
  """Refuses a list without images, or with one twice."""
  if not len(names):
    raise DataError(f'{path}: names no image')
  if len(set(names)) < len(names):
    (name, times), *_ = collections.Counter(names).most_common(1)
    raise DataError(f'{path}: {name} stands there {times} times')


def _is_json(path: Path) -> bool:
  """Whether a list is of the devkit's form, by its first byte."""
  try:
    with path.open('rb') as file:
      return file.read(64).lstrip(b'\xef\xbb\xbf \t\r\n').startswith(b'{')
  except OSError as error:
    raise DataError(
      f'{path}: the list cannot be read ({error.strerror or error})'
    ) from None


def read_probe_list(path: PathLike) -> TemplateList:
  """Reads whose images are looked up.

  Args:
    path: JSON of the devkit ('path' and 'id'), or text of one image a line,
      'path identity' or a path whose folder is the identity.

  Raises:
    DataError: the list cannot be read, or is of another form.
  """
  path = Path(path)
  if not _is_json(path):
    found = read_identity_list(path)
    return TemplateList(found.names, found.identities)
  found = _read_json(path)
  _check_names(found.names, path)
  return found


def read_distractor_list(path: PathLike) -> TemplateList:
  """Reads which images distract, and in which order.

  Args:
    path: JSON of the devkit ('path'), or text of one path a line.

  Raises:
    DataError: the list cannot be read, or is of another form.
  """
  path = Path(path)
  if _is_json(path):
    names = _read_json(path).names
  else:
    names = [line for _, line in numbered_lines(path)]
  _check_names(names, path)
  return TemplateList(NameTable.of(names))


def write_template_list(
  path: PathLike,
  names: Iterable[str],
  identities: Iterable[str] | None = None,
) -> None:
  """Writes a list as the devkit reads it, JSON of 'path' and 'id'."""
  content = {'path': list(names)}
  if identities is not None:
    content['id'] = list(identities)
  files.write_bytes(path, json.dumps(content).encode())


def read_noise_list(path: PathLike) -> list[str]:
  """Reads which images are known to be noise.

  Args:
    path: text of one image a line, its path or the end of it (FaceScrub's list
      has file names, MegaFace's the last three parts); behind a tab where the
      line has one. Lines that begin with # are comments.

  Raises:
    DataError: the list cannot be read, or names no image.
  """
  path = Path(path)
  lines = [line for _, line in numbered_lines(path) if line[0] != '#']
  names = [
    line.split('\t')[1 if '\t' in line else 0].strip().strip('/')
    for line in lines
  ]
  if not any(names):
    raise DataError(f'{path}: names no image')
  return [name for name in names if name]


def mark_noise(
  names: Iterable[str], noise: Sequence[str]
) -> tuple[Bool[np.ndarray, ' N'], list[str]]:
  """Which images a noise list names.

  Args:
    names: N images.
    noise: of `read_noise_list`; an entry names the images that end with it.

  Returns:
    bool [N], and the entries that name none.
  """
  entries = set(noise)
  lengths = sorted({entry.count('/') + 1 for entry in entries})
  found: set[str] = set()
  marks = []
  for name in names:
    parts = name.split('/')
    tails = {'/'.join(parts[-length:]) for length in lengths} & entries
    found |= tails
    marks.append(bool(tails))
  return np.array(marks, bool), sorted(entries - found)
