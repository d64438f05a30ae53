"""Verification modes against naive loops."""

import json

import chex
import hypothesis
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.errors import DataError, UsageError
from facejax.evaluation.modes import MODES
from facejax.evaluation.verification import verify_pairs


def make_pairs(seed, *, num_images=12, num_pairs=24, dim=3):
  """Random embeddings of coarse values, in four folds of both kinds."""
  rng = np.random.default_rng(seed)
  people = np.arange(num_images) % 4
  centres = rng.integers(-2, 3, (4, dim))
  plain, flip = (
    (centres[people] + rng.integers(-1, 2, (num_images, dim))).astype(
      np.float32
    )
    + np.float32(0.25)
    for _ in range(2)
  )
  index = rng.integers(0, num_images, (2, num_pairs))
  same = np.arange(num_pairs) % 2 == 0
  return plain, flip, index[0], index[1], same, np.arange(num_pairs) // 6


def unit(x):
  length = np.sqrt(sum(v * v for v in x))
  return x / length if length > 0 else x


def naive_pair_score(mode, plain, flip, a, b, mean):
  """One pair's score, as the paragraph of spec 13.1 says it."""
  if mode == 'insightface':
    difference = unit(plain[a] + flip[a]) - unit(plain[b] + flip[b])
    return -sum(difference**2)
  rows = (plain[a], plain[b])
  if mode == 'sphereface':
    rows = [np.concatenate([plain[i], flip[i]]) for i in (a, b)]
  return unit(rows[0] - mean) @ unit(rows[1] - mean)


def naive_scores(mode, fold, plain, flip, index_a, index_b, folds, mean):
  plain, flip = plain.astype(np.float64), flip.astype(np.float64)
  if mode == 'plain':
    mean = 0.0
  if mode == 'sphereface':
    rows = [
      np.concatenate([plain[i], flip[i]])
      for a, b, f in zip(index_a, index_b, folds, strict=True)
      if f != fold
      for i in (a, b)
    ]
    mean = sum(rows) / len(rows)
  return np.array(
    [
      naive_pair_score(mode, plain, flip, a, b, mean)
      for a, b in zip(index_a, index_b, strict=True)
    ]
  )


