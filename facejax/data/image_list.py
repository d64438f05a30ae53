"""Lists that say which image shows whom, where folders do not."""

import array
import dataclasses
import re
from collections.abc import Iterator, Sequence

import numpy as np

from facejax.array_typing import Int, Int32
from facejax.data.members import sorted_order
from facejax.data.names import NameTable
from facejax.data.numbering import NUMBER_WIDTH, Numbering
from facejax.data.remote import check_reachable
from facejax.data.text_lines import text_lines
from facejax.errors import DataError
from facejax.files import PathLike

_FORMS = (
  "expected 'path identity' (a tab between them where a path has blanks), or "
  "im2rec's 'index<TAB>label<TAB>path'"
)
_NUMBER = re.compile(r'[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?')


@dataclasses.dataclass(frozen=True)
class ImageList:
  """Images and whom they show, in the order of the file.

  Invariants: no path stands twice; names of identities are sorted and differ;
  `labels` index them.

  Attributes:
    paths: as the list gives them, './' taken off their front.
    identities: names, or numbers as '0000042'.
    labels: int32 [N], the identity of every path.
  """

  paths: NameTable
  identities: NameTable
  labels: Int32[np.ndarray, ' N']

  def __len__(self) -> int:
    return len(self.paths)


def _by_form(fields: Sequence[str]) -> tuple[str, str, bool]:
  """(path, identity, whether that is a number of im2rec) of a line's fields.

  Raises:
    ValueError: they are of no known form; says what is wrong.
  """
  if len(fields) >= 3:
    index, *labels, path = fields
    if not index.isdecimal() or not all(map(_NUMBER.fullmatch, labels)):
      raise ValueError(f'has {len(fields)} fields: {_FORMS}')
    # Of several labels the first is the identity, as arcface_torch reads it.
    label = float(labels[0])
    if not label.is_integer() or not 0 <= label < 1 << 31:
      raise ValueError(f'the label {labels[0]} is no whole number from 0 on')
    return path, f'{int(label):0{NUMBER_WIDTH}d}', True
  if len(fields) != 2:
    raise ValueError(_FORMS)
  return fields[0], fields[1], False


def _fields(line: str) -> list[str]:
  """By tabs where there are any, for paths may hold blanks; else by blanks."""
  if '\t' in line:
    return [field.strip() for field in line.split('\t')]
  return line.split()


def _parse(line: str) -> tuple[str, str, bool]:
  path, identity, is_number = _by_form(_fields(line))
  path = path.removeprefix('./')
  if not path or not identity:
    raise ValueError(f'a field is empty: {_FORMS}')
  if '..' in path.split('/'):
    raise ValueError(f'the path {path} leads out of the input')
  return path, identity, is_number


def read_image_list(path: PathLike) -> ImageList:
  """Reads a list file, local or remote.

  Args:
    path: text of one image a line: 'path identity', CelebA's form, separated
      by a tab or by blanks; or im2rec's .lst, 'index<TAB>label<TAB>path',
      whose numbers become names such as '0000042'. Blank lines and # comments
      are skipped.

  Returns:
    The list; paths may be whole or ends of whole ones.

  Raises:
    DataError: missing, empty, of another form or contradicting itself; names
      the line.
  """
  path = check_reachable(path)
  if path.is_dir() or not path.exists():
    raise DataError(f'{path} is not a file: give a list of images')
  people, lines = Numbering(), array.array('q')
  forms: set[bool] = set()

  def paths() -> Iterator[str]:
    for line, text in text_lines(path):
      if text.startswith('#'):
        continue
      try:
        name, identity, is_number = _parse(text)
        forms.add(is_number)
        if len(forms) > 1:
          raise ValueError(f'is of another form than those before: {_FORMS}')
      except ValueError as error:
        raise DataError(f'{path}: line {line}: {error}') from None
      people.add(identity)
      lines.append(line)
      yield name

  table = NameTable.of(paths())
  if not len(table):
    raise DataError(f'{path}: names no image: {_FORMS}')
  _check_unique(table, np.frombuffer(lines, np.int64), path)
  return ImageList(table, *people.finish())


def _check_unique(
  paths: NameTable, lines: Int[np.ndarray, ' N'], where: PathLike
) -> None:
  """Raises DataError where a path stands twice, for whichever identity."""
  before, place_before = None, 0
  for place in map(int, sorted_order(paths)):
    name = paths[place]
    if name == before:
      raise DataError(
        f'{where}: line {lines[place]}: {name} stands already in line '
        f'{lines[place_before]}: keep one of them'
      )
    before, place_before = name, place
