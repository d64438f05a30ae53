"""The pairs of templates that a model confuses most, to look at."""

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.data.ijb_set import IjbLists
from facejax.evaluation.reporting.curves import ConfusedPair
from facejax.evaluation.sources import EmbeddingSource

_SHOWN = 12  # pairs of either kind


def _most_confused(
  scores: Float[np.ndarray, ' P'], same: Bool[np.ndarray, ' P']
) -> Int[np.ndarray, ' C']:
  """Impostor pairs with the highest scores and genuine ones with the lowest."""
  chosen = []
  for kind, sign in ((~same, -1), (same, 1)):
    badness = np.where(kind, sign * scores, np.inf)
    count = min(_SHOWN, int(kind.sum()))
    worst = np.argpartition(badness, count - 1)[:count]
    chosen.append(worst[np.argsort(badness[worst], kind='stable')])
  return np.concatenate(chosen)


def confused_templates(
  lists: IjbLists, scores: Float[np.ndarray, ' P'], source: EmbeddingSource
) -> list[ConfusedPair]:
  """The most confused pairs of 1:1.

  A template is shown by the face of which the detector was surest.

  Args:
    lists: with pairs.
    scores: float32 [P].
    source: knows the pictures, or not.

  Raises:
    DataError: a picture cannot be read.
  """
  pairs = lists.pairs
  chosen = _most_confused(scores, pairs.same)
  templates = np.stack([pairs.first[chosen], pairs.second[chosen]], axis=1)
  names = {}
  for template in np.unique(templates):
    rows = np.flatnonzero(lists.faces.templates == template)
    surest = rows[np.argmax(lists.faces.detector_scores[rows])]
    names[int(template)] = lists.faces.names[int(surest)]
  shown = source.pictures(list(names.values()))
  pictures = {} if shown is None else dict(zip(names, shown, strict=True))
  return [
    ConfusedPair(
      first=f'template {first} ({names[first]})',
      second=f'template {second} ({names[second]})',
      score=float(scores[pair]),
      genuine=bool(pairs.same[pair]),
      pictures=(pictures[first], pictures[second]) if pictures else None,
    )
    for pair, (first, second) in zip(chosen, templates.tolist(), strict=True)
  ]
