"""The parts of an embedding check; each writes its lists and pictures."""

import math
from typing import Any, NamedTuple

import numpy as np

from facejax import files
from facejax.array_typing import Float
from facejax.errors import DataError
from facejax.evaluation import metrics
from facejax.files import Path
from facejax.preparation import (
  near_duplicates,
  outliers,
  overlaps,
  suspicions,
)
from facejax.preparation import suspicion_lists as lists
from facejax.preparation import suspicion_pictures as pictures
from facejax.preparation.embedded_faces import EmbeddedFaces
from facejax.preparation.suspicions import Centroids, Limits

_POOR_EER, _USELESS_EER = 0.05, 0.2
_SELF_MISSED = 0.05  # of halves of one identity, less alike than two must be


class Judged(NamedTuple):
  """Every image judged by its own identity.

  Attributes:
    keep: bool [N], the images that make the centroids.
    centroids: of the identities.
    own: scores of the images.
    threshold: below which an image is an outlier.
  """

  keep: np.ndarray
  centroids: Centroids
  own: outliers.OwnScores
  threshold: outliers.OutlierThreshold


def separation(
  genuine: Float[np.ndarray, ' n'], stranger: Float[np.ndarray, ' m']
) -> dict[str, float]:
  """How well two kinds of scores are told apart.

  Returns:
    `eer` and `d_prime` = (difference of means) / sqrt(mean of variances).
  """
  scores = np.concatenate([genuine, stranger]).astype(np.float64)
  same = np.arange(len(scores)) < len(genuine)
  spread = math.sqrt((genuine.var() + stranger.var()) / 2)
  difference = float(genuine.mean() - stranger.mean())
  return {
    'eer': metrics.eer(scores, same),
    'd_prime': difference / max(spread, 1e-6),
  }


def _judge(faces: EmbeddedFaces, limits: Limits) -> Judged:
  """Two rounds: the outliers of the first take no part in the centroids."""
  keep = np.ones(len(faces), bool)
  for _ in range(2):
    centroids = suspicions.centroids_of(faces, keep)
    own = outliers.own_scores(faces, keep, centroids)
    found = outliers.outlier_threshold(
      own.score, own.stranger, limits.false_share
    )
    if limits.outlier is not None:
      found = found._replace(threshold=limits.outlier, expected_right=math.nan)
    judged = Judged(keep, centroids, own, found)
    keep = outliers.fitting(faces, own.score, found.threshold)
  return judged


def _json(value: float) -> float | None:
  """A number that JSON can hold."""
  return float(value) if math.isfinite(value) else None


