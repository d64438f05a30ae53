"""Writes InsightFace's verification sets (`.bin`)."""

import pickle

import numpy as np

from facejax import files
from facejax.data.archives import Archive, image_names
from facejax.data.images import image_size
from facejax.data.protocols import PairList, resolve_names
from facejax.errors import DataError


def write_bin(
  path: files.PathLike, archive: Archive, pairs: PairList, *, where: str
) -> dict[str, int]:
  """Writes a pair list and its images as one file.

  The pairs stand fold by fold, so that ten folds of one size are those that
  `BinPairs` and InsightFace cut from the file. Images keep their bytes. The
  pickle is of protocol 2, which Python 2 and 3 read.

  Args:
    path: the file, written atomically.
    archive: has the images, under any top folder.
    pairs: the list.
    where: what to call the archive in an error.

  Returns:
    num_pairs, num_images (distinct ones) and bytes.

  Raises:
    DataError: an image is missing or is none.
  """
  names = pairs.images()
  members = resolve_names(names, image_names(archive), where=where)
  images = {}
  for name in files.progress(names, desc='reading', unit='image'):
    images[name] = archive.read(members[name])
    if image_size(images[name]) is None:
      raise DataError(f'{where}: {members[name]} is no readable image')
  order = np.argsort(pairs.folds, kind='stable')
  # One object for an image of several pairs is written once.
  entries = [
    images[name]
    for pair in order
    for name in (pairs.names_a[pair], pairs.names_b[pair])
  ]
  same = [bool(pairs.same[pair]) for pair in order]
  data = pickle.dumps((entries, same), protocol=2)
  files.write_bytes(path, data)
  return {
    'num_pairs': len(same),
    'num_images': len(images),
    'bytes': len(data),
  }
