"""Which files make up IJB-B and IJB-C, and how much there is in them."""

import dataclasses

import numpy as np

from facejax.array_typing import Int
from facejax.data.ijb import TemplateFaces, read_template_faces
from facejax.data.ijb_tables import (
  TemplatePairs,
  TemplateSubjects,
  read_template_pairs,
  read_template_subjects,
)
from facejax.errors import DataError, UsageError
from facejax.files import Path

TASKS = ('1:1', '1:N')


@dataclasses.dataclass(frozen=True)
class IjbSet:
  """A set as it was published.

  Attributes:
    name: as people write it.
    prefix: of its list files.
    splits: what the lists of the two galleries are called.
    num_images: rows of the image lists.
    num_templates: templates of these images.
    num_pairs: pairs of 1:1.
    num_genuine: genuine ones among them.
    num_gallery: templates of the two galleries.
    num_probes: templates of the mixed probes.
  """

  name: str
  prefix: str
  splits: tuple[str, str]
  num_images: int
  num_templates: int
  num_pairs: int
  num_genuine: int
  num_gallery: tuple[int, int]
  num_probes: int

  def files(self, task: str) -> tuple[str, ...]:
    """Names of the list files of a task, '1:1' or '1:N'."""
    if task == '1:1':
      return (f'{self.prefix}_template_pair_label.txt',)
    kinds = (*(f'gallery_{split}' for split in self.splits), 'probe_mixed')
    return tuple(f'{self.prefix}_1N_{kind}.csv' for kind in kinds)

  @property
  def media_file(self) -> str:
    """Name of the list of images, templates and media."""
    return f'{self.prefix}_face_tid_mid.txt'

  @property
  def points_file(self) -> str:
    """Name of the list of landmarks and detector scores."""
    return f'{self.prefix}_name_5pts_score.txt'


IJBB = IjbSet(
  name='IJB-B',
  prefix='ijbb',
  splits=('S1', 'S2'),
  num_images=227_630,
  num_templates=12_115,
  num_pairs=8_010_270,
  num_genuine=10_270,
  num_gallery=(931, 914),
  num_probes=10_270,
)
IJBC = IjbSet(
  name='IJB-C',
  prefix='ijbc',
  splits=('G1', 'G2'),
  num_images=469_375,
  num_templates=23_124,
  num_pairs=15_658_489,
  num_genuine=19_557,
  num_gallery=(1_772, 1_759),
  num_probes=19_593,
)


@dataclasses.dataclass(frozen=True)
class IjbLists:
  """The lists of a set, read and matched with each other.

  Attributes:
    faces: its images.
    numbers: int [T], the templates of these, rising; rows are places here.
    pairs: of 1:1, or None where that is not asked for.
    pair_rows: int [P] twice, rows of the templates of every pair, or None.
    galleries: the two of 1:N, or None.
    probes: of 1:N, or None.
    search_rows: int [G1], [G2] and [Q], rows of the templates of the galleries
      and of the probes, or None.
    mates: int [Q], the place of every probe's subject in both galleries, the
      second behind the first, or None.
  """

  faces: TemplateFaces
  numbers: Int[np.ndarray, ' T']
  pairs: TemplatePairs | None = None
  pair_rows: tuple[Int[np.ndarray, ' P'], Int[np.ndarray, ' P']] | None = None
  galleries: tuple[TemplateSubjects, TemplateSubjects] | None = None
  probes: TemplateSubjects | None = None
  search_rows: (
    tuple[Int[np.ndarray, ' G1'], Int[np.ndarray, ' G2'], Int[np.ndarray, ' Q']]
    | None
  ) = None
  mates: Int[np.ndarray, ' Q'] | None = None


def _rows(
  numbers: Int[np.ndarray, ' T'], templates: Int[np.ndarray, ' P'], path: Path
) -> Int[np.ndarray, ' P']:
  """The places of templates in `numbers`.

  Raises:
    DataError: a template has no images.
  """
  rows = np.searchsorted(numbers, templates).astype(np.int32)
  rows[rows == len(numbers)] = 0
  missing = numbers[rows] != templates
  if missing.any():
    raise DataError(
      f'{path}: no image belongs to template '
      f'{templates[np.argmax(missing)]}: the lists are of different sets, or '
      'one is cut short'
    )
  return rows


def _mates(
  galleries: tuple[TemplateSubjects, TemplateSubjects],
  probes: TemplateSubjects,
  folder: Path,
) -> Int[np.ndarray, ' Q']:
  """The place of every probe's subject in both galleries, one behind other.

  Raises:
    DataError: a subject stands in the galleries twice, a probe's not at all,
      or all probes belong to one gallery.
  """
  subjects = np.concatenate([part.subjects for part in galleries])
  order = np.argsort(subjects, kind='stable')
  ordered = subjects[order]
  twice = np.flatnonzero(np.diff(ordered) == 0)
  if len(twice):
    raise DataError(
      f'{folder}: subject {ordered[twice[0]]} has several templates in the '
      'galleries: the protocol gives everybody one'
    )
  place = np.searchsorted(ordered, probes.subjects)
  place[place == len(ordered)] = 0
  absent = ordered[place] != probes.subjects
  if absent.any():
    probe = int(np.argmax(absent))
    raise DataError(
      f'{folder}: probe template {probes.templates[probe]} shows subject '
      f'{probes.subjects[probe]}, who is in neither gallery'
    )
  mates = order[place]
  first = np.count_nonzero(mates < len(galleries[0].subjects))
  if first in (0, len(mates)):
    raise DataError(f'{folder}: all probes show people of one gallery alone')
  return mates


def choose_tasks(
  spec: IjbSet, folder: Path, task: str | None
) -> tuple[str, ...]:
  """The tasks to run.

  Args:
    spec: the set.
    folder: where its lists are.
    task: '1:1', '1:N', 'both', or None for those whose lists are there.

  Raises:
    DataError: the lists of no task are there.
    UsageError: there is no such task.
  """
  if task is None:
    found = tuple(
      name
      for name in TASKS
      if all((folder / file).exists() for file in spec.files(name))
    )
    if not found:
      wanted = ' or '.join(', '.join(spec.files(name)) for name in TASKS)
      raise DataError(f'{folder}: holds neither {wanted}')
    return found
  tasks = TASKS if task == 'both' else (task,)
  if not set(tasks) <= set(TASKS):
    raise UsageError(f"task {task!r}: use '1:1', '1:N' or 'both'")
  return tasks


def read_lists(spec: IjbSet, folder: Path, tasks: tuple[str, ...]) -> IjbLists:
  """Reads the lists that some tasks need.

  Raises:
    DataError: a list is missing or says what cannot be; names file and line.
  """
  faces = read_template_faces(
    folder / spec.media_file, folder / spec.points_file
  )
  lists = IjbLists(faces, np.unique(faces.templates))
  if '1:1' in tasks:
    path = folder / spec.files('1:1')[0]
    pairs = read_template_pairs(path)
    lists = dataclasses.replace(
      lists,
      pairs=pairs,
      pair_rows=tuple(
        _rows(lists.numbers, part, path) for part in (pairs.first, pairs.second)
      ),
    )
  if '1:N' in tasks:
    paths = [folder / name for name in spec.files('1:N')]
    first, second, probes = parts = [
      read_template_subjects(path) for path in paths
    ]
    lists = dataclasses.replace(
      lists,
      galleries=(first, second),
      probes=probes,
      search_rows=tuple(
        _rows(lists.numbers, part.templates, path)
        for part, path in zip(parts, paths, strict=True)
      ),
      mates=_mates((first, second), probes, folder),
    )
  return lists
