"""A tiny IJB in the official file formats, of drawn faces to be aligned."""

import os

import cv2
import numpy as np

from facejax.data.alignment import template
from facejax.data.images import encode_png
from tests.evaluation import faces

NUM_PEOPLE = 6
# Media of a template by kind: a gallery has two photos, a probe a photo and a
# video of two frames.
MEDIA = {'gallery': (0, 1), 'probe': (0, 1, 1)}
_SUFFIX = {'ijbb': ('S1', 'S2'), 'ijbc': ('G1', 'G2')}


def loose_crop(face, seed):
  """A face turned, scaled and shifted in a larger photo, and its landmarks."""
  rng = np.random.default_rng(seed)
  angle, scale = rng.uniform(-0.3, 0.3), rng.uniform(1.0, 1.4)
  linear = scale * np.array(
    [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
  )
  shift = np.array([110, 110]) - linear @ [56, 56] + rng.uniform(-5, 5, 2)
  matrix = np.concatenate([linear, shift[:, None]], axis=1)
  photo = cv2.warpAffine(face, matrix, (220, 220))
  return photo, template((112, 112)) @ linear.T + shift


class Ijb:
  """What was written, for oracles.

  Attributes:
    root: folder with loose_crop and meta.
    images: name, face, template, medium, detector score of every image.
    subjects: of every template.
    galleries: two lists of templates.
    probes: list of templates.
    pairs: (first, second, label).
  """

  def __init__(self, root, prefix='ijbc'):
    self.root, self.prefix = root, prefix
    self.images, self.subjects, self.pairs = [], {}, []
    self.landmarks = {}
    self.galleries, self.probes = ([], []), []
    for folder in ('loose_crop', 'meta'):
      os.makedirs(os.path.join(root, folder), exist_ok=True)
    for person in range(NUM_PEOPLE):
      home = self.galleries[person >= NUM_PEOPLE // 2]
      home.append(self._add_template(person, 'gallery'))
      self.probes += [self._add_template(person, 'probe') for _ in range(2)]
    for first in sum(self.galleries, []):
      for second in self.probes:
        same = int(self.subjects[first] == self.subjects[second])
        self.pairs.append((first, second, same))
    self.write_lists()

  def _add_template(self, person, kind):
    number = 100 + 7 * len(self.subjects)
    self.subjects[number] = 1000 + person
    for medium in MEDIA[kind]:
      row = len(self.images)
      name = f'{row + 1}.png'
      face = faces.crop(person, row)
      photo, points = loose_crop(face, row)
      with open(self.path('loose_crop', name), 'wb') as file:
        file.write(encode_png(photo))
      self.landmarks[name] = points
      score = 0.5 + row % 5 / 10
      self.images.append((name, number, 10 * number + medium, score))
    return number

  def path(self, *parts):
    return os.path.join(self.root, *parts)

  def meta(self, kind):
    return self.path('meta', f'{self.prefix}_{kind}')

  def write(self, kind, lines):
    with open(self.meta(kind), 'w') as file:
      file.write(''.join(f'{line}\n' for line in lines))

  def write_lists(self):
    self.write(
      'face_tid_mid.txt', (f'{n} {t} {m}' for n, t, m, _ in self.images)
    )
    self.write(
      'name_5pts_score.txt',
      (
        f'{n} {" ".join(f"{x:.3f}" for x in self.landmarks[n].ravel())} {s:.3f}'
        for n, _, _, s in self.images
      ),
    )
    self.write(
      'template_pair_label.txt',
      (f'{a} {b} {label}' for a, b, label in self.pairs),
    )
    named = dict(zip(_SUFFIX[self.prefix], self.galleries, strict=True))
    tables = {f'gallery_{name}': part for name, part in named.items()}
    for name, part in {**tables, 'probe_mixed': self.probes}.items():
      rows = [
        f'{t},{self.subjects[t]},img/{n},0,"1,5"'
        for n, t, _, _ in self.images
        if t in part
      ]
      header = 'TEMPLATE_ID,SUBJECT_ID,FILENAME,FACE_X,NOTE'
      self.write(f'1N_{name}.csv', [header, *rows])


def naive_templates(images, features):
  """Template features by loops, as ijb_11.py describes them; all weighted."""
  found = {}
  for template_id in sorted({t for _, t, _, _ in images}):
    total = np.zeros(features.shape[1])
    media = {m for _, t, m, _ in images if t == template_id}
    for medium in media:
      rows = [
        i
        for i, (_, t, m, _) in enumerate(images)
        if (t, m) == (template_id, medium)
      ]
      total += features[rows].astype(np.float64).mean(axis=0)
    found[template_id] = total / np.linalg.norm(total)
  return found
