"""The pairs that a model got most wrong, to look at."""

from collections.abc import Sequence

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.evaluation.reporting.curves import ConfusedPair
from facejax.evaluation.sources import EmbeddingSource

NUM_CONFUSED = 12


def most_confused(
  excess: Float[np.ndarray, ' P'],
  same: Bool[np.ndarray, ' P'],
  *,
  count: int = NUM_CONFUSED,
) -> Int[np.ndarray, ' W']:
  """The impostor pairs and the genuine pairs furthest on the wrong side.

  Args:
    excess: float [P], how far the score of a pair is above its threshold.
    same: bool [P], True for genuine pairs.
    count: pairs wanted of each kind; a set with fewer gives all of them.

  Returns:
    Int [W], places of the pairs, worst first; of equally wrong ones the first
    in the list. Where fewer than `count` were decided wrongly, the rest are
    those nearest to the threshold.
  """
  wrong = np.where(same, -excess, excess)
  worst = [
    kind[np.argsort(-wrong[kind], kind='stable')[:count]]
    for kind in (np.flatnonzero(~same), np.flatnonzero(same))
  ]
  places = np.concatenate(worst)
  return places[np.argsort(-wrong[places], kind='stable')]


def confused_pairs(
  source: EmbeddingSource,
  names_a: Sequence[str],
  names_b: Sequence[str],
  scores: Float[np.ndarray, ' W'],
  same: Bool[np.ndarray, ' W'],
) -> tuple[ConfusedPair, ...]:
  """Pairs with their pictures, where the source knows them.

  Args:
    source: may give the encoded images.
    names_a: first image of every pair.
    names_b: second image of every pair.
    scores: float [W], in the unit of the report's histogram.
    same: bool [W], True for genuine pairs.

  Raises:
    DataError: an image is missing or cannot be read; names it.
  """
  names = sorted({*names_a, *names_b})
  pictures = source.pictures(names)
  shown = None if pictures is None else dict(zip(names, pictures, strict=True))
  return tuple(
    ConfusedPair(
      first=first,
      second=second,
      score=float(score),
      genuine=bool(genuine),
      pictures=None if shown is None else (shown[first], shown[second]),
    )
    for first, second, score, genuine in zip(
      names_a, names_b, scores, same, strict=True
    )
  )
