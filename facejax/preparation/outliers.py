"""Images that do not belong to their identity, by embeddings."""

from typing import NamedTuple

import numpy as np

from facejax.array_typing import Bool, Float, Int
from facejax.preparation import strangers
from facejax.preparation.embedded_faces import EmbeddedFaces
from facejax.preparation.score_tail import fit_tail
from facejax.preparation.standard_scores import Nearest, Scorer
from facejax.preparation.suspicions import Centroids, strangers_of

_MIN_IMAGES = 3  # of two images nothing tells which one is wrong
_CREDIBLE = 0.05  # chance that a stranger's image gets another's name
_CLEARLY = 0.1  # by this cosine another identity must be nearer
_COMMON = 0.75  # of strangers score below what hardly any right image does
_FEW = 1e-3  # wrong images are few below this share
_MAX_CHANCE = 0.95  # a better score than that of these strangers is no outlier


class OwnScores(NamedTuple):
  """How well images fit their identity.

  Attributes:
    score: float32 [N], standard score with the centroid of the identity's other
      images, NaN where there is none.
    cosine: float32 [N], with that centroid.
    stranger: float32 [N], standard score with another identity, at random.
  """

  score: np.ndarray
  cosine: np.ndarray
  stranger: np.ndarray


class Outliers(NamedTuple):
  """Images under a wrong name, or of nobody, the least fitting first.

  Attributes:
    places: int64 [P], images.
    score: float32 [P], with their own identity, NaN where nothing tells.
    cosine: float32 [P], with their own identity.
    other: int64 [P], the identity that they resemble most, -1 where that is no
      more than chance.
    other_cosine: float32 [P], with its centroid, if there is one.
  """

  places: np.ndarray
  score: np.ndarray
  cosine: np.ndarray
  other: np.ndarray
  other_cosine: np.ndarray


class OutlierThreshold(NamedTuple):
  """Below which standard score an image does not belong to its identity.

  Attributes:
    threshold: -inf where no image shall be an outlier.
    error_share: of all images, those that fit their name by chance only.
    expected_right: images below the threshold expected to be right.
  """

  threshold: float
  error_share: float
  expected_right: float


def own_scores(
  faces: EmbeddedFaces,
  keep: Bool[np.ndarray, ' N'],
  centroids: Centroids,
  *,
  seed: int = 0,
) -> OwnScores:
  """Scores every image with its own identity and with one of a stranger.

  Args:
    faces: N images of K identities, three or more.
    keep: bool [N], the images that make the centroids.
    centroids: of the kept images.
    seed: of the strangers.
  """
  rng, count = np.random.default_rng(seed), faces.num_identities
  sums, blocks = faces.sums(keep), []
  for place, rows in faces.blocks():
    labels = faces.labels[place]
    rest = sums[labels] - rows * keep[place, None]
    norms = np.linalg.norm(rest, axis=1)
    cosine = np.einsum('bd,bd->b', rows, rest) / np.maximum(norms, 1e-12)
    cosine[norms < 1e-3] = np.nan
    own = np.einsum('bd,bd->b', rows, centroids.vectors[labels])
    spread = strangers.spread(rows, centroids.cloud, own)
    other = (labels + rng.integers(1, count, len(labels))) % count
    chance = np.einsum('bd,bd->b', rows, centroids.vectors[other])
    blocks.append((
      (cosine - spread.mean) / spread.deviation,
      cosine,
      np.asarray(strangers.one_sided(chance, *spread)),
    ))  # fmt: skip
  return OwnScores(*map(np.concatenate, zip(*blocks, strict=True)))


