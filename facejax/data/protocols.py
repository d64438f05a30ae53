"""What verification protocols read: pair lists, and names in an archive."""

import collections
from collections.abc import Iterable

from facejax.data.pair_lists.agedb import read_agedb_pairs
from facejax.data.pair_lists.cfp import read_cfp_pairs
from facejax.data.pair_lists.image_lines import read_image_lines
from facejax.data.pair_lists.lfw import read_lfw_pairs
from facejax.data.pair_lists.pair_list import (
  NUM_FOLDS,
  PairList,
  balanced_folds,
)
from facejax.data.pair_lists.paths import read_pairs
from facejax.data.pair_lists.reading import read_any_pairs
from facejax.errors import DataError

__all__ = [
  'NUM_FOLDS',
  'PairList',
  'balanced_folds',
  'read_agedb_pairs',
  'read_any_pairs',
  'read_cfp_pairs',
  'read_image_lines',
  'read_lfw_pairs',
  'read_pairs',
  'resolve_names',
]


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
