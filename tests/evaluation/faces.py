"""A few drawn faces on disk and a model that projects their pixels."""

import os
import zipfile

import numpy as np

from facejax.data.images import encode_jpeg
from facejax.data.preprocessing import Preprocessing

NUM_PEOPLE, NUM_IMAGES = 6, 4


def crop(person, image):
  """A crop that is much like the others of its person."""
  base = np.random.default_rng(person).integers(0, 256, (7, 7, 3))
  noise = np.random.default_rng(100 + image).normal(0, 12, (7, 7, 3))
  pixels = np.clip(base + noise, 0, 255).astype(np.uint8)
  return np.kron(pixels, np.ones((16, 16, 1), np.uint8))


def write_folder(root, top=''):
  """IDENTITY/IDENTITY_0001.jpg of all people under root/top."""
  for person in range(NUM_PEOPLE):
    folder = os.path.join(root, top, f'P{person}')
    os.makedirs(folder, exist_ok=True)
    for image in range(NUM_IMAGES):
      path = os.path.join(folder, f'P{person}_{image + 1:04d}.jpg')
      with open(path, 'wb') as file:
        file.write(encode_jpeg(crop(person, image)))
  return root


def write_zip(path, folder):
  """The files of a folder as a zip."""
  with zipfile.ZipFile(path, 'w') as archive:
    for root, _, names in sorted(os.walk(folder)):
      for name in sorted(names):
        full = os.path.join(root, name)
        archive.write(full, os.path.relpath(full, folder))
  return path


def write_lfw_list(path):
  """Two folds of three people each, all their genuine pairs and as many."""
  lines = ['2\t9']
  for fold in range(2):
    people = range(3 * fold, 3 * fold + 3)
    lines += [f'P{p}\t{i}\t{i + 1}' for p in people for i in (1, 2, 3)]
    lines += [
      f'P{p}\t{i}\tP{3 * fold + (p + 1) % 3}\t{i}'
      for p in people
      for i in (1, 2, 3)
    ]
  with open(path, 'w') as file:
    file.write('\n'.join(lines) + '\n')
  return path


class PixelModel:
  """Projects pixels, and its embeddings to bits; keeps its calls' shapes."""

  preprocessing = Preprocessing()
  is_packed = True

  def __init__(self, training_mean=None, hash_bits=0):
    rng = np.random.default_rng(0)
    self.weights = rng.normal(size=(14 * 14 * 3, 16)).astype(np.float32)
    self.hash_weights = rng.normal(size=(16, hash_bits)).astype(np.float32)
    self.training_mean = training_mean
    self.hash_bits = hash_bits
    self.shapes = []

  def embed(self, images, *, normalize=True):
    self.shapes.append((images.shape, images.dtype.name))
    pixels = images[:, 4::8, 4::8].reshape(len(images), -1)
    x = (pixels.astype(np.float32) - 127.5) @ self.weights
    return x / np.linalg.norm(x, axis=1, keepdims=True) if normalize else x

  def embed_and_hash(self, images, *, normalize=True):
    raw = self.embed(images, normalize=False)
    x = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return x if normalize else raw, x @ self.hash_weights
