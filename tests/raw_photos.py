"""The unaligned photos of ../shared and their published landmarks."""

import os

import numpy as np

from facejax.data.images import decode_image
from facejax.data.landmarks import LandmarkList
from tests.conftest import SHARED

FOLDER = os.path.join(SHARED, 'faces', 'raw_sample')
LFW_LIST = os.path.join(FOLDER, 'lfw_landmarks_250.txt')
LFW_SCALE = 0.6  # the list is of the 250-pixel originals, the photos have 150
MISSING = 'the folder ../shared with real faces is not here'


def exist() -> bool:
  return os.path.isdir(FOLDER)


def read(folder: str, names: list[str] | None = None) -> list[np.ndarray]:
  """The photos of 'lfw' or 'celeba' by name, all of them sorted without."""
  root = os.path.join(FOLDER, folder)
  photos = []
  for name in names or sorted(os.listdir(root)):
    with open(os.path.join(root, name), 'rb') as file:
      photos.append(decode_image(file.read(), name))
  return photos


def lfw_landmarks() -> LandmarkList:
  return LandmarkList(LFW_LIST, scale=LFW_SCALE)
