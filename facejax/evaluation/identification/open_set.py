"""Open-set identification: some probes show people whom nobody enrolled."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from facejax.array_typing import Bool, Float, Int
from facejax.errors import DataError
from facejax.evaluation import rates
from facejax.evaluation.identification.closed_set import (
  check_disjoint,
  score_histogram,
)
from facejax.evaluation.identification.ranks import (
  DetectionPoint,
  dir_at_far,
  dir_curve,
)
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.reporting.curves import Curves, DirCurve
from facejax.evaluation.scoring.ranking import Matches, match_probes

_DRAWN_FAR = 1e-2  # where the histogram shows a threshold, if it is resolved


@dataclasses.dataclass(frozen=True)
class OpenSetResult:
  """Who was found, and who raised a false alarm.

  Attributes:
    gallery_index: int [G], rows of the features.
    probe_index: int [Q], rows of the features.
    num_identities: people in the gallery.
    matches: of every probe; its indices are rows of the gallery.
    points: detection and identification rate at rank 1, by false-alarm rate.
  """

  gallery_index: Int[np.ndarray, ' G']
  probe_index: Int[np.ndarray, ' Q']
  num_identities: int
  matches: Matches
  points: dict[float, DetectionPoint]

  @property
  def is_genuine(self) -> Bool[np.ndarray, ' Q']:
    """Whether the gallery holds the probe's person."""
    return self.matches.ranks > 0

  @property
  def rank1(self) -> float:
    """Share of genuine probes found first, whatever the score."""
    return float((self.matches.ranks[self.is_genuine] == 1).mean())

  def _scores(self):
    """What the rates come from: mates' scores and ranks, best of impostors."""
    genuine = self.is_genuine
    return (
      self.matches.mate_scores[genuine],
      self.matches.ranks[genuine],
      self.matches.other_scores[~genuine],
    )

  def wrong(self, count: int) -> Int[np.ndarray, ' P']:
    """Probes that score highest with somebody else, the worst first.

    Impostors with their best match, and genuine probes whose best match is not
    their mate.
    """
    wrong = np.flatnonzero(self.matches.ranks != 1)
    scores = self.matches.other_scores[wrong]
    return wrong[np.argsort(-scores, kind='stable')[:count]]

  def to_json(self) -> dict[str, Any]:
    """The result as JSON values; rates are shares of 1, keyed '1e-2'."""
    num_genuine = int(self.is_genuine.sum())
    num_impostors = len(self.probe_index) - num_genuine
    named = {rates.far_name(far): x for far, x in self.points.items()}
    return {
      'dir_at_far': {name: point.dir for name, point in named.items()},
      # Photos of one person are not independent: they are a little too narrow.
      'dir_interval_95': {
        name: list(wilson_interval(point.dir, num_genuine))
        for name, point in named.items()
      },
      'thresholds': {name: point.threshold for name, point in named.items()},
      'far_rule': 'at_most',
      'smallest_far': 1 / num_impostors,
      'rank1': self.rank1,
      'num_probes': len(self.probe_index),
      'num_genuine': num_genuine,
      'num_impostors': num_impostors,
      'num_gallery': len(self.gallery_index),
      'num_identities': self.num_identities,
    }

  def curves(self, name: str) -> Curves:
    """DIR over FAR, and the best scores of mates and impostors, to draw.

    Args:
      name: in the legend.
    """
    genuine, _, impostor = self._scores()
    curve = dir_curve(*self._scores())
    point = self.points.get(_DRAWN_FAR)
    return Curves(
      dir={name: DirCurve(curve.far, curve.dir, len(impostor))},
      histogram={
        name: score_histogram(
          genuine,
          impostor,
          threshold=None if point is None else point.threshold,
        )
      },
    )


def _points(
  matches: Matches, fars: Sequence[float | int] | None
) -> dict[float, DetectionPoint]:
  """Operating points at the rates asked for, or at those resolved."""
  genuine = matches.ranks > 0
  impostor_scores = matches.other_scores[~genuine]
  if fars is None:
    fars = rates.resolvable_fars(len(impostor_scores))
  return {
    float(far): dir_at_far(
      matches.mate_scores[genuine],
      matches.ranks[genuine],
      impostor_scores,
      float(far),
    )
    for far in fars
  }


def open_set(
  features: Float[np.ndarray, 'N D'],
  labels: Int[np.ndarray, ' N'],
  gallery_index: Int[np.ndarray, ' G'],
  probe_index: Int[np.ndarray, ' Q'],
  *,
  fars: Sequence[float | int] | None = None,
  mesh: Mesh | None = None,
) -> OpenSetResult:
  """Looks probes up in a gallery that holds only some of their people.

  Args:
    features: float [N, D]; inner products are scores, as of
      `modes.unit_features`.
    labels: int [N], the person of every row.
    gallery_index: int [G], rows; one or more a person, of which the best
      counts.
    probe_index: int [Q], other rows; those whose person is not in the gallery
      are impostors.
    fars: false-alarm rates; None takes the decades that the impostors
      resolve.
    mesh: devices that share the probes; None takes those of this
      process.

  Returns:
    Rates, and what they come from.

  Raises:
    DataError: probes of one kind only, an image in both, or features that are
      not finite.
    UsageError: a rate that the impostors cannot resolve.

  References:
    spec 13.2 and 13.5.
  """
  check_disjoint(gallery_index, probe_index)
  genuine = np.isin(labels[probe_index], labels[gallery_index])
  if genuine.all() or not genuine.any():
    kind = 'impostor' if genuine.all() else 'genuine'
    raise DataError(
      f'none of the {len(genuine)} probes is {kind}: an open set needs probes '
      'with and without a mate in the gallery'
    )
  matches = match_probes(
    features[probe_index],
    features[gallery_index],
    labels[probe_index],
    labels[gallery_index],
    mesh=mesh,
  )
  return OpenSetResult(
    gallery_index=gallery_index,
    probe_index=probe_index,
    num_identities=len(np.unique(labels[gallery_index])),
    matches=matches,
    points=_points(matches, fars),
  )
