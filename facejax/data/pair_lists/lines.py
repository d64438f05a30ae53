"""Lines of a list, of which there must be some."""

from facejax.data.text_lines import text_lines
from facejax.errors import DataError
from facejax.files import Path


def numbered_lines(path: Path) -> list[tuple[int, str]]:
  """Non-empty lines of a list with their numbers, from 1.

  Raises:
    DataError: the list cannot be read, is no UTF-8 text, or is empty.
  """
  lines = list(text_lines(path))
  if not lines:
    raise DataError(f'{path}: the list is empty')
  return lines
