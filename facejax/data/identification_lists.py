"""Lists of identification: which images are enrolled, which are looked up."""

import dataclasses
import posixpath
from collections.abc import Iterable

from facejax.data.pair_lists.lines import numbered_lines
from facejax.errors import DataError
from facejax.files import Path, PathLike

_FORM = (
  "expected 'path identity' (a tab between them where a path has blanks), or "
  'a path whose folder is the identity'
)


@dataclasses.dataclass(frozen=True)
class IdentityList:
  """Images and whom they show, in the order of their list.

  Attributes:
    names: of the N images, '/'-separated; none stands there twice.
    identities: N names of people.
  """

  names: tuple[str, ...]
  identities: tuple[str, ...]


def folder_identities(names: Iterable[str]) -> list[str]:
  """The folder that each image lies in, which is its identity.

  Raises:
    DataError: an image lies in no folder; names it.
  """
  identities = []
  for name in names:
    folder = posixpath.basename(posixpath.dirname(name))
    if not folder:
      raise DataError(
        f'image {name} lies in no folder that would be its identity: lay the '
        'images out as IDENTITY/image.jpg'
      )
    identities.append(folder)
  return identities


def _parse(line: str) -> tuple[str, str]:
  """Path and identity of a line.

  Raises:
    ValueError: it is of neither form; says why.
  """
  words = line.split('\t') if '\t' in line else line.split()
  words = [word.strip() for word in words]
  if not 1 <= len(words) <= 2 or not all(words):
    raise ValueError(_FORM)
  name = posixpath.normpath(words[0])
  if len(words) == 1:
    return name, folder_identities([name])[0]
  if '/' in words[1]:
    raise ValueError(f'the identity {words[1]} looks like a path: {_FORM}')
  return name, words[1]


def read_identity_list(path: PathLike) -> IdentityList:
  """Reads a gallery or a probe list.

  Args:
    path: text of one image a line, 'path identity' or a path whose folder is
      the identity; both may stand in one file. Blank lines are skipped.

  Returns:
    The images in file order.

  Raises:
    DataError: the list cannot be read, a line does not fit, or an image stands
      there twice; says the line.
  """
  path = Path(path)
  people: dict[str, str] = {}
  for number, line in numbered_lines(path):
    try:
      name, identity = _parse(line)
    except (ValueError, DataError) as error:
      raise DataError(
        f'{path}, line {number}: {error}; found {line!r}'
      ) from None
    if name in people:
      raise DataError(f'{path}, line {number}: {name} stands there already')
    people[name] = identity
  return IdentityList(tuple(people), tuple(people.values()))


def read_gallery_and_probes(
  gallery: PathLike, probes: PathLike
) -> tuple[IdentityList, IdentityList]:
  """Reads both lists of an identification protocol.

  Raises:
    DataError: a list cannot be read, or an image stands in both, where it
      would find itself.
  """
  enrolled, looked_up = read_identity_list(gallery), read_identity_list(probes)
  both = sorted(set(enrolled.names) & set(looked_up.names))
  if both:
    raise DataError(
      f'{probes}: {both[0]} and {len(both) - 1} others stand in {gallery} '
      'too, where they would find themselves'
    )
  return enrolled, looked_up
