"""The protocol folder of CFP: frontal-frontal and frontal-profile pairs."""

import posixpath

import numpy as np

from facejax.data.pair_lists.lines import numbered_lines
from facejax.data.pair_lists.pair_list import PairList
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike

# Each letter is the list that one number of a pair counts in.
_POSES = ('FF', 'FP')
_KINDS = (('same.txt', True), ('diff.txt', False))


def _images(path: Path) -> dict[int, str]:
  """Images by number, as 'PERSON/frontal/01.jpg', from lines 'number path'.

  The list gives paths from its own place to the set's original photos; crops
  of them stand elsewhere, so only the last three parts are kept.
  """
  images = {}
  for number, line in numbered_lines(path):
    words = line.split(maxsplit=1)
    parts = posixpath.normpath(words[-1].replace('\\', '/')).split('/')
    if len(words) != 2 or not words[0].isdecimal() or len(parts) < 3:
      raise DataError(
        f"{path}, line {number}: expected 'number "
        f"../Data/Images/PERSON/POSE/IMAGE', found {line!r}"
      )
    if int(words[0]) in images:
      raise DataError(f'{path}, line {number}: image {words[0]} comes twice')
    images[int(words[0])] = '/'.join(parts[-3:])
  return images


def _numbers(
  path: Path, first: dict[int, str], second: dict[int, str]
) -> list[tuple[str, str]]:
  """The pairs of one file of lines 'i,j'."""
  pairs = []
  for number, line in numbered_lines(path):
    words = [word.strip() for word in line.split(',')]
    if len(words) != 2 or not all(word.isdecimal() for word in words):
      raise DataError(
        f"{path}, line {number}: expected two image numbers 'i,j', "
        f'found {line!r}'
      )
    for word, images in zip(words, (first, second), strict=True):
      if int(word) not in images:
        raise DataError(
          f'{path}, line {number}: there is no image {word} among the '
          f'{len(images)} of its list'
        )
    pairs.append((first[int(words[0])], second[int(words[1])]))
  return pairs


def _protocol_folder(path: Path, poses: str | None) -> tuple[Path, str]:
  """The folder 'Protocol', and 'FF' or 'FP'."""
  if path.parent.name == 'Split' and path.name in _POSES:
    if poses not in (None, path.name):
      raise UsageError(f'{path} has the pairs {path.name}, not {poses}')
    return path.parent.parent, path.name
  if poses is None:
    raise UsageError(
      f'{path}: which pairs of CFP: name its folder Split/FF or Split/FP'
    )
  inside = path / 'Protocol'
  return (inside if inside.is_dir() else path), poses


def read_cfp_pairs(path: PathLike, *, poses: str | None = None) -> PairList:
  """Reads the official pairs of CFP (Celebrities in Frontal-Profile).

  `Pair_list_F.txt` and `Pair_list_P.txt` number the frontal and the profile
  images from 1; `Split/FF` and `Split/FP` hold a folder for every fold, '01'
  .. '10', with the pairs of numbers in `same.txt` and `diff.txt`. In FF both
  numbers count frontal images, in FP the second counts profile images.

  Args:
    path: the folder `Protocol`, the folder that holds it, or `Split/FF` or
      `Split/FP` in it.
    poses: 'FF' or 'FP'; None takes them from a path that ends so.

  Returns:
    Pairs of names 'PERSON/frontal/01.jpg' and 'PERSON/profile/01.jpg', fold by
    fold; the set has ten folds of 350 genuine and 350 impostor pairs.

  Raises:
    DataError: says the line that does not fit, or the file that is missing.
    UsageError: the poses are not said, or two ways.

  References:
    Sengupta et al., Frontal to Profile Face Verification in the Wild, 2016.
  """
  root, poses = _protocol_folder(Path(path), poses)
  split = root / 'Split' / poses
  if not split.is_dir():
    raise DataError(
      f'{path}: is no Protocol folder of CFP: it has no Split/{poses}'
    )
  lists = {pose: _images(root / f'Pair_list_{pose}.txt') for pose in {*poses}}
  names, same, folds = [], [], []
  fold_folders = sorted(x for x in split.iterdir() if x.is_dir())
  for fold, folder in enumerate(fold_folders):
    for file, kind in _KINDS:
      pairs = _numbers(folder / file, lists[poses[0]], lists[poses[1]])
      names += pairs
      same += [kind] * len(pairs)
      folds += [fold] * len(pairs)
  if not names:
    raise DataError(f"{split}: has no folder of a fold, '01' .. '10'")
  names_a, names_b = zip(*names, strict=True)
  return PairList(names_a, names_b, np.array(same), np.array(folds))
