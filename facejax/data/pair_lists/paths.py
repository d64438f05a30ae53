"""Lists with both images of a pair and a label on one line."""

import posixpath

import numpy as np

from facejax.data.pair_lists.lines import numbered_lines
from facejax.data.pair_lists.pair_list import PairList, balanced_folds
from facejax.errors import DataError
from facejax.files import Path, PathLike

# Lists made from InsightFace's `.bin` sets write -1 for two people.
_LABELS = {'1': True, '0': False, '-1': False}


def _label_first(words: list[str]) -> bool:
  """Whether a line has its label in front of the two paths."""
  return words[0] in _LABELS and words[-1] not in _LABELS


def read_pairs(path: PathLike) -> PairList:
  """Reads any list of lines 'path_a path_b 0|1' (1: the same person).

  -1 stands for 0 too, as in the `agedb_30_pair.txt` and `cfp_fp_pair.txt` of
  Face_Pytorch. The label may stand in front, on every line, as in the
  `agedb_30_ann.txt` and its kin that go with aligned crops.

  Args:
    path: the list; fields are separated by tabs, or by blanks where a line
      has no tab, so that paths with blanks need tabs.

  Returns:
    Pairs in file order with the folds of `balanced_folds`. Where each tenth
    of the list holds as many pairs of a kind as any other, as in the lists
    named above, these are the tenths.

  Raises:
    DataError: says the line that does not fit.
  """
  path = Path(path)
  names_a, names_b, same, label_first = [], [], [], None
  for number, line in numbered_lines(path):
    words = line.split('\t') if '\t' in line else line.split()
    words = [word.strip() for word in words]
    if label_first is None and len(words) == 3:
      label_first = _label_first(words)
    if label_first:
      words = words[1:] + words[:1]
    if len(words) != 3 or words[2] not in _LABELS or not all(words):
      form = '0|1 path_a path_b' if label_first else 'path_a path_b 0|1'
      raise DataError(
        f"{path}, line {number}: expected '{form}' (tabs between paths that "
        f'hold blanks), found {line!r}'
      )
    names_a.append(posixpath.normpath(words[0]))
    names_b.append(posixpath.normpath(words[1]))
    same.append(_LABELS[words[2]])
  same = np.array(same)
  return PairList(tuple(names_a), tuple(names_b), same, balanced_folds(same))
