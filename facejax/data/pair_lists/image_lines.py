"""The lists of CALFW and CPLFW: two lines 'image label' make a pair."""

import numpy as np

from facejax.array_typing import Int
from facejax.data.pair_lists.lines import numbered_lines
from facejax.data.pair_lists.pair_list import PairList, balanced_folds
from facejax.errors import DataError
from facejax.files import Path, PathLike


def _image_and_label(
  where: str, line: str, label: int | None
) -> tuple[str, int]:
  """The fields of a line; `label` is that of the pair's first line."""
  words = line.split()
  fits = len(words) == 2 and words[1].isdecimal()
  if not fits or label not in (None, int(words[1])):
    same = '' if label is None else f' with the label {label} of the line above'
    raise DataError(f"{where}: expected 'image label'{same}, found {line!r}")
  return words[0], int(words[1])


def _folds(labels: Int[np.ndarray, ' P']) -> Int[np.ndarray, ' P']:
  """Folds from labels, if these name more than one."""
  same = labels > 0
  numbers, places = np.unique(labels[same], return_inverse=True)
  if len(numbers) < 2:
    return balanced_folds(same)
  folds = np.zeros(len(labels), np.int64)
  folds[same] = places
  num_impostors = int((~same).sum())
  folds[~same] = (
    np.arange(num_impostors) * len(numbers) // max(1, num_impostors)
  )
  return folds


def _pairs(path: Path) -> tuple[list[str], list[str], Int[np.ndarray, ' P']]:
  """First images, second images and labels."""
  lines = numbered_lines(path)
  names, labels = [], []
  for place, (number, line) in enumerate(lines):
    above = labels[-1] if place % 2 else None
    name, label = _image_and_label(f'{path}, line {number}', line, above)
    names.append(name)
    labels.append(label)
  if len(lines) % 2:
    raise DataError(
      f'{path}, line {lines[-1][0]}: expected a second line for the pair of '
      f'{names[-1]}, found the end'
    )
  return names[0::2], names[1::2], np.array(labels[0::2])


def read_image_lines(path: PathLike) -> PairList:
  """Reads `pairs_CALFW.txt`, `pairs_CPLFW.txt` and lists of their form.

  Every line is 'image label' and two lines make a pair with one label; 0
  means two people. In CPLFW's list 1 means one person. In CALFW's the genuine
  pairs bear the number of their fold, 1 .. 10. No list says the folds of the
  impostor pairs, which stand behind all genuine ones: they are cut into
  blocks in the order of the list, as are the genuine pairs where one label
  stands for all.

  Args:
    path: the list; its images are file names without a folder.

  Returns:
    Pairs in file order; the official lists give ten folds of 300 genuine and
    300 impostor pairs.

  Raises:
    DataError: says the line that does not fit.

  References:
    Zheng, Deng, Hu, Cross-Age LFW, 2017; Zheng, Deng, Cross-Pose LFW, 2018;
    the folds are those of FaceX-Zoo's pairs_parser.py.
  """
  names_a, names_b, labels = _pairs(Path(path))
  return PairList(tuple(names_a), tuple(names_b), labels > 0, _folds(labels))
