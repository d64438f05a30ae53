"""Closed-set identification: every probe's person is in the gallery."""

import dataclasses
from typing import Any

import numpy as np
from jax.sharding import Mesh

from facejax.array_typing import Float, Int
from facejax.errors import DataError
from facejax.evaluation.identification.ranks import MAX_RANK, cmc
from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.reporting.curves import Curves, ScoreHistogram
from facejax.evaluation.scoring.ranking import Matches, match_probes

_BINS = 60


def score_histogram(
  genuine: Float[np.ndarray, ' P'],
  impostor: Float[np.ndarray, ' P2'],
  *,
  threshold: float | None = None,
) -> ScoreHistogram:
  """Two kinds of scores over common bins; scores of -inf count nowhere."""
  genuine, impostor = (x[np.isfinite(x)] for x in (genuine, impostor))
  edges = np.histogram_bin_edges(np.concatenate([genuine, impostor]), _BINS)
  return ScoreHistogram(
    edges=edges.astype(np.float64),
    genuine=np.histogram(genuine, edges)[0],
    impostor=np.histogram(impostor, edges)[0],
    threshold=threshold,
  )


def check_disjoint(
  gallery_index: Int[np.ndarray, ' G'], probe_index: Int[np.ndarray, ' Q']
) -> None:
  """Refuses an image that would be found in itself.

  Raises:
    DataError: an image is both in the gallery and a probe.
  """
  both = np.intersect1d(gallery_index, probe_index)
  if len(both):
    raise DataError(
      f'image number {both[0]} and {len(both) - 1} others are in the gallery '
      'and probes too: they would find themselves'
    )


def check_closed_set(
  labels: Int[np.ndarray, ' N'],
  gallery_index: Int[np.ndarray, ' G'],
  probe_index: Int[np.ndarray, ' Q'],
) -> None:
  """Refuses a gallery and probes that are no closed set.

  Raises:
    DataError: a probe has no mate in the gallery, or is in it itself.
  """
  check_disjoint(gallery_index, probe_index)
  alone = probe_index[~np.isin(labels[probe_index], labels[gallery_index])]
  if len(alone):
    raise DataError(
      f'image number {alone[0]} and {len(alone) - 1} others are probes of '
      'people who are not in the gallery: a closed set has no such probes'
    )


@dataclasses.dataclass(frozen=True)
class ClosedSetResult:
  """Who was found at which rank.

  Attributes:
    gallery_index: int [G], rows of the features.
    probe_index: int [Q], rows of the features.
    num_identities: people in the gallery.
    matches: best mate, best other and rank of every probe; its indices are
      rows of the gallery.
  """

  gallery_index: Int[np.ndarray, ' G']
  probe_index: Int[np.ndarray, ' Q']
  num_identities: int
  matches: Matches

  @property
  def rank1(self) -> float:
    """Share of probes whose mate scores above everybody else."""
    return float((self.matches.ranks == 1).mean())

  @property
  def cmc(self) -> Float[np.ndarray, ' R']:
    """Share of probes found within rank 1, 2, ... 20."""
    return cmc(self.matches.ranks, MAX_RANK)

  def wrong(self, count: int) -> Int[np.ndarray, ' P']:
    """Probes whose best match is somebody else, the clearest errors first."""
    matches = self.matches
    wrong = np.flatnonzero(matches.ranks > 1)
    margin = matches.other_scores[wrong] - matches.mate_scores[wrong]
    return wrong[np.argsort(-margin, kind='stable')[:count]]

  def to_json(self) -> dict[str, Any]:
    """The result as JSON values; rates are shares of 1."""
    count = len(self.probe_index)
    return {
      'rank1': self.rank1,
      # Photos of one person are not independent: it is a little too narrow.
      'interval_95': list(wilson_interval(self.rank1, count)),
      'cmc': self.cmc.tolist(),
      'num_probes': count,
      'num_gallery': len(self.gallery_index),
      'num_identities': self.num_identities,
    }

  def curves(self, name: str) -> Curves:
    """CMC and histogram, to draw.

    Args:
      name: in the legend.
    """
    matches = self.matches
    histogram = score_histogram(matches.mate_scores, matches.other_scores)
    return Curves(cmc={name: self.cmc}, histogram={name: histogram})


def closed_set(
  features: Float[np.ndarray, 'N D'],
  labels: Int[np.ndarray, ' N'],
  gallery_index: Int[np.ndarray, ' G'],
  probe_index: Int[np.ndarray, ' Q'],
  *,
  mesh: Mesh | None = None,
) -> ClosedSetResult:
  """Looks every probe up in a gallery that holds its person.

  Args:
    features: float [N, D]; inner products are scores, as of
      `modes.unit_features`.
    labels: int [N], the person of every row.
    gallery_index: int [G], rows; one or more a person, of which the best
      counts.
    probe_index: int [Q], other rows.
    mesh: devices that share the probes; None takes those of this
      process.

  Returns:
    Ranks, and what they come from.

  Raises:
    DataError: no probes, a probe without mate, an image in both, or features
      that are not finite.

  References:
    spec 13.2.
  """
  check_closed_set(labels, gallery_index, probe_index)
  return ClosedSetResult(
    gallery_index=gallery_index,
    probe_index=probe_index,
    num_identities=len(np.unique(labels[gallery_index])),
    matches=match_probes(
      features[probe_index],
      features[gallery_index],
      labels[probe_index],
      labels[gallery_index],
      mesh=mesh,
    ),
  )
