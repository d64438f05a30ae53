"""Lines of text files with their numbers, for errors that say where."""

from collections.abc import Iterator

from facejax.errors import DataError
from facejax.files import Path, PathLike


def text_lines(path: PathLike) -> Iterator[tuple[int, str]]:
  """Yields the lines that are not blank, stripped, with numbers from 1.

  A file is read line by line, so it may be larger than memory.

  Raises:
    DataError: the file cannot be read or is no UTF-8 text.
  """
  number = 0
  try:
    with Path(path).open('rb') as file:
      for number, raw in enumerate(file, 1):
        line = raw.decode('utf-8-sig' if number == 1 else 'utf-8').strip()
        if line:
          yield number, line
  except UnicodeDecodeError:
    raise DataError(f'{path}, line {number}: is no UTF-8 text') from None
  except OSError as error:
    raise DataError(
      f'{path}: the list cannot be read ({error.strerror or error})'
    ) from None
