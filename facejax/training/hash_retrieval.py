"""How well codes find people: what hash layers are chosen by."""

from collections.abc import Callable

import numpy as np

from facejax.array_typing import Float, Int

_ROWS = 512


def mate_first(
  score: Callable[[np.ndarray], Float[np.ndarray, 'B N']],
  labels: Int[np.ndarray, ' N'],
) -> float:
  """How often a mate is found before all other people.

  A pair is a probe and another image of its person, which counts as found if
  its score is above those of all images of other people: Rank-1 with one mate
  among about N distractors. Every probe with a mate has the same weight.

  Args:
    score: gives the scores of some rows, by their places, with all N images.
    labels: the person of each image.

  Returns:
    0 .. 1; 0 where nobody has two images.
  """
  shares = []
  for start in range(0, len(labels), _ROWS):
    rows = np.arange(start, min(start + _ROWS, len(labels)))
    scores = score(rows)
    same = labels[rows, None] == labels[None, :]
    nearest_other = np.where(same, -np.inf, scores).max(1, keepdims=True)
    same[np.arange(len(rows)), rows] = False
    mates = same.sum(1)
    found = (same & (scores > nearest_other)).sum(1)
    shares.append(found[mates > 0] / mates[mates > 0])
  shares = np.concatenate(shares) if shares else np.zeros(0)
  return float(shares.mean()) if len(shares) else 0.0


def retrieval(
  embeddings: Float[np.ndarray, 'N D'],
  logits: Float[np.ndarray, 'N L'],
  labels: Int[np.ndarray, ' N'],
) -> dict[str, float]:
  """`mate_first` by cosine, by Hamming distance, by asymmetric distance.

  Args:
    embeddings: unit norm.
    logits: of the hash layer.
    labels: the person of each image.

  Returns:
    'float', 'hamming' and 'asymmetric'.
  """
  codes = np.where(logits > 0, 1, -1).astype(np.float32)
  ways = {
    'float': (embeddings, embeddings),
    'hamming': (codes, codes),
    'asymmetric': (logits, codes),
  }
  return {
    name: mate_first(lambda rows, a=queries, b=stored: a[rows] @ b.T, labels)
    for name, (queries, stored) in ways.items()
  }
