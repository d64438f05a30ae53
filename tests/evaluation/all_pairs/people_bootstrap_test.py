"""Draws of people against sets of pairs that are really made."""

from unittest import mock

import chex
import hypothesis
import numpy as np
import pytest
from absl.testing import absltest
from hypothesis import strategies as st

from facejax.evaluation import rates
from facejax.evaluation.all_pairs import people_bootstrap
from facejax.evaluation.all_pairs.people_bootstrap import PairSet

FARS = np.array([1e-1, 1e-2])


def pair_set(labels, scores, tail=None):
  """The pairs of a whole matrix of scores."""
  first, second = np.triu_indices(len(labels), 1)
  scores = scores[first, second].astype(np.float32)
  order = np.argsort(-scores, kind='stable')
  first, second, scores = first[order], second[order], scores[order]
  same = labels[first] == labels[second]
  return PairSet(
    labels=labels,
    genuine_scores=scores[same],
    genuine_people=labels[first[same]],
    tail_scores=scores[~same][:tail],
    tail_people=np.stack([labels[first], labels[second]])[:, ~same][:, :tail],
  )


def random_set(seed, *, people=8, images=30, steps=8, tail=None):
  """Scores in few steps, so that ties are everywhere; genuine ones higher."""
  rng = np.random.default_rng(seed)
  labels = np.append(np.arange(people), rng.integers(0, people, images))
  scores = rng.integers(0, steps, (len(labels), len(labels)))
  scores = scores + 3 * (labels[:, None] == labels[None, :])
  return pair_set(labels, scores, tail)


def naive_draw(pairs, times, far, threshold):
  """(tar, threshold, far) of a draw, from all its pairs one by one."""
  genuine = [
    score
    for score, person in zip(
      pairs.genuine_scores, pairs.genuine_people, strict=True
    )
    for _ in range(times[person])
  ]
  impostors = [
    score
    for score, one, other in zip(
      pairs.tail_scores, *pairs.tail_people, strict=True
    )
    for _ in range(times[one])
    for _ in range(times[other])
  ]
  if not impostors:
    return np.nan, np.nan, np.nan
  accepted = rates.num_accepted(far, len(impostors))
  measured = np.mean(np.array(impostors) > threshold)
  if accepted == len(impostors):
    return np.nan, np.nan, measured
  own = sorted(impostors, reverse=True)[accepted]
  tar = np.mean(np.array(genuine) > own) if genuine else np.nan
  return tar, own, measured


