"""Synthetic embeddings of labelled faces, for tests of the embedding check."""

import numpy as np

from facejax.preparation.embedded_faces import EmbeddedFaces

SIZE = 64


def unit(vectors):
  return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def people(count, seed=0):
  """Directions [count, D] of people, all different."""
  return unit(np.random.default_rng(seed).normal(size=(count, SIZE)))


def images(directions, seed=1, noise=0.8):
  """One unit embedding for each direction, as alike as photos of a person."""
  rng = np.random.default_rng(seed)
  return unit(
    directions + noise * unit(rng.normal(size=np.shape(directions)))
  ).astype(np.float32)


def faces(vectors, labels, prefix='p'):
  """EmbeddedFaces with names p000 .. and keys 'p000/0003.jpg'."""
  labels = np.asarray(labels, np.int32)
  names = [f'{prefix}{k:03d}' for k in range(labels.max() + 1)]
  return EmbeddedFaces(
    np.asarray(vectors),
    labels,
    names,
    lambda places: [f'{names[labels[i]]}/{int(i):04d}.jpg' for i in places],
  )


def clean_set(num_people=60, per_person=10, seed=0):
  """Nothing in it is suspicious; returns faces and the people's directions."""
  directions = people(num_people, seed)
  labels = np.repeat(np.arange(num_people), per_person)
  return faces(images(directions[labels], seed + 1), labels), directions
