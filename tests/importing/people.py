"""A prepared set of real people, small enough to embed in seconds."""

import os
import zipfile

from facejax.preparation import prepare
from tests.preparation.face_sets import MemorySource


def write_people(shared, root, *, people, images):
  """Prepares the first images of the first people of CelebA at root/people."""
  members = {}
  with zipfile.ZipFile(os.path.join(shared, 'faces/train_112_celeba.zip')) as z:
    files = {}
    for name in sorted(n for n in z.namelist() if n.endswith('.jpg')):
      files.setdefault(name.split('/')[-2], []).append(name)
    several = [p for p, names in files.items() if len(names) >= images]
    for person in several[:people]:
      for name in files[person][:images]:
        members[f'{person}/{os.path.basename(name)}'] = z.read(name)
  prepare.prepare(MemorySource(members), root / 'people', min_images=1)
  return root / 'people'
