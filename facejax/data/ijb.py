"""The list files of IJB-B and IJB-C, as InsightFace and others share them.

A set is a folder with `loose_crop/` (the images) and `meta/` (the lists):

  {ijbb,ijbc}_face_tid_mid.txt         image template media
  {ijbb,ijbc}_name_5pts_score.txt      image, ten landmark numbers, detector
                                       score; row by row the same images
  {ijbb,ijbc}_template_pair_label.txt  template template 0|1
  ijbb_1N_gallery_S1.csv, ..._S2.csv   template, subject, one row an image
  ijbc_1N_gallery_G1.csv, ..._G2.csv   and columns of no interest here, under
  {ijbb,ijbc}_1N_probe_mixed.csv       a line of column names

References:
  Whitelam et al., IARPA Janus Benchmark-B Face Dataset, 2017.
  Maze et al., IARPA Janus Benchmark - C: Face Dataset and Protocol, 2018.
"""

import array
import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from facejax.array_typing import Float, Int32
from facejax.data.names import NameTable
from facejax.data.text_lines import text_lines
from facejax.errors import DataError
from facejax.files import Path, PathLike

_LARGEST = np.iinfo(np.int32).max
_NUM_POINTS = 5


@dataclasses.dataclass(frozen=True)
class TemplateFaces:
  """The images of a set, in the order of its lists.

  Invariants: no image stands twice; coordinates and scores are finite, scores
  not negative.

  Attributes:
    names: of the N images.
    landmarks: float32 [N, 5, 2], (x, y) in pixels of the loose crop, the order
      of `facejax.data.alignment.template`.
    detector_scores: float32 [N], how sure the detector was of a face.
    templates: int32 [N], the template an image belongs to.
    media: int32 [N], the photo or video that an image comes from; frames of
      one video share theirs.
  """

  names: NameTable
  landmarks: Float[np.ndarray, 'N 5 2']
  detector_scores: Float[np.ndarray, ' N']
  templates: Int32[np.ndarray, ' N']
  media: Int32[np.ndarray, ' N']

  def __len__(self) -> int:
    return len(self.names)


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
  """Place and text of every line that is not blank.

  Raises:
    DataError: the file cannot be read or is no text.
  """
  name = str(path)  # a path takes longer to print than a line
  for number, line in text_lines(path):
    yield f'{name}, line {number}', line


def identifier(text: str) -> int:
  """The number of a template, a medium or a subject.

  Raises:
    ValueError: it is none.
  """
  number = int(text) if text.isascii() and text.isdecimal() else -1
  if not 0 <= number <= _LARGEST:
    raise ValueError
  return number


def misfit(where: str, form: str, line: str) -> DataError:
  """The error of a line that does not fit."""
  return DataError(f'{where}: expected {form}, found {line[:80]!r}')


_MEDIA_FORM = "'image template media' with two whole numbers"
_POINTS_FORM = "'image x1 y1 ... x5 y5 score' with eleven finite numbers"


def _read_media(
  path: Path,
) -> tuple[NameTable, Int32[np.ndarray, ' N'], Int32[np.ndarray, ' N']]:
  """Images, their templates and their media."""
  templates, media = array.array('i'), array.array('i')

  def names() -> Iterator[str]:
    for where, line in numbered_lines(path):
      fields = line.split()
      try:
        name, template, medium = fields
        templates.append(identifier(template))
        media.append(identifier(medium))
      except ValueError:
        raise misfit(where, _MEDIA_FORM, line) from None
      yield name

  table = NameTable.of(names())
  return (
    table,
    np.frombuffer(templates, np.int32),
    np.frombuffer(media, np.int32),
  )


def _read_points(
  path: Path,
) -> tuple[NameTable, Float[np.ndarray, 'N 5 2'], Float[np.ndarray, ' N']]:
  """Images, their landmarks and their detector scores."""
  numbers = array.array('f')
  width = 2 * _NUM_POINTS + 1

  def names() -> Iterator[str]:
    for where, line in numbered_lines(path):
      name, *fields = line.split()
      try:
        values = [float(field) for field in fields]
      except ValueError:
        values = []
      if len(values) != width or not all(map(math.isfinite, values)):
        raise misfit(where, _POINTS_FORM, line)
      if values[-1] < 0:
        raise DataError(f'{where}: a detector score of {values[-1]:g}')
      numbers.extend(values)
      yield name

  table = NameTable.of(names())
  rows = np.frombuffer(numbers, np.float32).reshape(-1, width)
  return table, rows[:, :-1].reshape(-1, _NUM_POINTS, 2), rows[:, -1]


def read_template_faces(media: PathLike, points: PathLike) -> TemplateFaces:
  """Reads which images there are and how they make up templates.

  Args:
    media: `..._face_tid_mid.txt`.
    points: `..._name_5pts_score.txt`.

  Raises:
    DataError: a file is missing, empty or has a line of another form; the two
      do not list the same images in the same order; an image stands twice.
  """
  media, points = Path(media), Path(points)
  names, templates, medium = _read_media(media)
  listed, landmarks, scores = _read_points(points)
  for path, table in ((media, names), (points, listed)):
    if not len(table):
      raise DataError(f'{path}: lists no images')
  if len(names) != len(listed):
    raise DataError(
      f'{media} lists {len(names)} images and {points} {len(listed)}: they '
      'belong to different sets, or one is cut short'
    )
  for row, (name, other) in enumerate(zip(names, listed, strict=True), 1):
    if name != other:
      raise DataError(
        f'{points}: image {row} is {other}, in {media} it is {name}: both must '
        'list the same images in the same order'
      )
  seen = set()
  for name in names:
    if name in seen:
      raise DataError(f'{media}: image {name} is listed twice')
    seen.add(name)
  return TemplateFaces(names, landmarks, scores, templates, medium)
