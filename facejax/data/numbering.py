"""Labels for names that come in any order."""

import array

import numpy as np

from facejax.array_typing import Int32
from facejax.data.names import NameTable

NUMBER_WIDTH = 7  # digits of a label that serves as a name: '0000042'


class Numbering:
  """Collects the name of one item after another; one string a distinct name."""

  def __init__(self):
    self._numbers: dict[str, int] = {}
    self._found = array.array('i')

  def add(self, name: str | None) -> None:
    """The next item's name, or None where it has none."""
    number = -1
    if name is not None:
      number = self._numbers.setdefault(name, len(self._numbers))
    self._found.append(number)

  def finish(self) -> tuple[NameTable, Int32[np.ndarray, ' N']]:
    """The names, sorted, and the place of every item's among them, or -1."""
    names = sorted(self._numbers)
    # The last element is what the number -1 finds.
    rank = np.full(len(names) + 1, -1, np.int32)
    rank[[self._numbers[name] for name in names]] = range(len(names))
    return NameTable.of(names), rank[np.frombuffer(self._found, np.int32)]
