"""Suspicions as tables to read and lists that --exclude takes."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from facejax import files
from facejax.files import Path
from facejax.preparation.embedded_faces import EmbeddedFaces
from facejax.preparation.near_duplicates import Duplicates
from facejax.preparation.outliers import Outliers
from facejax.preparation.overlaps import Overlaps
from facejax.preparation.suspicions import Pairs

SHOWN_BELOW = 50  # pairs just below a threshold, to judge it by


def closest_images(
  first: EmbeddedFaces, label: int, second: EmbeddedFaces, other: int
) -> tuple[int, int, float]:
  """The two images of two identities that are most alike, and their cosine."""
  members = first.members(label), second.members(other)
  rows = first.rows(members[0]), second.rows(members[1])
  best = -2.0, 0, 0
  # In parts: an identity may have a hundred thousand images.
  for start in range(0, len(rows[0]), 1024):
    cosines = rows[0][start : start + 1024] @ rows[1].T
    row, column = np.unravel_index(int(cosines.argmax()), cosines.shape)
    best = max(
      best, (float(cosines[row, column]), start + int(row), int(column))
    )
  return members[0].start + best[1], members[1].start + best[2], best[0]


def _table(
  path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
  """Writes tab-separated values under names of the columns."""
  lines = ['\t'.join(header)]
  for row in rows:
    values = (f'{v:.4g}' if isinstance(v, float) else str(v) for v in row)
    lines.append('\t'.join(re.sub(r'[\t\r\n]', ' ', v) for v in values))
  files.write_bytes(path, ('\n'.join(lines) + '\n').encode(errors='replace'))


def _exclusion(path: Path, why: str, entries: Iterable[str]) -> None:
  """Writes a list that --exclude takes, without repeats."""
  # The number that a set gives to files of one name is not in the source.
  names = dict.fromkeys(re.sub(r'#\d+$', '', entry) for entry in entries)
  lines = [f'# {why}; for --exclude', *names]
  files.write_bytes(path, ('\n'.join(lines) + '\n').encode(errors='replace'))


def write_near_duplicates(
  folder: Path, faces: EmbeddedFaces, found: Duplicates
) -> None:
  """near_duplicates.tsv and exclude_near_duplicates.txt."""
  keys = faces.keys(found.kept), faces.keys(found.dropped)
  cosines = map(float, found.cosine)
  _table(
    folder / 'near_duplicates.tsv',
    ('image', 'repeated_by', 'cosine'),
    zip(*keys, cosines, strict=True),
  )
  _exclusion(
    folder / 'exclude_near_duplicates.txt',
    'images that repeat another one of the set',
    keys[1],
  )


def write_outliers(folder: Path, faces: EmbeddedFaces, found: Outliers) -> None:
  """outliers.tsv and exclude_outliers.txt."""
  keys, names = faces.keys(found.places), faces.identities
  rows = []
  for i, (key, place) in enumerate(zip(keys, found.places, strict=True)):
    other = int(found.other[i])
    likely = (names[other], float(found.other_cosine[i])) if other >= 0 else ()
    own = float(found.score[i]), float(found.cosine[i])
    rows.append((key, names[int(faces.labels[place])], *own, *likely))
  header = ('image', 'identity', 'score', 'cosine', 'likely', 'likely_cosine')
  _table(folder / 'outliers.tsv', header, rows)
  _exclusion(
    folder / 'exclude_outliers.txt',
    'images that do not belong to their identity',
    keys,
  )


def write_same_person(
  folder: Path, faces: EmbeddedFaces, found: Pairs, groups: np.ndarray
) -> None:
  """same_person.tsv and exclude_same_person.txt (all but the largest)."""
  names, sizes = faces.identities, faces.sizes
  rows = []
  for i, (a, b) in enumerate(zip(found.first, found.second, strict=True)):
    one, other, cosine = closest_images(faces, int(a), faces, int(b))
    rows.append((
      names[int(a)],
      names[int(b)],
      float(found.score[i]),
      float(found.cosine[i]),
      float(found.expected[i]),
      sizes[a],
      sizes[b],
      names[int(groups[a])],
      *faces.keys([one, other]),
      cosine,
    ))  # fmt: skip
  header = (
    'identity other score cosine expected_by_chance images other_images group '
    'image other_image image_cosine'
  )
  _table(folder / 'same_person.tsv', header.split(), rows)
  joined = np.unique(np.concatenate([found.first, found.second]))
  order = joined[np.lexsort((joined, -sizes[joined], groups[joined]))]
  smaller = order[np.diff(groups[order], prepend=-1) == 0]
  _exclusion(
    folder / 'exclude_same_person.txt',
    'identities that another, larger one repeats',
    (names[int(label)] for label in smaller),
  )


def write_overlaps(
  folder: Path, faces: EmbeddedFaces, test: EmbeddedFaces, found: Overlaps
) -> None:
  """overlaps.tsv and exclude_overlaps.txt."""
  nearest, strays, names = found.nearest, found.strays, faces.identities
  listed = int((nearest.score > found.threshold).sum())
  rows = []
  for i in range(min(listed + SHOWN_BELOW, len(nearest.first))):
    label, other = int(nearest.first[i]), int(nearest.second[i])
    one, two, cosine = closest_images(faces, label, test, other)
    rows.append((
      names[label],
      test.identities[other],
      'yes' if i < listed else 'no',
      float(nearest.score[i]),
      float(nearest.cosine[i]),
      float(nearest.expected[i]),
      faces.sizes[label],
      test.sizes[other],
      faces.keys([one])[0],
      test.keys([two])[0],
      cosine,
    ))  # fmt: skip
  stray_keys = faces.keys(strays.first)
  for i, key in enumerate(stray_keys):
    label, other = int(faces.labels[strays.first[i]]), int(strays.second[i])
    score, cosine = float(strays.score[i]), float(strays.cosine[i])
    rows.append((
      names[label],
      test.identities[other],
      'image',
      score,
      cosine,
      float(strays.expected[i]),
      1,
      test.sizes[other],
      key,
    ))  # fmt: skip
  header = (
    'identity test_identity excluded score cosine expected_by_chance images '
    'test_images image test_image image_cosine'
  )
  _table(folder / 'overlaps.tsv', header.split(), rows)
  people = (names[int(label)] for label in nearest.first[:listed])
  _exclusion(
    folder / 'exclude_overlaps.txt',
    'people of the test set',
    [*people, *stray_keys],
  )