def outlier_threshold(
  own: Float[np.ndarray, ' N'],
  stranger: Float[np.ndarray, ' N'],
  false_share: float,
) -> OutlierThreshold:
  """The highest threshold below which most images fit by chance only.

  Images of a wrong name score like strangers. Those of a right name hardly ever
  score below the upper quartile of strangers, so the share that does, divided
  by 3/4, is the share of wrong ones, e, and below a threshold t

    expected right images = N (F(t) - e S(t)),

  with F the distribution of own scores and S that of strangers: the false
  discovery rate of Storey, Journal of the Royal Statistical Society B 64, 2002,
  https://doi.org/10.1111/1467-9868.00346. A few wrong images among many are too
  few to estimate e from; they lie below the tail of the right ones. The higher
  threshold of the two holds, if nearly all strangers are below it.

  Args:
    own: scores with the own identity; NaN is left out.
    stranger: scores with a stranger, all finite.
    false_share: of the images below the threshold, those expected to be right.
  """
  own, stranger = np.sort(own[np.isfinite(own)]), np.sort(stranger)
  common, highest = np.quantile(stranger, [_COMMON, _MAX_CHANCE])
  error_share = min(1.0, float(np.mean(own < common)) / _COMMON)
  below = np.arange(1, len(own) + 1) / len(own)
  chance = np.searchsorted(stranger, own, side='right') / len(stranger)
  right = np.maximum(below - error_share * chance, 0)
  good = np.flatnonzero((right <= false_share * below) & (own <= highest))
  tail = fit_tail(-own, foreign=_FEW, count=len(own))
  gap = min(-tail.threshold(1.0), float(highest))
  if len(good) and own[good[-1]] >= gap:
    threshold = float(np.nextafter(own[good[-1]], np.float32(np.inf)))
    expected = float(right[good[-1]] * len(own))
  else:
    threshold, expected = gap, float(tail.expected(np.array([-gap]))[0])
  return OutlierThreshold(threshold, error_share, expected)


def fitting(
  faces: EmbeddedFaces, score: Float[np.ndarray, ' N'], threshold: float
) -> Bool[np.ndarray, ' N']:
  """Which images shall make the centroids: all but the outliers.

  An identity most of whose images are outliers keeps them all.
  """
  keep = ~(score < threshold)
  kept = np.bincount(faces.labels[keep], minlength=faces.num_identities)
  return keep | (2 * kept < faces.sizes)[faces.labels]


def nearest_others(
  faces: EmbeddedFaces, centroids: Centroids
) -> tuple[Nearest, Float[np.ndarray, ' N']]:
  """The other identity that every image resembles most.

  Returns:
    It, and how many strangers' images would resemble an identity as much by
    chance, expected in the whole set, float64 [N].
  """
  scorer = Scorer(centroids.vectors, strangers_of(centroids))
  blocks = []

  def spread(rows, labels):
    own = np.einsum('bd,bd->b', rows, centroids.vectors[labels])
    return strangers.spread(rows, centroids.cloud, own)

  sample = scorer.sample_places(len(faces))
  rows, labels = faces.rows(sample), faces.labels[sample]
  sampled = spread(rows, labels)
  floor = sampled.typical
  tail = fit_tail(
    scorer.sampled(rows, sampled.at_least(floor), labels),
    foreign=1 / faces.num_identities,
    count=len(faces) * (faces.num_identities - 1),
  )
  for place, rows in faces.blocks():
    labels = faces.labels[place]
    near = spread(rows, labels).at_least(floor)
    blocks.append(scorer.nearest(rows, near, labels))
  found = Nearest(*map(np.concatenate, zip(*blocks, strict=True)))
  return found, tail.expected(found.score)


def outliers(
  faces: EmbeddedFaces,
  own: OwnScores,
  threshold: float,
  *,
  nearest: Nearest,
  expected: Float[np.ndarray, ' N'],
  groups: Int[np.ndarray, ' K'],
  false_alarms: float = 1.0,
) -> Outliers:
  """Images that fit their identity by chance only, or another one better.

  Args:
    faces: N images of K identities.
    own: scores with their own.
    threshold: standard score below which an image of an identity of three or
      more is an outlier.
    nearest: the other identity that each resembles most.
    expected: strangers' images that would resemble one as much, in the set.
    groups: identities that are one person have one number; the images of one
      are no outliers of the other.
    false_alarms: an image that fits its identity too is an outlier where
      another is nearer, at no more than so many expected strangers.
  """
  nearer = ~(own.cosine + _CLEARLY >= nearest.cosine)
  nearer &= groups[nearest.place] != groups[faces.labels]
  unlike = (own.score < threshold) & (faces.sizes >= _MIN_IMAGES)[faces.labels]
  named = nearer & (expected <= _CREDIBLE * len(faces))
  listed = unlike | (nearer & (expected <= false_alarms))
  places = np.flatnonzero(listed)
  places = places[np.argsort(own.score[places], kind='stable')]
  return Outliers(
    places=places,
    score=own.score[places],
    cosine=own.cosine[places],
    other=np.where(named, nearest.place, -1)[places].astype(np.int64),
    other_cosine=np.where(named, nearest.cosine, np.nan)[places],
  )
