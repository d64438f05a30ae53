"""Small galleries, and the search that anybody would write first."""

import numpy as np


def draw_codes(rng, count, bits):
  return rng.integers(0, 256, (count, bits // 8), dtype=np.uint8)


def draw_vectors(rng, count, size):
  vectors = rng.standard_normal((count, size)).astype(np.float32)
  return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def distances(probes, codes):
  """Hamming distances [Q, T], bit by bit."""
  bits = (np.unpackbits(array, axis=1) for array in (probes, codes))
  a, b = (array.astype(np.int32) for array in bits)
  return a @ (1 - b.T) + (1 - a) @ b.T


def signs(codes):
  """+1 and -1 of codes, float64 [T, L]."""
  return 2.0 * np.unpackbits(codes, axis=1, bitorder='little') - 1


def best(costs, k, worst, removed=None):
  """(values, rows) of the k least costs of each row, ties to the lower."""
  num_probes, num_rows = costs.shape
  values = np.full((num_probes, k), worst, costs.dtype)
  rows = np.full((num_probes, k), -1, np.int64)
  live = np.arange(num_rows)
  if removed is not None:
    live = live[~removed]
  for probe in range(num_probes):
    order = live[np.argsort(costs[probe, live], kind='stable')][:k]
    values[probe, : len(order)] = costs[probe, order]
    rows[probe, : len(order)] = order
  return values, rows
