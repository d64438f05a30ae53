"""What embeddings say about names: wrong ones, double ones, forbidden ones.

Cosines to another identity are standard scores (`strangers`): deviations
above the cosines with strangers. What a score is worth is told by the number of
pairs of strangers expected to reach it in the whole set (`score_tail`), so that
a threshold is a number of false alarms.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.errors import UsageError
from facejax.inference.embedding import normalize_rows
from facejax.preparation import strangers
from facejax.preparation.components import components
from facejax.preparation.embedded_faces import EmbeddedFaces
from facejax.preparation.score_tail import Tail, fit_tail
from facejax.preparation.standard_scores import Nearest, Scorer
from facejax.preparation.strangers import Spread

_MAX_PAIRS = 1 << 20
_MIN_SPLIT = 4  # images of an identity that is cut in two


@dataclasses.dataclass(frozen=True)
class Limits:
  """Where a suspicion begins; None is estimated from the data.

  Attributes:
    near_duplicate: cosine of two images above which they are one photo.
    outlier: standard score of an image with its own identity, below which it
      does not belong there.
    same_person: standard score of two identities above which they are one.
    overlap: the same of an identity and one of the test set.
    false_alarms: pairs of strangers in the whole set that the estimated
      threshold of `same_person` lets through, expected, and images of a right
      name that another name fits better.
    false_share: of the listed outliers, those expected to be right.
    overlap_share: of the training identities, those expected to be listed as
      people of the test set by chance; a missed one spoils the test, a false
      one costs an identity.
  """

  near_duplicate: float = 0.95
  outlier: float | None = None
  same_person: float | None = None
  overlap: float | None = None
  false_alarms: float = 1.0
  false_share: float = 0.1
  overlap_share: float = 0.02

  def __post_init__(self):
    if not 0 < self.near_duplicate < 1:
      raise UsageError(
        f'near_duplicate={self.near_duplicate}: a cosine between 0 and 1'
      )
    if not self.false_alarms > 0:
      raise UsageError(f'false_alarms={self.false_alarms}: above 0')
    for name in ('false_share', 'overlap_share'):
      if not 0 < getattr(self, name) < 1:
        raise UsageError(f'{name}={getattr(self, name)}: between 0 and 1')


class Centroids(NamedTuple):
  """Identities as unit vectors.

  Attributes:
    vectors: float32 [K, D].
    cloud: of them all.
  """

  vectors: np.ndarray
  cloud: strangers.Cloud


class Pairs(NamedTuple):
  """Pairs of identities, the most alike first.

  Attributes:
    first: int64 [P], identities.
    second: int64 [P], identities of the same set or of the test set.
    score: float32 [P], standard scores.
    cosine: float32 [P], of the centroids.
    expected: float64 [P], pairs of strangers as alike as these, expected.
  """

  first: np.ndarray
  second: np.ndarray
  score: np.ndarray
  cosine: np.ndarray
  expected: np.ndarray


def centroids_of(
  faces: EmbeddedFaces, keep: Bool[np.ndarray, ' N'] | None = None
) -> Centroids:
  """Centroids of the kept images, all of them by default."""
  keep = np.ones(len(faces), bool) if keep is None else keep
  vectors = normalize_rows(faces.sums(keep))
  return Centroids(vectors, strangers.add_to_cloud(None, vectors))


def make_pairs(
  first: np.ndarray, found: Nearest, tail: Tail, listed: np.ndarray
) -> Pairs:
  """The listed of some pairs, by falling score."""
  order = np.flatnonzero(listed)
  order = order[np.argsort(-found.score[order], kind='stable')]
  return Pairs(
    first=np.asarray(first, np.int64)[order],
    second=found.place[order].astype(np.int64),
    score=found.score[order],
    cosine=found.cosine[order],
    expected=tail.expected(found.score[order]),
  )


def strangers_of(centroids: Centroids) -> Spread:
  """The cosines of identities with all the others, at least typical ones."""
  own = np.ones(len(centroids.vectors), np.float32)
  found = strangers.spread(centroids.vectors, centroids.cloud, own)
  return found.at_least(found.typical)


def self_scores(
  faces: EmbeddedFaces,
  keep: Bool[np.ndarray, ' N'],
  centroids: Centroids,
  *,
  single: bool,
  seed: int = 0,
) -> Float[np.ndarray, ' n']:
  """Standard scores of identities with themselves, cut in two at random.

  They are what a pair of identities of one person would score, had their
  images been taken on the same occasions.

  Args:
    faces: N images of K identities.
    keep: bool [N], the images that make the centroids.
    centroids: of the kept images.
    single: one image against all others, not half against half.
    seed: of the cut.

  Returns:
    float32, for every identity of four kept images or more.
  """
  draw = np.where(keep, np.random.default_rng(seed).random(len(faces)), 2.0)
  order = np.lexsort((draw, faces.labels))
  kept = np.bincount(faces.labels[keep], minlength=faces.num_identities)
  rank = (
    np.arange(len(faces)) - (np.cumsum(faces.sizes) - faces.sizes)[faces.labels]
  )
  part = np.zeros(len(faces), bool)
  taken = np.minimum(kept // 2, 1) if single else kept // 2
  part[order] = rank < taken[faces.labels]
  sums = faces.sums(part & keep), faces.sums(~part & keep)
  chosen = kept >= _MIN_SPLIT
  if not chosen.any():
    return np.zeros(0, np.float32)
  first, second = (normalize_rows(total[chosen]) for total in sums)
  cosines = np.einsum('kd,kd->k', first, second)
  scores = []
  for vectors in (first, second):
    own = np.einsum('kd,kd->k', vectors, centroids.vectors[chosen])
    found = strangers.spread(vectors, centroids.cloud, own)
    found = found.at_least(found.typical)
    scores.append((cosines - found.mean) / found.deviation)
  return (0.5 * (scores[0] + scores[1])).astype(np.float32)


def same_person(
  centroids: Centroids,
  threshold: float | None,
  false_alarms: float,
  *,
  least: float = 0.0,
) -> tuple[Pairs, Tail, float]:
  """Identities that should be one.

  Args:
    centroids: of K identities, three or more.
    threshold: a standard score, or None.
    false_alarms: expected number of pairs of strangers above the threshold, if
      it is None.
    least: an estimated threshold is no lower than this standard score.

  Returns:
    The pairs above the threshold, the tail of the strangers' scores, and the
    threshold.

  Raises:
    UsageError: a threshold that more than a million pairs exceed.
  """
  vectors, count = centroids.vectors, len(centroids.vectors)
  spread, labels = strangers_of(centroids), np.arange(count)
  scorer = Scorer(vectors, spread)
  sample = scorer.sample_places(count)
  tail = fit_tail(
    scorer.sampled(vectors[sample], spread.take(sample), sample),
    foreign=1 / count,
    count=count * (count - 1) // 2,
  )
  if threshold is None:
    threshold = max(tail.threshold(false_alarms), least)
  first, parts = [], []
  for place, scores, cosines in scorer.scores(vectors, spread, labels):
    above = (scores > threshold) & (labels[place, None] < labels)
    row, column = np.nonzero(above)
    first.append(place.start + row)
    parts.append(Nearest(column, scores[row, column], cosines[row, column]))
    if sum(map(len, first)) > _MAX_PAIRS:
      raise UsageError(
        f'same_person={threshold:g}: more than {_MAX_PAIRS:,} pairs of '
        'identities are above it, ask for a higher score'
      )
  first = np.concatenate(first)
  found = Nearest(*map(np.concatenate, zip(*parts, strict=True)))
  everything = np.ones(len(first), bool)
  return make_pairs(first, found, tail, everything), tail, threshold


def group(pairs: Pairs, count: int) -> Int[np.ndarray, ' K']:
  """The lowest identity that each is joined to by a chain of pairs."""
  return components(count, np.stack([pairs.first, pairs.second], 1))
