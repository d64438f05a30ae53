"""The pairs that a model got most wrong on MegaFace, to look at."""

from collections.abc import Sequence

import numpy as np

from facejax.evaluation.megaface.challenge import MegaFace
from facejax.evaluation.megaface.distractors import Distractors
from facejax.evaluation.protocols.confused_pairs import NUM_CONFUSED
from facejax.evaluation.reporting.curves import ConfusedPair
from facejax.evaluation.sources import EmbeddingSource


def most_confused(
  source: EmbeddingSource,
  probes: Sequence[str],
  distractors: Distractors,
  found: MegaFace,
) -> list[ConfusedPair]:
  """Distractors that beat a mate, then the mates least alike.

  Where the most alike are one person indeed, the sets share people: look.

  Args:
    source: may know the pictures of the probes.
    probes: their names.
    distractors: may know their pictures.
    found: the scores.
  """
  pairs, tail = found.pairs, found.pairs.tail
  beaten = found.most_alike(NUM_CONFUSED)
  missed = np.flatnonzero(found.hits(1) < 2)
  missed = missed[np.argsort(pairs.genuine[missed], kind='stable')]
  missed = missed[:NUM_CONFUSED]
  first = [probes[row] for row in (*tail.first[beaten], *pairs.first[missed])]
  others = [distractors.names[place] for place in tail.second[beaten]]
  mates = [probes[row] for row in pairs.second[missed]]
  shown = source.pictures(first + mates) if first else None
  shown_others = distractors.pictures(others) if others else []
  scores = [*tail.scores[beaten], *pairs.genuine[missed]]
  left = right = [None] * len(first)
  if shown is not None:
    left = shown[: len(first)]
    mates_shown = shown[len(first) :]
    if shown_others is not None:
      right = shown_others + mates_shown
    else:
      right = [None] * len(others) + mates_shown
  return [
    ConfusedPair(
      first=first[place],
      second=name,
      score=float(scores[place]),
      genuine=place >= len(others),
      pictures=(
        None
        if left[place] is None or right[place] is None
        else (left[place], right[place])
      ),
    )
    for place, name in enumerate(others + mates)
  ]
