"""Small generated face sets for tests of data and training."""

import pathlib
import zipfile
from collections.abc import Mapping

import cv2
import numpy as np

from facejax.data.images import encode_jpeg
from facejax.preparation import prepare, sources


def draw(seed: int, size: tuple[int, int] = (112, 112)) -> np.ndarray:
  """Smooth noise uint8 [H, W, 3], different for every seed."""
  coarse = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
  return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def write_folder(root: pathlib.Path, counts: Mapping[str, int]) -> pathlib.Path:
  """Writes root/IDENTITY/N.jpg."""
  for person, (name, count) in enumerate(counts.items()):
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for image in range(count):
      data = encode_jpeg(draw(1000 * person + image))
      (folder / f'{image:03d}.jpg').write_bytes(data)
  return root


def write_zip(path: pathlib.Path, members: Mapping[str, bytes]) -> pathlib.Path:
  """Writes a zip of the given files."""
  with zipfile.ZipFile(path, 'w') as archive:
    for name, data in members.items():
      archive.writestr(name, data)
  return path


def write_set(root: pathlib.Path, counts: Mapping[str, int]) -> pathlib.Path:
  """Prepares a set of generated faces at root/set."""
  folder = write_folder(root / 'faces', counts)
  prepare.prepare(sources.FolderSource([folder]), root / 'set', min_images=1)
  return root / 'set'
