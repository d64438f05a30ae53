"""The tables of IJB-B and IJB-C: pairs of templates, galleries and probes."""

import dataclasses
import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from facejax.array_typing import Bool, Int32
from facejax.data.ijb import identifier, misfit, numbered_lines
from facejax.errors import DataError
from facejax.files import Path, PathLike

_PAIR_FORM = "'template template 0|1' with whole numbers"
_SUBJECT_FORM = "'template,subject,...' with whole numbers"


@dataclasses.dataclass(frozen=True)
class TemplatePairs:
  """Pairs of templates to compare.

  Attributes:
    first: int32 [P], numbers of templates.
    second: int32 [P].
    same: bool [P], whether a pair shows one person.
  """

  first: Int32[np.ndarray, ' P']
  second: Int32[np.ndarray, ' P']
  same: Bool[np.ndarray, ' P']


@dataclasses.dataclass(frozen=True)
class TemplateSubjects:
  """Who is seen in the templates of a gallery or of the probes.

  Attributes:
    templates: int32 [T], rising.
    subjects: int32 [T].
  """

  templates: Int32[np.ndarray, ' T']
  subjects: Int32[np.ndarray, ' T']


def _place(path: Path, row: int) -> tuple[str, str]:
  """Where a row stands, and its text; blank lines are not counted."""
  return next(itertools.islice(numbered_lines(path), row, None))


def _load_numbers(
  path: Path,
  form: str,
  check: Callable[[str], None],
  *,
  header: int = 0,
  **options: Any,
) -> Int32[np.ndarray, 'R C']:
  """Whole numbers of a big table, by NumPy's own parser.

  That one knows no lines, so a file that it refuses is searched once more for
  the line that `check` refuses, too.

  Args:
    path: the file.
    form: what a line should look like.
    check: raises ValueError for the text of a line that does not fit.
    header: lines above the rows.
    **options: of `numpy.loadtxt`.
  """
  try:
    with path.open('rb') as file, warnings.catch_warnings():
      # That there are no rows is said by an error below.
      warnings.simplefilter('ignore', UserWarning)
      rows = np.loadtxt(
        file, np.int32, comments=None, ndmin=2, skiprows=header, **options
      )
  except OSError as error:
    raise DataError(
      f'{path}: cannot be read ({error.strerror or error})'
    ) from None
  except ValueError as error:
    for where, line in itertools.islice(numbered_lines(path), header, None):
      try:
        check(line)
      except ValueError:
        raise misfit(where, form, line) from None
    raise DataError(f'{path}: expected {form} in every line: {error}') from None
  if not rows.size:
    raise DataError(f'{path}: has no rows: expected {form}')
  negative = (rows < 0).any(axis=1)
  if negative.any():
    where, line = _place(path, header + int(np.argmax(negative)))
    raise misfit(where, form, line)
  return rows


def _check_pair(line: str) -> None:
  """Raises ValueError where a line is no pair."""
  first, second, label = line.split()
  for text in (first, second):
    identifier(text)
  if label not in ('0', '1'):
    raise ValueError


def _check_subject(line: str) -> None:
  """Raises ValueError where a line does not begin with two numbers."""
  template, subject = line.split(',')[:2]
  for text in (template, subject):
    identifier(text.strip(' "'))


def read_template_pairs(path: PathLike) -> TemplatePairs:
  """Reads the pairs of 1:1 verification, fifteen millions in seconds.

  Args:
    path: `..._template_pair_label.txt`.

  Raises:
    DataError: missing, empty, or a line is of another form; names it.
  """
  path = Path(path)
  rows = _load_numbers(path, _PAIR_FORM, _check_pair)
  columns = rows.shape[1]
  bad = rows[:, -1] > 1 if columns == 3 else np.ones(len(rows), bool)
  if bad.any():
    where, line = _place(path, int(np.argmax(bad)))
    raise misfit(where, _PAIR_FORM, line)
  first, second, label = (np.ascontiguousarray(column) for column in rows.T)
  return TemplatePairs(first, second, label == 1)


def read_template_subjects(path: PathLike) -> TemplateSubjects:
  """Reads the templates of a gallery or of the probes of 1:N identification.

  Args:
    path: a `..._1N_*.csv`: below a line of column names a row for each image,
      of which only the first two columns count.

  Returns:
    Every template once.

  Raises:
    DataError: missing, empty, a line is of another form, or a template shows
      two subjects.
  """
  path = Path(path)
  rows = _load_numbers(
    path,
    _SUBJECT_FORM,
    _check_subject,
    header=1,
    delimiter=',',
    usecols=(0, 1),
    quotechar='"',
  )
  templates, subjects = rows.T
  unique, first, inverse = np.unique(
    templates, return_index=True, return_inverse=True
  )
  owners = subjects[first]
  other = subjects != owners[inverse]
  if other.any():
    row = int(np.argmax(other))
    raise DataError(
      f'{_place(path, 1 + row)[0]}: template {templates[row]} shows '
      f'subject {subjects[row]}, and {owners[inverse[row]]} before'
    )
  return TemplateSubjects(unique, owners)