class SetCheck:
  """A check under way.

  Attributes:
    summary: JSON values, to which every part adds.
    warnings: what a reader of the lists has to know.
  """

  def __init__(self, faces: EmbeddedFaces, limits: Limits, folder: Path):
    self.faces, self.limits, self.folder = faces, limits, folder
    self.warnings: list[str] = []
    self.summary: dict[str, Any] = {
      'num_images': len(faces),
      'num_identities': faces.num_identities,
      'thresholds': {'near_duplicate': limits.near_duplicate},
      'expected_by_chance': {},
      'separation': {},
    }

  def warn(self, text: str) -> None:
    """Keeps a warning, and says it at once."""
    self.warnings.append(text)
    files.note(f'warning: {text}')

  def copies(self, nearest: np.ndarray | None, own: np.ndarray | None) -> None:
    """Near-duplicates."""
    found = near_duplicates.near_duplicates(
      self.faces, self.limits.near_duplicate, nearest=nearest, own=own
    )
    lists.write_near_duplicates(self.folder, self.faces, found)
    pictures.draw_near_duplicates(
      self.folder / 'near_duplicates.png', self.faces, found
    )
    self.summary['num_near_duplicates'] = len(found.dropped)
    if 2 * len(found.dropped) > len(self.faces):
      self.warn(
        f'{len(found.dropped)} of {len(self.faces)} images repeat another: the '
        'embeddings hardly differ, or near_duplicate='
        f'{self.limits.near_duplicate:g} is too low for them'
      )

  def judge(self) -> Judged:
    """Own scores, and whether the model can judge at all."""
    judged = _judge(self.faces, self.limits)
    own = judged.own.score[np.isfinite(judged.own.score)]
    if not len(own):
      raise DataError('no identity has two images: no image can be judged')
    found = separation(own, judged.own.stranger)
    self.summary['separation']['images'] = found
    if found['eer'] > _POOR_EER:
      self.warn(
        f'images and strangers are told apart with an EER of {found["eer"]:.1%}'
        ': the model is weak on this set, its lists are hints'
      )
    useless = found['eer'] > _USELESS_EER
    if useless and self.limits.outlier is None:
      self.warn('no outliers are listed: the model is too weak for a threshold')
      nothing = outliers.OutlierThreshold(-math.inf, math.nan, 0.0)
      judged = judged._replace(threshold=nothing)
    self.summary['thresholds']['outlier'] = _json(judged.threshold.threshold)
    self.summary['label_error_share'] = _json(judged.threshold.error_share)
    pictures.write_figure(
      self.folder / 'outlier_scores.png',
      pictures.scores_figure(
        {'own identity': own, 'a stranger': judged.own.stranger},
        judged.threshold.threshold,
        title='Images and their identities',
      ),
    )
    return judged

  def names(self, judged: Judged) -> np.ndarray:
    """Identities that are one; returns the groups that they form."""
    faces, limits, centroids = self.faces, self.limits, judged.centroids
    halves = suspicions.self_scores(faces, judged.keep, centroids, single=False)
    least = np.quantile(halves, _SELF_MISSED) if len(halves) else 0.0
    found, tail, threshold = suspicions.same_person(
      centroids, limits.same_person, limits.false_alarms, least=float(least)
    )
    groups = suspicions.group(found, faces.num_identities)
    lists.write_same_person(self.folder, faces, found, groups)
    pictures.draw_pairs(self.folder / 'same_person.png', faces, faces, found)
    self.summary['num_same_person'] = len(found.first)
    self.summary['thresholds']['same_person'] = threshold
    self.summary['expected_by_chance']['same_person'] = float(
      tail.expected(np.array([threshold]))[0]
    )
    if len(halves):
      self.summary['separation']['identities'] = separation(halves, tail.sample)
      kinds = {'halves of one identity': halves, 'two identities': tail.sample}
      title = 'Identities and each other'
      pictures.write_figure(
        self.folder / 'same_person_scores.png',
        pictures.scores_figure(kinds, threshold, title=title),
      )
    return groups

  def misfits(self, judged: Judged, groups: np.ndarray) -> np.ndarray:
    """Outliers; returns the other identity that each image resembles most."""
    nearest, expected = outliers.nearest_others(self.faces, judged.centroids)
    weak = not math.isfinite(judged.threshold.error_share)
    found = outliers.outliers(
      self.faces,
      judged.own,
      judged.threshold.threshold,
      nearest=nearest,
      expected=expected,
      groups=groups,
      false_alarms=0.0 if weak else self.limits.false_alarms,
    )
    lists.write_outliers(self.folder, self.faces, found)
    pictures.draw_outliers(self.folder / 'outliers.png', self.faces, found)
    self.summary['num_outliers'] = len(found.places)
    self.summary['expected_by_chance']['outliers'] = _json(
      judged.threshold.expected_right
    )
    return nearest.place

  def test_set(self, judged: Judged, test: EmbeddedFaces) -> None:
    """People of the test set."""
    faces, limits, centroids = self.faces, self.limits, judged.centroids
    alarms = max(1.0, limits.overlap_share * faces.num_identities)
    found = overlaps.overlaps(
      faces, centroids, suspicions.centroids_of(test), limits.overlap, alarms
    )
    lists.write_overlaps(self.folder, faces, test, found)
    pictures.draw_pairs(
      self.folder / 'overlaps.png', faces, test, found.nearest
    )
    pictures.draw_strays(
      self.folder / 'overlap_images.png', faces, test, found.strays
    )
    self.summary['num_overlaps'] = int(
      (found.nearest.score > found.threshold).sum()
    )
    self.summary['num_overlap_images'] = len(found.strays.first)
    self.summary['test_identities'] = test.num_identities
    thresholds = self.summary['thresholds']
    thresholds['overlap'] = found.threshold
    thresholds['overlap_image'] = found.stray_threshold
    expected = self.summary['expected_by_chance']
    expected['overlaps'] = float(
      found.tail.expected(np.array([found.threshold]))[0]
    )
    expected['overlap_images'] = float(
      found.stray_tail.expected(np.array([found.stray_threshold]))[0]
    )
    single = suspicions.self_scores(faces, judged.keep, centroids, single=True)
    kinds = {'nearest test identity': found.nearest.score}
    if len(single):
      recall = float(np.mean(single > found.threshold))
      self.summary['found_by_one_image'] = recall
      kinds['one image and its identity'] = single
      if recall < 0.5:
        self.warn(
          f'of people with one test image only {recall:.0%} would be found: '
          'the model is too weak to clear a training set of a test set'
        )
    kinds['strangers'] = found.tail.sample
    title = 'Training identities and the test set'
    pictures.write_figure(
      self.folder / 'overlap_scores.png',
      pictures.scores_figure(kinds, found.threshold, title=title),
    )
