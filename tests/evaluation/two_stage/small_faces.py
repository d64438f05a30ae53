"""People of small whole numbers: all cosines and scores are exact, many tie."""

import numpy as np

NUM_PEOPLE, NUM_IMAGES, SIZE, BITS = 9, 4, 4, 8
# Vectors of +-1/2 are of unit norm; their products are multiples of 1/4.


def small_faces(seed=0):
  """Features [N, D], logits [N, L], labels [N], gallery and probes.

  Person 0 has two enrolled images, everybody else one.
  """
  rng = np.random.default_rng(seed)
  labels = np.repeat(np.arange(NUM_PEOPLE), NUM_IMAGES)
  features = rng.choice([-0.5, 0.5], (NUM_PEOPLE, SIZE))[labels]
  flipped = rng.random(features.shape) < 0.12
  features = np.where(flipped, -features, features).astype(np.float32)
  weights = rng.integers(-2, 3, (SIZE, BITS))
  logits = 2 * features @ weights + rng.integers(-1, 2, (len(labels), BITS))
  gallery = np.append(np.arange(0, len(labels), NUM_IMAGES), 1)
  probes = np.setdiff1d(np.arange(len(labels)), gallery)
  return features, logits.astype(np.float32), labels, gallery, probes
