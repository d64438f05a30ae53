"""A user's table of attributes: what is known about images or about people."""

import csv
import dataclasses
import io
import posixpath
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from facejax.array_typing import Int
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike

NAME = 'name'
MAX_VALUES = 50  # a column with more is an age or a number, and no grouping
UNKNOWN = -1
_DELIMITERS = '\t;,'


@dataclasses.dataclass(frozen=True)
class Groups:
  """Images grouped by an attribute.

  Attributes:
    values: what the attribute may be, sorted; the V groups. A group may have
      no image.
    labels: int [N], the group of every image, -1 where it is not known.
  """

  values: tuple[str, ...]
  labels: Int[np.ndarray, ' N']

  def counts(self) -> Int[np.ndarray, ' V']:
    """Images of each group."""
    known = self.labels[self.labels != UNKNOWN]
    return np.bincount(known, minlength=len(self.values))


@dataclasses.dataclass(frozen=True)
class Attributes:
  """Attributes of images, of people, or of both, by name.

  Attributes:
    path: where they were read.
    names: of images, or of the folders of people.
    columns: by attribute, its value by name; a name whose cell is empty is
      not there.
  """

  path: str
  names: frozenset[str]
  columns: Mapping[str, Mapping[str, str]]

  def groups(self, column: str, images: Sequence[str]) -> Groups:
    """Groups of images, for any protocol.

    An image has the value of its own line; if there is none, that of the
    innermost of its folders that has one, which is its person.

    Args:
      column: an attribute.
      images: names, '/'-separated.
    """
    known = self.columns[column]
    values = tuple(sorted({*known.values()}))
    place = {value: number for number, value in enumerate(values)}
    labels = [
      next((place[known[key]] for key in _keys(x) if key in known), UNKNOWN)
      for x in images
    ]
    return Groups(values, np.array(labels, np.int64))

  def num_used(self, images: Sequence[str]) -> int:
    """How many of the names are those of images or of their folders."""
    return len(self.names & {key for name in images for key in _keys(name)})

  def check(self, images: Sequence[str]) -> None:
    """Refuses a table that speaks of other images.

    Raises:
      DataError: it names none of them.
    """
    if not self.num_used(images):
      raise DataError(
        f'{self.path}: none of its {len(self.names)} names, such as '
        f'{min(self.names)}, is an image of the list or a folder of one, such '
        f'as {images[0]}'
      )


def _keys(image: str) -> Iterator[str]:
  """Names under which a table may speak of an image, its own first."""
  yield image
  yield from reversed(image.split('/')[:-1])


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
  """Stripped cells of every line that has some, with the line's number."""
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except OSError as error:
    raise DataError(
      f'{path}: the attributes cannot be read ({error.strerror or error})'
    ) from None
  except UnicodeDecodeError as error:
    line = error.object[: error.start].count(b'\n') + 1
    raise DataError(
      f'{path}, line {line}: is not UTF-8 text: save the table as UTF-8'
    ) from None
  header = text.split('\n', 1)[0]
  delimiter = max(_DELIMITERS, key=header.count)
  reader = csv.reader(io.StringIO(text, ''), delimiter=delimiter, strict=True)
  try:
    for row in reader:
      cells = [cell.strip() for cell in row]
      if any(cells):
        yield reader.line_num, cells
  except csv.Error as error:
    raise DataError(f'{path}, line {reader.line_num}: {error}') from None


def _chosen(
  path: Path, header: Sequence[str], columns: Sequence[str] | None
) -> list[str]:
  """The columns to read, of a header that is as it should be."""
  for name in header:
    if not name or header.count(name) > 1:
      raise DataError(
        f'{path}: a column is called {name!r}, '
        f'{"twice" if name else "and needs a name"}'
      )
  if NAME not in header:
    raise DataError(
      f'{path} has no column {NAME!r} (the image, or the folder of a person), '
      f'only {", ".join(header)}'
    )
  there = [name for name in header if name != NAME]
  chosen = there if columns is None else list(dict.fromkeys(columns))
  for name in chosen:
    if name not in there:
      raise UsageError(
        f'{path} has no attribute {name!r}: use {" or ".join(there)}'
      )
  if not chosen:
    raise DataError(f'{path} has no column beside {NAME!r}')
  return chosen


def read_attributes(
  path: PathLike, *, columns: Sequence[str] | None = None
) -> Attributes:
  """Reads a table of attributes.

  Args:
    path: UTF-8 text with a header; its fields are separated by commas,
      semicolons or tabs, whichever the header has most of. The column 'name'
      holds an image as the pair list names it, or the folder of a person;
      every other column is an attribute. An empty cell is not known.
    columns: attributes to read; None reads them all.

  Raises:
    DataError: the table cannot be read, a line does not fit, a name stands
      there twice, or an attribute has more than 50 values; says where.
    UsageError: a column that was asked for is not there.
  """
  path = Path(path)
  rows = _rows(path)
  _, header = next(rows, (0, None))
  if header is None:
    raise DataError(
      f'{path} is empty: its first line must name the columns, {NAME!r} and '
      'the attributes'
    )
  chosen = _chosen(path, header, columns)
  lines: dict[str, int] = {}
  values: dict[str, dict[str, str]] = {column: {} for column in chosen}
  for number, cells in rows:
    row = _row(f'{path}, line {number}', header, cells)
    name = posixpath.normpath(row[NAME])
    if name in lines:
      raise DataError(
        f'{path}, line {number}: {name} stands in line {lines[name]} already'
      )
    lines[name] = number
    for column in chosen:
      if row[column]:
        values[column][name] = row[column]
  if not lines:
    raise DataError(f'{path} has no line below its header')
  _check_values(path, values)
  return Attributes(str(path), frozenset(lines), values)


def _row(
  where: str, header: Sequence[str], cells: Sequence[str]
) -> dict[str, str]:
  """The cells of a line by column."""
  if len(cells) != len(header):
    raise DataError(
      f'{where}: has {len(cells)} fields, the header has {len(header)}'
    )
  row = dict(zip(header, cells, strict=True))
  if not row[NAME]:
    raise DataError(f'{where}: the {NAME} is empty')
  return row


def _check_values(path: Path, values: Mapping[str, Mapping[str, str]]) -> None:
  """Refuses attributes that are no groups."""
  for column, known in values.items():
    different = {*known.values()}
    if len(different) > MAX_VALUES:
      raise DataError(
        f'{path}: {column} has {len(different)} different values, more than '
        f'{MAX_VALUES}: put them into groups, or choose other columns with '
        '--attribute_columns'
      )
    if not different:
      raise DataError(f'{path}: every cell of {column} is empty')
