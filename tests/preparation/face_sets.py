"""Small generated face sets for tests of data and training."""

import pathlib
import zipfile
from collections.abc import Mapping

import cv2
import numpy as np

from facejax.data.images import encode_jpeg
from facejax.errors import DataError
from facejax.preparation import prepare


def draw(seed: int, size: tuple[int, int] = (112, 112)) -> np.ndarray:
  """Smooth noise uint8 [H, W, 3], different for every seed."""
  coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
  return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


class MemorySource:
  """A FaceSource of files in memory, 'IDENTITY/file' -> bytes."""

  num_ignored = 0

  def __init__(self, members: Mapping[str, bytes], *, inputs=('memory',)):
    self.members = dict(members)
    self.inputs = list(inputs)
    self._paths = list(members)
    folders = [path.rpartition('/')[0] for path in self._paths]
    self.identities = list(dict.fromkeys(f for f in folders if f))
    numbers = {name: i for i, name in enumerate(self.identities)}
    self.labels = np.array([numbers.get(f, -1) for f in folders], np.int32)
    self.num_reads = 0

  def path(self, item):
    return self._paths[item]

  def input_of(self, item):
    del item
    return 0

  def read(self, item):
    self.num_reads += 1
    data = self.members[self._paths[item]]
    if data is None:
      raise DataError(f'{self._paths[item]}: cannot be read')
    return data

  def why_nameless(self, item):
    del item
    return 'lies in no folder'

  def claims(self):
    return {'inputs': {}, 'notes': []}

  def fingerprint(self):
    return repr(self._paths)


def members(counts: Mapping[str, int]) -> dict[str, bytes]:
  """Files IDENTITY/N.jpg of drawn images, all different."""
  return {
    f'{name}/{image:03d}.jpg': encode_jpeg(draw(1000 * person + image))
    for person, (name, count) in enumerate(counts.items())
    for image in range(count)
  }


def write_folder(root: pathlib.Path, counts: Mapping[str, int]) -> pathlib.Path:
  """Writes root/IDENTITY/N.jpg."""
  for name, data in members(counts).items():
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
  return root


def write_zip(path: pathlib.Path, members: Mapping[str, bytes]) -> pathlib.Path:
  """Writes a zip of the given files."""
  with zipfile.ZipFile(path, 'w') as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return path


def write_set(root: pathlib.Path, counts: Mapping[str, int]) -> pathlib.Path:
  """Prepares a set of generated faces at root/set."""
  source = MemorySource(members(counts))
  prepare.prepare(source, root / 'set', min_images=1)
  return root / 'set'
