"""People of a test set in a training set, by embeddings."""

from typing import NamedTuple

import numpy as np

from facejax.preparation import strangers
from facejax.preparation.embedded_faces import EmbeddedFaces
from facejax.preparation.score_tail import Tail, fit_tail
from facejax.preparation.standard_scores import Nearest, Scorer
from facejax.preparation.suspicions import Centroids, Pairs, make_pairs


class Overlaps(NamedTuple):
  """People of a test set among the training identities.

  Attributes:
    nearest: the nearest test identity of every training identity, the most
      alike first.
    tail: of those scores.
    threshold: above it they are one person.
    strays: images of other identities that show a person of the test set;
      `first` are places of images.
    stray_tail: of the scores of images.
    stray_threshold: above it they show the person.
  """

  nearest: Pairs
  tail: Tail
  threshold: float
  strays: Pairs
  stray_tail: Tail
  stray_threshold: float


def overlaps(
  faces: EmbeddedFaces,
  centroids: Centroids,
  test: Centroids,
  threshold: float | None,
  false_alarms: float,
) -> Overlaps:
  """Training identities that are people of a test set.

  Whole identities are told by their centroids. Single images of a person who
  is in the test set may also stand under another name: every image is compared
  with every test identity, at the same number of false alarms.

  Args:
    faces: N training images of K identities.
    centroids: theirs.
    test: of the M identities of the test set.
    threshold: a standard score for both, or None.
    false_alarms: expected number of pairs of strangers above either threshold,
      if it is None.
  """
  people = max(len(centroids.vectors), len(test.vectors))
  spread = strangers.spread(centroids.vectors, test.cloud)
  spread = spread.at_least(spread.typical)
  other = strangers.spread(test.vectors, centroids.cloud)
  scorer = Scorer(test.vectors, other.at_least(other.typical))
  sample = scorer.sample_places(len(centroids.vectors))
  tail = fit_tail(
    scorer.sampled(centroids.vectors[sample], spread.take(sample)),
    foreign=1 / people,
    count=len(centroids.vectors) * len(test.vectors),
  )
  found = scorer.nearest(centroids.vectors, spread)
  limit = tail.threshold(false_alarms) if threshold is None else threshold
  labels = np.arange(len(centroids.vectors))
  nearest = make_pairs(labels, found, tail, np.ones(len(labels), bool))
  images, stray_tail = _nearest_of_images(faces, test, people)
  stray_limit = (
    stray_tail.threshold(false_alarms) if threshold is None else threshold
  )
  listed = (images.score > stray_limit) & (found.score <= limit)[faces.labels]
  strays = make_pairs(np.arange(len(faces)), images, stray_tail, listed)
  return Overlaps(nearest, tail, limit, strays, stray_tail, stray_limit)


def _nearest_of_images(
  faces: EmbeddedFaces, test: Centroids, people: int
) -> tuple[Nearest, Tail]:
  """The nearest test identity of every image, and the strangers' tail."""
  cloud = None
  for _, rows in faces.blocks():
    cloud = strangers.add_to_cloud(cloud, rows)
  other = strangers.spread(test.vectors, cloud)
  scorer = Scorer(test.vectors, other.at_least(other.typical))
  rows = faces.rows(scorer.sample_places(len(faces)))
  spread = strangers.spread(rows, test.cloud)
  floor = spread.typical
  tail = fit_tail(
    scorer.sampled(rows, spread.at_least(floor)),
    foreign=1 / people,
    count=len(faces) * len(test.vectors),
  )
  blocks = [
    scorer.nearest(rows, strangers.spread(rows, test.cloud).at_least(floor))
    for _, rows in faces.blocks()
  ]
  return Nearest(*map(np.concatenate, zip(*blocks, strict=True))), tail
