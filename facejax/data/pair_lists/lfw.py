"""LFW's own lists, of both views."""

import numpy as np

from facejax.data.pair_lists.lines import numbered_lines
from facejax.data.pair_lists.pair_list import PairList, balanced_folds
from facejax.errors import DataError
from facejax.files import Path, PathLike


def _lfw_image(where: str, person: str, number: str) -> str:
  """Identity folder and file name of an LFW image."""
  if not number.isdecimal() or int(number) < 1:
    raise DataError(f'{where}: {number!r} is no image number (1, 2, ...)')
  return f'{person}/{person}_{int(number):04d}.jpg'


def _lfw_pair(where: str, line: str, same: bool) -> tuple[str, str]:
  """The two images of a line, whose kind its place in the file fixes."""
  words = line.split()
  if len(words) != (3 if same else 4):
    form = "'NAME i j'" if same else "'NAME1 i NAME2 j'"
    raise DataError(f'{where}: expected {form} here, found {line!r}')
  if same:
    person, first, other, second = words[0], words[1], words[0], words[2]
  else:
    person, first, other, second = words
    if person == other:
      raise DataError(f'{where}: an impostor pair names {person} twice')
  return _lfw_image(where, person, first), _lfw_image(where, other, second)


def read_lfw_pairs(path: PathLike) -> PairList:
  """Reads a list of LFW, of View 2 or View 1, known by its header.

  View 2 (`pairs.txt`) opens with folds and pairs of a kind in a fold, '10 300';
  every fold is its genuine pairs 'NAME i j', then its impostor pairs
  'NAME1 i NAME2 j'. View 1 (`pairsDevTrain.txt`, `pairsDevTest.txt`) opens
  with the pairs of a kind, '500', and has no folds of its own: it gets those
  of `balanced_folds`.

  Args:
    path: the list; fields are separated by tabs or blanks.

  Returns:
    Pairs of names 'NAME/NAME_0001.jpg'.

  Raises:
    DataError: says the line that does not fit.

  References:
    Huang et al., Labeled Faces in the Wild, 2007, section III.
  """
  path = Path(path)
  (number, header), *rest = numbered_lines(path)
  words = header.split()
  if len(words) not in (1, 2) or not all(
    word.isdecimal() and int(word) > 0 for word in words
  ):
    raise DataError(
      f"{path}, line {number}: expected a header like '10 300' or '500', "
      f'found {header!r}'
    )
  per_fold = int(words[-1])
  num_folds = int(words[0]) if len(words) == 2 else 1
  expected = 2 * per_fold * num_folds
  if len(rest) != expected:
    raise DataError(
      f'{path}: the header {header!r} promises {expected} pairs, '
      f'the file has {len(rest)}'
    )
  place = np.arange(expected)
  same = place % (2 * per_fold) < per_fold
  pairs = [
    _lfw_pair(f'{path}, line {number}', line, bool(kind))
    for (number, line), kind in zip(rest, same, strict=True)
  ]
  names_a, names_b = zip(*pairs, strict=True)
  folds = place // (2 * per_fold) if len(words) == 2 else balanced_folds(same)
  return PairList(names_a, names_b, same, folds)
