"""Small indexes of random faces, and a naive search of them."""

import numpy as np

from facejax.search.index import FaceIndex
from facejax.search.results import Probes

BITS, SIZE = 32, 16
# Whole numbers, so that logits of `sign_vectors` are exact in float32.
_PROJECTION = np.random.default_rng(7).integers(-9, 10, (SIZE, BITS))


def unit_vectors(count, *, seed=0, size=SIZE):
  """Random float32 [count, size] of unit norm."""
  rows = np.random.default_rng(seed).normal(size=(count, size))
  return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def sign_vectors(count, *, seed=0):
  """Random float32 [count, 16] of +-1/4: unit norm, exact and often equal."""
  signs = np.random.default_rng(seed).integers(0, 2, (count, SIZE))
  return ((2 * signs - 1) / 4).astype(np.float32)


def probes(embeddings):
  """Embeddings with the logits that a fixed projection gives them."""
  return Probes(embeddings, (embeddings @ _PROJECTION).astype(np.float32))


def names(count, start=0):
  return [f'p{i // 3}/{i}.jpg' for i in range(start, start + count)]


def people(count, start=0):
  """Three templates each."""
  return [f'p{i // 3}' for i in range(start, start + count)]


def add(index, count, *, start=0, seed=0, owners=None):
  """Adds templates start .. start + count - 1; returns their embeddings."""
  rows = unit_vectors(count, seed=seed)
  owners = people(count, start) if owners is None else owners
  codes = probes(rows).codes if index.bits else None
  embeddings = None if index.vectors == 'none' else rows
  index.add(names(count, start), owners, codes, embeddings)
  return rows


def create(path, count=0, **fields):
  """An index of random faces, open for writing."""
  fields = {'bits': BITS, 'embedding_size': SIZE, 'vectors': 'float32'} | fields
  index = FaceIndex.create(path, **fields)
  if count:
    add(index, count)
  return index


def naive(keys, owners, living, k, *, by_person):
  """Rows of the k least keys, ties to the lower row.

  Args:
    keys: float [Q, T], least is best.
    owners: person of every row.
    living: bool [T].
    k: answers.
    by_person: keeps the best row of each person alone.
  """
  answers = []
  for row_keys in keys:
    found, seen = [], set()
    for row in np.argsort(row_keys, kind='stable').tolist():
      if not living[row] or (by_person and owners[row] in seen):
        continue
      seen.add(owners[row])
      found.append(row)
    answers.append(found[:k])
  return answers