class VerificationTest(chex.TestCase):
  @hypothesis.settings(deadline=None, max_examples=15)
  @hypothesis.given(st.integers(0, 10**6), st.sampled_from(list(MODES)))
  def test_scores_equal_the_naive_loop(self, seed, mode):
    plain, flip, a, b, same, folds = make_pairs(seed)
    mean = np.array([0.5, -0.25, 0.125], np.float32)
    result = verify_pairs(
      plain, flip, a, b, same, folds, mode=mode, training_mean=mean
    )
    for fold in range(4):
      expected = naive_scores(mode, fold, plain, flip, a, b, folds, mean)
      test = folds == fold
      np.testing.assert_allclose(
        result.scores[test], expected[test], atol=1e-12
      )

  def test_insightface_takes_the_first_best_threshold(self):
    # Genuine distance 0, impostor distance 2: every threshold of 0.01 .. 2
    # separates them, and 0 accepts nothing, because d < 0 never holds.
    plain = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    index_a, index_b = np.array([0, 0, 0, 0]), np.array([1, 2, 1, 2])
    same, folds = np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 1])
    result = verify_pairs(
      plain, plain, index_a, index_b, same, folds, mode='insightface'
    )
    self.assertEqual(result.accuracy, 1.0)
    np.testing.assert_allclose(
      result.to_json()['fold_thresholds'], [0.01, 0.01]
    )

  def test_cosine_modes_take_the_mean_of_the_best_thresholds(self):
    plain = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    result = verify_pairs(
      plain,
      None,
      np.array([0, 0, 0, 0]),
      np.array([1, 2, 1, 2]),
      np.array([1, 0, 1, 0], bool),
      np.array([0, 0, 1, 1]),
      mode='plain',
    )
    # Every one of 0, 0.0001 .. 0.9999 separates cosine 1 from cosine 0.
    np.testing.assert_allclose(result.fold_thresholds, [0.49995] * 2)

  def test_report_names_mode_and_rates(self):
    plain, flip, a, b, same, folds = make_pairs(1, num_pairs=24)
    result = verify_pairs(plain, flip, a, b, same, folds, mode='sphereface')
    report = json.loads(json.dumps(result.to_json(), allow_nan=False))
    self.assertTrue(report['transductive'])
    self.assertEqual(report['mode'], 'sphereface')
    self.assertEqual(list(report['tar_at_far']), ['1e-1'])
    self.assertEqual(list(report['thresholds']), ['1e-1'])
    self.assertAlmostEqual(report['smallest_far'], 1 / 12)
    self.assertEqual(report['num_pairs'], 24)
    self.assertAlmostEqual(
      report['accuracy'], np.mean(report['fold_accuracies'])
    )
    self.assertAlmostEqual(report['std'], np.std(report['fold_accuracies']))
    low, high = report['interval_95']
    self.assertBetween(report['accuracy'], low, high)
    others = [name for name, mode in MODES.items() if mode.transductive]
    self.assertEqual(others, ['sphereface'])

  def test_insightface_reports_distances(self):
    plain, flip, a, b, same, folds = make_pairs(2)
    result = verify_pairs(plain, flip, a, b, same, folds, mode='insightface')
    report = result.to_json()
    self.assertEqual(report['measure'], 'squared_distance')
    threshold = report['thresholds']['1e-1']
    accepted = -result.scores < threshold
    self.assertEqual(report['tar_at_far']['1e-1'], accepted[same].mean())
    self.assertLessEqual(accepted[~same].mean(), 0.1)

  def test_damaged_embeddings_name_the_image(self):
    plain, flip, a, b, same, folds = make_pairs(3)
    flip[5, 1] = np.nan
    names = [f'face_{i}.jpg' for i in range(len(flip))]
    with self.assertRaisesRegex(DataError, 'image face_5.jpg is not finite'):
      verify_pairs(
        plain, flip, a, b, same, folds, mode='insightface', names=names
      )
    verify_pairs(plain, flip, a, b, same, folds, mode='plain')

  def test_one_kind_of_pairs_is_refused(self):
    plain, flip, a, b, same, folds = make_pairs(4)
    with self.assertRaisesRegex(DataError, 'all 24 pairs are genuine'):
      verify_pairs(plain, flip, a, b, np.ones_like(same), folds, mode='plain')

  def test_a_model_that_maps_all_faces_to_one_point_is_no_crash(self):
    _, _, a, b, same, folds = make_pairs(5)
    constant = np.ones((12, 3), np.float32)
    for mode in MODES:
      result = verify_pairs(
        constant,
        constant,
        a,
        b,
        same,
        folds,
        mode=mode,
        training_mean=constant[0],
      )
      self.assertAlmostEqual(result.accuracy, 0.5)
      self.assertAlmostEqual(result.auc, 0.5)

  @parameterized.parameters(*MODES)
  def test_the_order_of_the_images_of_a_pair_means_nothing(self, mode):
    plain, flip, a, b, same, folds = make_pairs(7)
    one, other = (
      verify_pairs(
        plain, flip, *sides, same, folds, mode=mode, training_mean=plain[0]
      )
      for sides in ((a, b), (b, a))
    )
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-12)
    self.assertEqual(one.accuracy, other.accuracy)

  @parameterized.parameters(*MODES)
  def test_an_image_under_two_names_is_the_most_alike(self, mode):
    plain, flip, a, b, same, folds = make_pairs(8)
    plain, flip = (np.concatenate([x, x]) for x in (plain, flip))
    b = np.where(np.arange(24) == 3, a + 12, b)
    result = verify_pairs(
      plain, flip, a, b, same, folds, mode=mode, training_mean=plain[0] + 1
    )
    self.assertAlmostEqual(result.scores[3], 0 if mode == 'insightface' else 1)
    self.assertAlmostEqual(result.scores[3], result.scores.max())

  def test_rates_may_be_asked_for_and_are_refused_if_too_fine(self):
    plain, flip, a, b, same, folds = make_pairs(1)
    pairs = (plain, flip, a, b, same, folds)
    result = verify_pairs(*pairs, mode='plain', fars=[1.0, 0.25])
    self.assertEqual(list(result.points), [1.0, 0.25])
    report = json.loads(json.dumps(result.to_json(), allow_nan=False))
    # Nothing is rejected at a rate of 1, so there is no threshold.
    self.assertIsNone(report['thresholds']['1e0'])
    self.assertEqual(report['tar_at_far']['1e0'], 1.0)
    with self.assertRaisesRegex(UsageError, '12 impostor pairs: ask for 0.083'):
      verify_pairs(*pairs, mode='plain', fars=[1e-5])

  def test_both_rules_of_a_rate_are_named(self):
    # Impostors 0.6, 0.5 .. -0.4, genuine ones a little above each of them.
    scores = np.repeat(np.arange(6, -5, -1) / 10, 2) + np.tile([0.01, 0], 11)
    same, folds = np.arange(22) % 2 == 0, np.arange(22) % 2 * 0 + 1
    folds[:10] = 0
    angles = np.arccos(scores)
    images = np.stack([np.cos([*angles, 0]), np.sin([*angles, 0])], 1)
    first, second = np.arange(22), np.full(22, 22)
    report = verify_pairs(
      images, None, first, second, same, folds, mode='plain', fars=[0.15]
    ).to_json()
    self.assertEqual(report['far_rule'], 'at_most')
    self.assertAlmostEqual(report['tar_at_far']['1.5e-1'], 2 / 11)
    self.assertAlmostEqual(report['thresholds']['1.5e-1'], 0.5)
    nearest = report['tar_at_nearest_far']['1.5e-1']
    self.assertAlmostEqual(nearest['far'], 2 / 11)
    self.assertAlmostEqual(nearest['tar'], 3 / 11)
    self.assertAlmostEqual(nearest['threshold'], 0.4)
    low, high = report['tar_intervals_95']['1.5e-1']
    self.assertAlmostEqual(low, 0.0514, places=3)
    self.assertAlmostEqual(high, 0.4770, places=3)

  def test_the_excess_is_over_the_threshold_of_the_own_fold(self):
    result = verify_pairs(*make_pairs(9), mode='plain')
    for pair, excess in enumerate(result.excess()):
      threshold = result.fold_thresholds[pair // 6]
      self.assertEqual(excess, result.scores[pair] - threshold)

  @parameterized.parameters(
    ('insightface', 'needs embeddings of the mirrored images'),
    ('sphereface', 'needs embeddings of the mirrored images'),
    ('centred', 'needs the mean embedding of training faces'),
    ('cosine', 'use one of insightface, sphereface, plain, centred'),
  )
  def test_modes_say_what_they_lack(self, mode, message):
    plain, _, a, b, same, folds = make_pairs(6)
    with self.assertRaisesRegex(UsageError, message):
      verify_pairs(plain, None, a, b, same, folds, mode=mode)


if __name__ == '__main__':
  absltest.main()
