"""Pair lists of verification protocols: LFW's own files and any other list."""

import collections
import dataclasses
import posixpath
from collections.abc import Iterable, Sequence

import numpy as np

from facejax.array_typing import Bool, Int
from facejax.errors import DataError
from facejax.files import Path, PathLike

NUM_FOLDS = 10


@dataclasses.dataclass(frozen=True)
class PairList:
  """Pairs of images by name, in the order of their list.

  Attributes:
    names_a: first image of every pair, '/'-separated.
    names_b: second image of every pair.
    same: bool [P], whether a pair shows one person.
    folds: int [P], the fold of every pair, 0 .. F-1; no fold is empty.
  """

  names_a: tuple[str, ...]
  names_b: tuple[str, ...]
  same: Bool[np.ndarray, ' P']
  folds: Int[np.ndarray, ' P']

  def images(self) -> list[str]:
    """Every image once, sorted."""
    return sorted(set(self.names_a) | set(self.names_b))

  def index(
    self, images: Sequence[str]
  ) -> tuple[Int[np.ndarray, ' P'], Int[np.ndarray, ' P']]:
    """The places of the two images of every pair in `images`.

    Raises:
      DataError: an image of the list is not there.
    """
    place = {name: i for i, name in enumerate(images)}
    try:
      first = [place[name] for name in self.names_a]
      second = [place[name] for name in self.names_b]
    except KeyError as error:
      raise DataError(f'no image {error.args[0]} for the pair list') from None
    return np.array(first, np.int64), np.array(second, np.int64)


def balanced_folds(
  same: Bool[np.ndarray, ' P'], *, num_folds: int = NUM_FOLDS
) -> Int[np.ndarray, ' P']:
  """Folds for a list that comes without any.

  Genuine and impostor pairs are each cut into blocks of nearly equal size, in
  the order of the list. Blocks rather than a shuffle, because lists are sorted
  by person and a block keeps a person's pairs together; class by class, so
  that a list of all genuine pairs first still gets balanced folds. On LFW's
  View 2 this gives the official folds.

  Args:
    same: bool [P].
    num_folds: folds wanted; a list with fewer pairs of a kind gets fewer, at
      least one.

  Returns:
    Int [P], 0 .. F-1.
  """
  kinds = [np.flatnonzero(same), np.flatnonzero(~same)]
  counts = [len(kind) for kind in kinds if len(kind)]
  num_folds = max(1, min([num_folds, *counts]))
  folds = np.zeros(len(same), np.int64)
  for kind in kinds:
    folds[kind] = np.arange(len(kind)) * num_folds // max(1, len(kind))
  return folds


def _lines(path: Path) -> list[tuple[int, str]]:
  """Non-empty lines of a list with their numbers, from 1."""
  try:
    text = path.read_bytes().decode('utf-8-sig')
  except OSError as error:
    raise DataError(
      f'{path}: the pair list cannot be read ({error.strerror})'
    ) from None
  except UnicodeDecodeError:
    raise DataError(f'{path}: the pair list is no UTF-8 text') from None
  lines = [
    (number, line.strip())
    for number, line in enumerate(text.split('\n'), 1)
    if line.strip()
  ]
  if not lines:
    raise DataError(f'{path}: the pair list is empty')
  return lines


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
  (number, header), *rest = _lines(path)
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


def read_pairs(path: PathLike) -> PairList:
  """Reads any list of lines 'path_a path_b 0|1' (1: the same person).

  Args:
    path: the list; fields are separated by tabs, or by blanks where a line
      has no tab, so that paths with blanks need tabs.

  Returns:
    Pairs in file order with the folds of `balanced_folds`.

  Raises:
    DataError: says the line that does not fit.
  """
  path = Path(path)
  names_a, names_b, same = [], [], []
  for number, line in _lines(path):
    words = line.split('\t') if '\t' in line else line.split()
    words = [word.strip() for word in words]
    if len(words) != 3 or words[2] not in ('0', '1') or not all(words):
      raise DataError(
        f"{path}, line {number}: expected 'path_a path_b 0|1' (tabs between "
        f'paths that hold blanks), found {line!r}'
      )
    names_a.append(posixpath.normpath(words[0]))
    names_b.append(posixpath.normpath(words[1]))
    same.append(words[2] == '1')
  same = np.array(same)
  return PairList(tuple(names_a), tuple(names_b), same, balanced_folds(same))


def read_any_pairs(path: PathLike) -> PairList:
  """Reads a list of either form: only LFW's open with a line of numbers.

  Raises:
    DataError: says the line that does not fit.
  """
  header = _lines(Path(path))[0][1].split()
  is_lfw = len(header) < 3 and all(word.isdecimal() for word in header)
  return read_lfw_pairs(path) if is_lfw else read_pairs(path)


def resolve_names(
  wanted: Iterable[str], available: Iterable[str], *, where: str
) -> dict[str, str]:
  """Finds the images of a list in an archive, under any top folder.

  Args:
    wanted: names as a list gives them, 'NAME/NAME_0001.jpg'.
    available: names of the archive, 'lfw_112/NAME/NAME_0001.jpg'.
    where: what to call the archive in an error.

  Returns:
    The archive's name of every wanted one: the same, or the only one that
    ends with it after a '/'.

  Raises:
    DataError: names the first image that is missing or stands there twice.
  """
  wanted = sorted(set(wanted))
  found = collections.defaultdict(list)
  targets = set(wanted)
  for name in available:
    parts = name.split('/')
    for start in range(len(parts)):
      tail = '/'.join(parts[start:])
      if tail in targets:
        found[tail].append(name)
  missing = [name for name in wanted if name not in found]
  if missing:
    raise DataError(
      f'{where} has no image {missing[0]}, and lacks {len(missing)} of the '
      f'{len(wanted)} images that the list names'
    )
  for name, matches in found.items():
    if len(matches) > 1 and name not in matches:
      raise DataError(f'{where}: {name} may be {matches[0]} or {matches[1]}')
  return {
    name: name if name in matches else matches[0]
    for name, matches in found.items()
  }
