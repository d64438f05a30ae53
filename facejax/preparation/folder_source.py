"""Faces in folders, zips and tars, by identity folder or by a list."""

import array
import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from facejax import files
from facejax.array_typing import Int32
from facejax.data.archives import (
  Archive,
  FolderArchive,
  is_hidden,
  is_image,
  open_archive,
)
from facejax.data.bin_pairs import BinPairs
from facejax.data.image_list import ImageList, read_image_list
from facejax.data.numbering import Numbering
from facejax.data.remote import absolute, is_remote
from facejax.errors import DataError, UsageError
from facejax.files import Path, PathLike
from facejax.preparation.list_matching import AMBIGUOUS, MISSING, match_list


def _stamp(path: PathLike) -> tuple[int, int]:
  """Size and time of change of a file."""
  if is_remote(path):
    found = Path(path).stat()
    return found.length, int(found.mtime or 0)
  found = os.stat(path)
  return found.st_size, found.st_mtime_ns


_LIST_NOTES = {
  'missing': 'files of the list are in no input',
  'ambiguous': 'paths of the list may be several files',
  'not_listed': 'images are not in the list and left alone',
}


class FolderSource:
  """Images of `[.../]IDENTITY/image.jpg`, or those that a list names.

  Identities of one name are one person over all inputs. An item is a label, a
  place and an input, twelve bytes; names stand once, in the archives' tables.
  """

  def __init__(
    self, paths: Sequence[PathLike], *, image_list: PathLike | None = None
  ):
    """Opens the inputs and finds their images.

    Args:
      paths: folders, zips and tars.
      image_list: a list that says which images to take and whom they show,
        see `read_image_list`; a path in it is whole or the end of exactly one
        file's. Without, every image belongs to the folder it lies in.

    Raises:
      DataError: an input is missing, none of these kinds, cannot be listed or
        has unsafe names; the list cannot be used.
      UsageError: no input is given, or one twice.
    """
    if not paths:
      raise UsageError('no input: name folders, zips or tars with --input')
    self.inputs = [str(path) for path in paths]
    if len({absolute(path) for path in paths}) < len(paths):
      raise UsageError(f'--input names a place twice: {",".join(self.inputs)}')
    self._list: ImageList | None = None
    if image_list is not None:
      self._list = read_image_list(image_list)
    self._archives: list[Archive] = [open_archive(path) for path in paths]
    if any(isinstance(archive, BinPairs) for archive in self._archives):
      raise UsageError('a .bin has pairs, no folders: use --source=bin')
    self._names = [archive.names() for archive in self._archives]
    self._counts: list[dict[str, int]] = []
    self.num_ignored = 0
    if self._list is None:
      self._take_all()
    else:
      self._take_listed(self._list)

  def _images(self, number: int) -> array.array:
    """Places of an input's images; counts its files."""
    places, hidden = array.array('i'), 0
    names = files.progress(
      self._names[number], desc='images', unit='file', delay=1
    )
    for place, name in enumerate(names):
      if is_hidden(name):
        hidden += 1
      elif is_image(name):
        places.append(place)
    found = {
      'files': len(self._names[number]) - hidden,
      'images': len(places),
    }
    self._counts.append(found)
    self.num_ignored += found['files'] - found['images']
    return places

  def _take_all(self) -> None:
    """Every image is an item, of the folder it lies in."""
    people, places, inputs = Numbering(), array.array('i'), array.array('i')
    for number, names in enumerate(self._names):
      for place in self._images(number):
        folders = names[place].split('/')[:-1]
        people.add(folders[-1] if folders else None)
        places.append(place)
        inputs.append(number)
    self.identities, self.labels = people.finish()
    self._places: Int32[np.ndarray, ' N'] = np.frombuffer(places, np.int32)
    self._inputs = np.frombuffer(inputs, np.int32)

  def _take_listed(self, listed: ImageList) -> None:
    """Every line of the list is an item, whether its file is there or not."""
    archives = []
    for number, names in enumerate(self._names):
      self._images(number)
      root = ''
      if isinstance(self._archives[number], FolderArchive):
        root = absolute(self.inputs[number]) + '/'
      archives.append((root, names))
    self.identities, self.labels = listed.identities, listed.labels
    self._inputs, self._places = match_list(listed.paths, archives)

  def path(self, item: int) -> str:
    """Of an item within its input; as the list has it where none is there."""
    place = self._places[item]
    if place < 0:
      return self._list.paths[item]
    return self._names[self._inputs[item]][place]

  def input_of(self, item: int) -> int:
    """The place in `inputs` of what holds an item; 0 for a missing one."""
    return int(self._inputs[item])

  def read(self, item: int) -> bytes:
    """The encoded image of an item.

    Raises:
      DataError: missing, unreadable, corrupt or outside its folder.
    """
    place, path = self._places[item], self.path(item)
    if place == MISSING:
      raise DataError(f'{path}: stands in the list, but in no input')
    if place == AMBIGUOUS:
      raise DataError(
        f'{path}: several files end like this: give more of the path in the '
        'list'
      )
    return self._archives[self._inputs[item]].read(path)

  def why_nameless(self, item: int) -> str:
    """Without a list, the place of a file names its person."""
    del item
    return 'lies in no folder IDENTITY/image.jpg, and no --list names it'

  def claims(self) -> dict[str, Any]:
    """Files and images by input; how the list fits them, if there is one."""
    claims: dict[str, Any] = {
      'inputs': dict(zip(self.inputs, self._counts, strict=True)),
      'notes': [],
    }
    if self._list is not None:
      found = self._places >= 0
      pairs = np.stack([self._inputs, self._places], 1)[found]
      listed = sum(
        is_image(self._names[number][place])
        for number, place in np.unique(pairs, axis=0)
      )
      images = sum(counts['images'] for counts in self._counts)
      claims['list'] = {
        'images': len(self._places),
        'missing': int((self._places == MISSING).sum()),
        'ambiguous': int((self._places == AMBIGUOUS).sum()),
        'not_listed': images - listed,
      }
      claims['notes'] = [
        f'{claims["list"][key]} {what}'
        for key, what in _LIST_NOTES.items()
        if claims['list'][key]
      ]
    return claims

  def fingerprint(self) -> str:
    """Of all names and labels, and of size and time of a zip or tar.

    The content of the files in a folder is not looked at: asking for millions
    of times of change would take as long as reading the images.
    """
    digest = hashlib.sha256()
    for path, archive, names in zip(
      self.inputs, self._archives, self._names, strict=True
    ):
      digest.update(os.fsencode(path) + b'\n')
      if not isinstance(archive, FolderArchive):
        digest.update(repr(_stamp(path)).encode())
      for name in names:
        digest.update(os.fsencode(name) + b'\0')
    for name in self.identities:
      digest.update(os.fsencode(name) + b'\0')
    for numbers in (self.labels, self._places, self._inputs):
      digest.update(np.ascontiguousarray(numbers))
    return digest.hexdigest()
