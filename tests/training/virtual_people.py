"""Embeddings of people who are points in a space, for tests of hash layers."""

import numpy as np

from facejax.training.hash_features import HashFeatures, make_hash_features


def draw_people(
  seed: int, *, people: int, images: int = 6, size: int = 32
) -> HashFeatures:
  """People from one normal distribution, whatever the seed; images near them.

  Some directions say more than others, as in embeddings of trained nets.
  """
  rng = np.random.RandomState(seed)
  scales = np.linspace(2.0, 0.1, size)
  turned = np.linalg.qr(np.random.RandomState(0).standard_normal((size, size)))
  persons = rng.standard_normal((people, 1, size)) * scales
  faces = (
    persons + 0.6 * rng.standard_normal((2, people, images, size)) * scales
  )
  faces = (faces @ turned[0]).reshape(2, people * images, size)
  labels = np.repeat(np.arange(people), images)
  return make_hash_features(*faces.astype(np.float32), labels)