class PeopleBootstrapTest(chex.TestCase):
  def resample_by(self, pairs, times, thresholds, fars=FARS):
    """Rates of draws that are given."""
    with mock.patch.object(
      people_bootstrap, 'draw_people', return_value=np.array(times)
    ):
      return people_bootstrap.resample(
        pairs, fars, thresholds, draws=len(times)
      )

  def test_everybody_once_is_the_whole_set(self):
    pairs = random_set(0)
    scores = np.concatenate([pairs.genuine_scores, pairs.tail_scores])
    same = np.arange(len(scores)) < len(pairs.genuine_scores)
    points = [rates.tar_at_far(scores, same, far) for far in FARS]
    found = self.resample_by(
      pairs, np.ones((1, 8), int), np.array([p.threshold for p in points])
    )
    np.testing.assert_array_equal(found.tar[0], [p.tar for p in points])
    np.testing.assert_array_equal(found.far[0], [p.far for p in points])
    np.testing.assert_array_equal(
      found.thresholds[0], [p.threshold for p in points]
    )

  @hypothesis.settings(deadline=None, max_examples=30)
  @hypothesis.given(st.integers(0, 999))
  def test_draws_equal_pairs_that_are_really_made(self, seed):
    pairs = random_set(seed, people=6, images=12)
    times = people_bootstrap.draw_people(6, draws=4, seed=seed)
    thresholds = pairs.tail_scores[[20, 2]].astype(np.float64)
    found = self.resample_by(pairs, times, thresholds)
    for draw, row in enumerate(times):
      for at, far in enumerate(FARS):
        expected = naive_draw(pairs, row, far, thresholds[at])
        actual = [array[draw, at] for array in found]
        np.testing.assert_allclose(actual, expected, rtol=1e-15)

  def test_draws_in_parts_and_seeds_reproduce(self):
    pairs, thresholds = random_set(1), np.array([6.0, 7.0])

    def resample(seed):
      return people_bootstrap.resample(
        pairs, FARS, thresholds, draws=20, seed=seed
      )

    whole = resample(3)
    with mock.patch.object(people_bootstrap, '_DRAWS_AT_ONCE', 7):
      chex.assert_trees_all_equal(resample(3), whole)
    self.assertFalse(np.array_equal(resample(4).tar, whole.tar))
    times = people_bootstrap.draw_people(8, draws=20, seed=3)
    np.testing.assert_array_equal(times.sum(axis=1), 8)

  def test_what_lies_beyond_the_tail_is_not_told(self):
    pairs = random_set(2, tail=40)  # of some 600
    found = people_bootstrap.resample(
      pairs, FARS, np.array([0.0, 7.0]), draws=50
    )
    self.assertTrue(np.isnan(found.tar[:, 0]).all())
    self.assertTrue(np.isnan(found.far[:, 0]).all())
    self.assertTrue(np.isfinite(found.tar[:, 1]).all())
    self.assertTrue(np.isfinite(found.far[:, 1]).all())
    intervals = people_bootstrap.interval(found.tar)
    self.assertIsNone(intervals[0])
    self.assertLess(*intervals[1])

  def test_draws_of_one_person_or_without_genuine_pairs_tell_nothing(self):
    labels = np.array([0, 0, 1, 2])
    pairs = pair_set(labels, np.arange(16.0).reshape(4, 4))
    times = [[3, 0, 0], [0, 1, 2]]
    found = self.resample_by(pairs, times, np.array([2.0]), np.array([0.5]))
    np.testing.assert_array_equal(np.isnan(found.tar), [[True], [True]])
    # One impostor person twice: two pairs of images 2 and 3, of score 11.
    np.testing.assert_array_equal(found.thresholds, [[np.nan], [11.0]])
    np.testing.assert_array_equal(found.far, [[np.nan], [1.0]])
    self.assertEqual(people_bootstrap.interval(found.tar), [None])

  def test_intervals_hold_the_middle_of_the_draws(self):
    values = np.stack([np.arange(1001.0), np.full(1001, 0.5)], axis=1)
    np.testing.assert_allclose(
      people_bootstrap.interval(values), [[25.0, 975.0], [0.5, 0.5]]
    )

  @pytest.mark.slow
  def test_nine_intervals_in_ten_hold_the_rate_of_all_people(self):
    # People differ in how well they are known: genuine scores of one person
    # share a level, which makes intervals that count pairs far too narrow.
    far, hits, sets = 1e-2, 0, 200
    truth = _true_rate(far)
    for seed in range(sets):
      pairs = _sample(seed, people=100)
      found = people_bootstrap.resample(
        pairs, np.array([far]), np.array([0.0]), draws=200, seed=seed
      )
      ((low, high),) = people_bootstrap.interval(found.tar)
      hits += low <= truth <= high
    self.assertBetween(hits / sets, 0.88, 1.0)


def _sample(seed, *, people, images=4):
  """Normal scores; a person's genuine ones around a level of his own."""
  rng = np.random.default_rng(seed)
  labels = np.repeat(np.arange(people), images)
  scores = rng.normal(size=(len(labels), len(labels)))
  level = rng.normal(2.5, 1, people)[labels]
  same = labels[:, None] == labels[None, :]
  return pair_set(labels, scores + np.where(same, level[:, None], 0))


def _true_rate(far):
  """TAR of endless people: N(2.5, 2) above the quantile of N(0, 1)."""
  from scipy import stats

  return stats.norm.sf((stats.norm.isf(far) - 2.5) / np.sqrt(2))


if __name__ == '__main__':
  absltest.main()
