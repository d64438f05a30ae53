"""Features whose inner products are exact, and naive loops over them."""

import numpy as np

NUM_IMAGES, DIMENSION = 700, 8


def grid(count=NUM_IMAGES, *, steps=16, seed=0):
  """Multiples of 1 / steps: sums of their products round nowhere."""
  rng = np.random.default_rng(seed)
  values = rng.integers(-steps, steps + 1, (count, DIMENSION)) / steps
  return values.astype(np.float32)


def people(count=NUM_IMAGES, *, images=4, seed=0):
  """Labels of people with about `images` images each, in no order."""
  return np.random.default_rng(seed).integers(0, count // images + 1, count)


# By name; from scores that are nearly all different to scores that all tie.
FEATURES = {
  'fine': grid(steps=256),
  'coarse': grid(steps=2),
  'duplicates': np.repeat(grid(7, steps=4), 100, axis=0),
  'equal': np.full((NUM_IMAGES, DIMENSION), 0.25, np.float32),
  'zero': np.zeros((NUM_IMAGES, DIMENSION), np.float32),
}


def naive_pairs(features, labels):
  """(rows, columns, scores) of all pairs of different people, best first."""
  rows, columns = np.triu_indices(len(labels), 1)
  different = labels[rows] != labels[columns]
  rows, columns = rows[different], columns[different]
  return sort_pairs(rows, columns, (features @ features.T)[rows, columns])


def sort_pairs(rows, columns, scores):
  """By falling score; equal ones by their places."""
  order = np.lexsort((columns, rows, -scores))
  return rows[order], columns[order], scores[order]
