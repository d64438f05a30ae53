"""From a source to the files of a set, in one pass, person by person.

A person gets a label when enough good images are there, so memory grows
neither with the images nor with the people.
"""

import collections
import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

from facejax import files
from facejax.data.manifest import (
  FORMAT_VERSION,
  IDENTITIES,
  MANIFEST,
  identities_checksum,
)
from facejax.data.names import NameTable
from facejax.errors import DataError
from facejax.files import Path
from facejax.preparation import checks, draft
from facejax.preparation.aligners import Aligner
from facejax.preparation.checks import CheckedImage
from facejax.preparation.exclusion import Exclusion
from facejax.preparation.plan import Plan
from facejax.preparation.sources import FaceSource

_COUNTS = (
  'num_images',
  'num_rejected',
  'num_reencoded',
  'num_fallback',
  'bytes',
)


def _request(source: FaceSource, settings: dict[str, Any]) -> str:
  """Equal for two preparations that would write the same set."""
  text = json.dumps([source.fingerprint(), settings], sort_keys=True)
  return hashlib.sha256(text.encode(errors='backslashreplace')).hexdigest()


def _check_some(plan: Plan, source: FaceSource) -> None:
  where = ', '.join(source.inputs)
  if not len(source.labels):
    raise DataError(
      f'{where}: has no images: expected IDENTITY/image.jpg (or .png, .bmp, '
      '.webp)'
    )
  if plan.num_excluded == len(source.labels):
    raise DataError(f'{where}: the exclusion list leaves no image')


class _Collector:
  """Moves the images of a plan into a draft."""

  def __init__(
    self,
    source: FaceSource,
    plan: Plan,
    set_draft: draft.SetDraft,
    min_images: int,
  ):
    self._source = source
    self._plan = plan
    self._draft = set_draft
    self._min_images = min_images
    self._faults = {
      place: fault
      for place in range(plan.num_places)
      if (fault := self._fault(place))
    }

  def _fault(self, place: int) -> str:
    name = self._plan.name(place)
    return 'nameless' if name is None else checks.identity_fault(name)

  def _reject(self, item: int, reason: str) -> None:
    where = self._source.inputs[self._source.input_of(item)]
    self._draft.reject(where, self._source.path(item), reason)

  def reject_nameless(self) -> None:
    """Puts away what can get no label; once, before anything is read."""
    for place, fault in self._faults.items():
      for item in self._plan.items(place):
        self._reject(item, fault if place else self._source.why_nameless(item))

  def collect(
    self, image_size: tuple[int, int], aligner: Aligner | None
  ) -> None:
    """Reads all people that the draft does not have yet."""
    start = self._draft.next_place
    places: collections.deque[int] = collections.deque()

    def items() -> Iterator[int]:
      for place, item in self._plan.walk(start):
        if place not in self._faults:
          places.append(place)
          yield item

    checked = checks.check_images(
      self._source, items(), image_size=image_size, aligner=aligner
    )
    left = self._plan.count_from(start) - sum(
      len(self._plan.items(place)) for place in self._faults if place >= start
    )
    people = itertools.groupby(
      files.progress(checked, desc='preparing', total=left, unit='img'),
      key=lambda _: places.popleft(),
    )
    for place, images in people:
      self._add_person(self._plan.name(place), images)
      self._draft.reached(place + 1)

  def _add_person(self, name: str, images: Iterable[CheckedImage]) -> None:
    """Writes the good images of a person, if they are enough."""
    keys: collections.Counter[str] = collections.Counter()
    waiting: list[CheckedImage] = []
    has_label = False
    for image in images:
      if image.reason:
        self._reject(image.item, image.reason)
        continue
      waiting.append(image)
      if len(waiting) < self._min_images and not has_label:
        continue
      if not has_label:
        self._draft.begin_identity(name)
        has_label = True
      for good in waiting:
        self._add_image(good, name, keys)
      waiting.clear()
    if has_label:
      self._draft.end_identity()
      return
    if waiting:
      self._draft.count('num_small_identities')
    for image in waiting:
      reason = (
        f'the identity has {len(waiting)} good image(s), fewer than '
        f'min_images={self._min_images}'
      )
      self._reject(image.item, reason)

  def _add_image(
    self, image: CheckedImage, name: str, keys: collections.Counter[str]
  ) -> None:
    file = self._source.path(image.item).rsplit('/', 1)[-1]
    keys[file] += 1
    # A file name that two inputs share gets a number.
    number = '' if keys[file] == 1 else f'#{keys[file]}'
    self._draft.add_image(image.jpeg, f'{name}/{file}{number}')
    self._draft.count('num_reencoded', image.reencoded)
    self._draft.count('num_fallback', image.fallback)


def _first_rejected(directory: Path) -> str:
  with (directory / draft.REJECTED).open('r') as file:
    file.readline()
    _, name, reason = file.readline().rstrip('\n').split('\t')
  return f'{name}: {reason}'


def collect(
  directory: Path,
  source: FaceSource,
  *,
  exclusion: Exclusion,
  image_size: tuple[int, int],
  min_images: int,
  aligner: Aligner | None,
  dataset: str,
  split: str,
) -> dict[str, Any]:
  """Writes the shards, the lists and the manifest of a set.

  Identities are sorted by name, images within one by file name; the label is
  the index of the identity. What an earlier call with the same arguments left
  in `directory` is gone on with.

  Args:
    directory: an existing local folder.
    source: the faces.
    exclusion: identities and files to leave out.
    image_size: (height, width) of the crops, pixels.
    min_images: an identity of fewer good images is rejected.
    aligner: cuts crops from photos; None where the images are the crops.
    dataset: name of the data set, for the names of the files.
    split: name of its one split.

  Returns:
    The manifest.

  Raises:
    DataError: nothing is left to write, or the disk is full.
  """
  plan = Plan(source, exclusion)
  _check_some(plan, source)
  settings = {
    'format_version': FORMAT_VERSION,
    'image_size': list(image_size),
    'min_images': min_images,
    'alignment': aligner.describe() if aligner else None,
  }
  request = _request(source, settings | {'exclude': sorted(exclusion.counts)})
  set_draft = draft.SetDraft(directory, request)
  try:
    collector = _Collector(source, plan, set_draft, min_images)
    if not set_draft.next_place:
      collector.reject_nameless()
    collector.collect(image_size, aligner)
    set_draft.finish()
  finally:
    set_draft.close()
  if not set_draft.shards:
    raise DataError(
      f'{", ".join(source.inputs)}: no image is fit for the set: for example '
      f'{_first_rejected(directory)}'
    )
  draft.rename_shards(set_draft, dataset, split)
  names = NameTable.from_lines((directory / IDENTITIES).read_bytes())
  manifest = settings | {
    'inputs': source.inputs,
    'claims': source.claims(),
    'num_identities': len(names),
    **{name: set_draft.totals.get(name, 0) for name in _COUNTS},
    'num_small_identities': set_draft.totals.get('num_small_identities', 0),
    'num_ignored': source.num_ignored,
    'num_excluded': plan.num_excluded,
    'excluded': {e: n for e, n in sorted(exclusion.counts.items()) if n},
    'exclusions_unmatched': exclusion.unmatched,
    'identities_checksum': identities_checksum(names),
    'shards': set_draft.shards,
  }
  files.write_json(directory / MANIFEST, manifest)
  return manifest
