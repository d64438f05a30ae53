"""The published verification sets: their lists, names and counts."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from facejax.data.pair_lists.reading import READERS, Form, form_of
from facejax.data.protocols import (
  PairList,
  read_agedb_pairs,
  read_cfp_pairs,
  read_image_lines,
  read_lfw_pairs,
  read_pairs,
)
from facejax.evaluation.sources import EmbeddingSource
from facejax.files import Path, PathLike

Reader = Callable[[PathLike], PairList]


class Counts(NamedTuple):
  """What makes a list the published one.

  Attributes:
    pairs: pairs in all.
    genuine: those of one person.
    folds: folds; View 1 of LFW publishes none and gets ten of
      `balanced_folds`.
  """

  pairs: int
  genuine: int
  folds: int

  @classmethod
  def of(cls, pairs: PairList) -> 'Counts':
    """The counts of a list."""
    return cls(
      len(pairs.same), int(pairs.same.sum()), int(pairs.folds.max()) + 1
    )


@dataclasses.dataclass(frozen=True)
class PairSet:
  """A verification set, or any set at all.

  Attributes:
    readers: by the form of a list; a list of another form is read as if it
      had the first, which says what does not fit.
    usual_names: lists to look for where none is given, the first one first.
    published: counts by the name of the published set; the first is the one
      that papers mean. Empty for any set.
  """

  readers: Mapping[Form, Reader]
  usual_names: tuple[str, ...] = ()
  published: Mapping[str, Counts] = dataclasses.field(default_factory=dict)

  def read(self, path: PathLike) -> PairList:
    """Reads a list.

    Raises:
      DataError: says the line that does not fit, and the form expected.
      UsageError: a folder of CFP does not say which pairs are meant.
    """
    own, *_ = self.readers.values()
    return self.readers.get(form_of(path), own)(path)

  def find(self, source: EmbeddingSource) -> Path | None:
    """The list of a usual name beside the data or inside their folder."""
    data = source.describe().get('data')
    folders = [''] if data is None else ['', f'{Path(data).name}/']
    for name in self.usual_names:
      for folder in folders:
        if (path := source.beside(folder + name)) is not None:
          return path
    return None

  def published_name(self, pairs: PairList) -> str | None:
    """The name of the published set that has these counts, if one has."""
    found = Counts.of(pairs)
    for name, counts in self.published.items():
      if counts == found:
        return name
    return None

  def difference(self, pairs: PairList) -> str | None:
    """How a list differs from the published set, where it does."""
    if not self.published or self.published_name(pairs) is not None:
      return None
    counts, *_ = self.published.values()
    for kind, found, right in zip(
      ('pairs', 'genuine pairs', 'folds'),
      Counts.of(pairs),
      counts,
      strict=True,
    ):
      if found != right:
        return f'{found:,} {kind}, the published set has {right:,}'
    return None


_PATHS = {Form.PATHS: read_pairs}
_TEN_OF_600 = Counts(6000, 3000, 10)


def _cfp(poses: str) -> PairSet:
  """One of the two protocols of CFP."""
  return PairSet(
    {Form.CFP: functools.partial(read_cfp_pairs, poses=poses), **_PATHS},
    # Beside or in the folder of the set, or two above its Data/Images.
    ('Protocol', '../Protocol'),
    {f'CFP-{poses}': Counts(7000, 3500, 10)},
  )


def _cross(name: str) -> PairSet:
  """CALFW or CPLFW."""
  return PairSet(
    {Form.IMAGE_LINES: read_image_lines, **_PATHS},
    (f'pairs_{name}.txt', f'{name.lower()}_ann.txt'),
    {name: _TEN_OF_600},
  )


PAIR_SETS: dict[str, PairSet] = {
  'lfw': PairSet(
    {Form.LFW: read_lfw_pairs, **_PATHS},
    ('lfw_pairs.txt', 'pairs.txt', 'lfw_ann.txt'),
    {
      'LFW View 2': _TEN_OF_600,
      'LFW View 1, training': Counts(2200, 1100, 10),
      'LFW View 1, test': Counts(1000, 500, 10),
    },
  ),
  'agedb30': PairSet(
    {**_PATHS, Form.AGEDB: read_agedb_pairs},
    ('agedb_30_pair.txt', 'agedb_30_ann.txt'),
    {'AgeDB-30': _TEN_OF_600},
  ),
  'cfp_ff': _cfp('FF'),
  'cfp_fp': _cfp('FP'),
  'calfw': _cross('CALFW'),
  'cplfw': _cross('CPLFW'),
  'pairs': PairSet(READERS),
}
