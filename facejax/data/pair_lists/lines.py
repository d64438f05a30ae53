"""Lines of a list with their numbers, for errors that say where."""

from facejax.errors import DataError
from facejax.files import Path


def numbered_lines(path: Path) -> list[tuple[int, str]]:
  """Non-empty lines of a list with their numbers, from 1.

  Raises:
    DataError: the list cannot be read, is no UTF-8 text, or is empty.
  """
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except OSError as error:
    raise DataError(
      f'{path}: the list cannot be read ({error.strerror or error})'
    ) from None
  except UnicodeDecodeError:
    raise DataError(f'{path}: the list is no UTF-8 text') from None
  lines = [
    (number, line.strip())
    for number, line in enumerate(text.split('\n'), 1)
    if line.strip()
  ]
  if not lines:
    raise DataError(f'{path}: the list is empty')
  return lines
