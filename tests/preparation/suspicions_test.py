"""Planted errors are found, clean data raise no more alarms than stated."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import UsageError
from facejax.preparation import (
  embedded_faces,
  near_duplicates,
  outliers,
  overlaps,
  score_tail,
  standard_scores,
  strangers,
  suspicions,
)
from tests.preparation import embedded_people as people


def judge(faces, limit=0.1):
  """Own scores, centroids without outliers, and the threshold."""
  keep = np.ones(len(faces), bool)
  for _ in range(2):
    centroids = suspicions.centroids_of(faces, keep)
    own = outliers.own_scores(faces, keep, centroids)
    found = outliers.outlier_threshold(own.score, own.stranger, limit)
    keep = outliers.fitting(faces, own.score, found.threshold)
  return own, centroids, found, keep


def find_outliers(faces):
  own, centroids, found, _ = judge(faces)
  nearest, expected = outliers.nearest_others(faces, centroids)
  return outliers.outliers(
    faces,
    own,
    found.threshold,
    nearest=nearest,
    expected=expected,
    groups=np.arange(faces.num_identities),
  )


class StrangersTest(chex.TestCase):
  def test_spread_is_that_of_the_cosines_without_a_matrix_of_them(self):
    rows, cloud = people.people(5, 1), people.people(40, 2)
    moments = strangers.add_to_cloud(None, cloud[:25])
    moments = strangers.add_to_cloud(moments, cloud[25:])
    found = strangers.spread(rows, moments)
    np.testing.assert_allclose(found.mean, (rows @ cloud.T).mean(1), atol=1e-6)
    np.testing.assert_allclose(
      found.deviation, (rows @ cloud.T).std(1), rtol=1e-4
    )
    self.assertEqual(found.count, 40)

  def test_the_own_member_of_a_cloud_is_no_stranger(self):
    cloud = people.people(12, 3)
    found = strangers.spread(
      cloud, strangers.add_to_cloud(None, cloud), np.ones(12)
    )
    cosines = (cloud @ cloud.T)[~np.eye(12, dtype=bool)].reshape(12, 11)
    np.testing.assert_allclose(found.mean, cosines.mean(1), atol=1e-6)
    np.testing.assert_allclose(found.deviation, cosines.std(1), rtol=1e-4)

  def test_a_score_is_measured_against_all_the_others(self):
    cosines = np.array([[0.1, -0.2, 0.05, 0.9, 0.0]])
    scores = strangers.one_sided(
      cosines, cosines.mean(1)[:, None], cosines.std(1)[:, None], 5
    )
    others = np.delete(cosines[0], 3)
    self.assertAlmostEqual(
      float(scores[0, 3]), (0.9 - others.mean()) / others.std(), places=4
    )


class ScorerTest(chex.TestCase):
  @parameterized.parameters(1, 7, 64)
  def test_blocks_equal_the_whole_matrix(self, block):
    rows, columns = people.people(50, 4), people.people(30, 5)
    rows, columns = rows.astype(np.float32), columns.astype(np.float32)
    spread = strangers.spread(rows, strangers.add_to_cloud(None, columns))
    other = strangers.spread(columns, strangers.add_to_cloud(None, rows))
    scorer = standard_scores.Scorer(columns, other)
    scorer.block = block
    own = np.arange(50, dtype=np.int32) % 30
    found = scorer.nearest(rows, spread, own)
    cosines = rows @ columns.T
    sides = [
      z * np.sqrt(n / (n - 1 - z**2))
      for z, n in (
        ((cosines - spread.mean[:, None]) / spread.deviation[:, None], 30),
        ((cosines - other.mean) / other.deviation, 50),
      )
    ]
    naive = (sides[0] + sides[1]) / 2
    naive[np.arange(50), own] = -np.inf
    np.testing.assert_array_equal(found.place, naive.argmax(1))
    np.testing.assert_allclose(found.score, naive.max(1), rtol=1e-3)
    np.testing.assert_allclose(
      found.cosine, cosines[np.arange(50), naive.argmax(1)], atol=1e-5
    )
    self.assertLen(scorer.sampled(rows, spread, own), 50 * 29)

  def test_a_block_stays_small_however_many_columns_there_are(self):
    scorer = standard_scores.Scorer(np.zeros((100_000, 4), np.float32))
    self.assertLessEqual(scorer.block * 100_000 * 4, 1 << 26)


class TailTest(chex.TestCase):
  def test_a_normal_tail_is_extrapolated(self):
    scores = np.random.default_rng(0).normal(size=1_000_000)
    tail = score_tail.fit_tail(scores, foreign=1 / 1000, count=10**8)
    # P(z > 5.6120) = 1e-8, one of 10^8 pairs.
    self.assertAlmostEqual(tail.threshold(1.0), 5.612, delta=0.15)
    self.assertBetween(tail.expected(np.array([5.612]))[0], 0.4, 2.5)

  def test_expected_and_threshold_are_inverse(self):
    tail = score_tail.Tail(0.1, 1.1, 2.0, 10**6, np.zeros(1))
    self.assertAlmostEqual(
      tail.expected(np.array([tail.threshold(3.0)]))[0], 3.0, places=3
    )

  def test_people_in_common_do_not_move_the_tail(self):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=200_000)
    clean = score_tail.fit_tail(scores, foreign=1 / 2000, count=10**6)
    scores[:100] = 9.0  # one pair in 2,000 is of one person
    spoilt = score_tail.fit_tail(scores, foreign=1 / 2000, count=10**6)
    self.assertLess(spoilt.threshold(1.0) - clean.threshold(1.0), 0.3)


class OutliersTest(chex.TestCase):
  def test_swapped_labels_are_found_and_named(self):
    faces, directions = people.clean_set()
    vectors = np.array(faces.vectors)
    wrong = {25: 40, 131: 7, 402: 3}  # image -> whom it shows
    for image, person in wrong.items():
      vectors[image] = people.images(directions[person][None], seed=image)[0]
    found = find_outliers(people.faces(vectors, faces.labels))
    self.assertLessEqual(set(wrong), set(found.places.tolist()))
    self.assertLessEqual(len(found.places), len(wrong) + 2)
    named = dict(zip(found.places.tolist(), found.other.tolist(), strict=True))
    self.assertEqual({i: named[i] for i in wrong}, wrong)

  def test_a_failed_crop_is_found_and_gets_no_name(self):
    faces, _ = people.clean_set()
    vectors = np.array(faces.vectors)
    vectors[333] = people.people(1, 99)[0]
    vectors[334] = people.people(1, 98)[0]
    found = find_outliers(people.faces(vectors, faces.labels))
    self.assertEqual(set(found.places.tolist()), {333, 334})
    self.assertEqual(found.other.tolist(), [-1, -1])

  def test_clean_data_have_none(self):
    for seed in range(3):
      faces, _ = people.clean_set(seed=10 * seed)
      self.assertEmpty(find_outliers(faces).places)

  def test_of_two_images_nothing_tells_which_is_wrong(self):
    faces, directions = people.clean_set(60, 2)
    vectors = np.array(faces.vectors)
    vectors[0] = people.people(1, 99)[0]
    self.assertEmpty(find_outliers(people.faces(vectors, faces.labels)).places)
    vectors[0] = people.images(directions[30][None], seed=5, noise=0.2)[0]
    found = find_outliers(people.faces(vectors, faces.labels))
    self.assertEqual(found.places.tolist(), [0])
    self.assertEqual(found.other.tolist(), [30])

  def test_the_threshold_lists_the_stated_share_of_right_images(self):
    rng = np.random.default_rng(0)
    wrong, right = rng.normal(size=500), rng.normal(5, 1.5, size=9500)
    found = outliers.outlier_threshold(
      np.concatenate([wrong, right]).astype(np.float32),
      rng.normal(size=10_000).astype(np.float32),
      0.1,
    )
    self.assertBetween(found.error_share, 0.04, 0.06)
    listed = (wrong < found.threshold).sum(), (right < found.threshold).sum()
    self.assertGreater(listed[0], 400)
    self.assertLess(listed[1], 0.2 * sum(listed))
    self.assertLess(abs(found.expected_right - listed[1]), 40)

  def test_no_image_fits_worse_than_nearly_all_strangers(self):
    rng = np.random.default_rng(1)
    for mean in (4.0, 6.0, 12.0):
      found = outliers.outlier_threshold(
        rng.normal(mean, 1, size=20_000), rng.normal(size=20_000), 0.1
      )
      self.assertLess(found.threshold, 1.7)  # 95 % of strangers are below 1.64
      self.assertLess(found.expected_right, 5)

  def test_an_identity_of_outliers_keeps_its_images(self):
    faces, _ = people.clean_set(12, 4)
    score = np.full(48, 5.0, np.float32)
    score[:3] = score[4] = -1  # three of four, and one of four
    keep = outliers.fitting(faces, score, 0.0)
    self.assertEqual(np.flatnonzero(~keep).tolist(), [4])


class SamePersonTest(chex.TestCase):
  def test_a_split_identity_is_found_and_clean_ones_are_not(self):
    directions = people.people(200)
    directions[41] = directions[20]
    directions[50] = directions[20]
    labels = np.repeat(np.arange(200), 10)
    faces = people.faces(people.images(directions[labels]), labels)
    _, centroids, _, keep = judge(faces)
    halves = suspicions.self_scores(faces, keep, centroids, single=False)
    found, tail, threshold = suspicions.same_person(
      centroids, None, 1.0, least=float(np.quantile(halves, 0.05))
    )
    self.assertEqual(
      {tuple(sorted(p)) for p in zip(found.first, found.second, strict=True)},
      {(20, 41), (20, 50), (41, 50)},
    )
    self.assertLessEqual(tail.expected(np.array([threshold]))[0], 1.0 + 1e-6)
    groups = suspicions.group(found, 200)
    self.assertEqual(groups[[20, 41, 50]].tolist(), [20, 20, 20])
    self.assertLen(set(groups.tolist()), 198)

  def test_the_expected_number_of_false_alarms_holds(self):
    total = 0
    for seed in range(5):
      faces, _ = people.clean_set(80, 5, seed=100 + 2 * seed)
      found, _, _ = suspicions.same_person(
        suspicions.centroids_of(faces), None, 2.0
      )
      total += len(found.first)
    self.assertLessEqual(total, 20)  # 10 are expected

  def test_chains_are_one_group(self):
    pairs = suspicions.Pairs(
      np.array([5, 3, 7]), np.array([3, 1, 8]), *np.zeros((3, 3))
    )
    self.assertEqual(
      suspicions.group(pairs, 9).tolist(), [0, 1, 2, 1, 4, 1, 6, 7, 7]
    )

  def test_a_threshold_that_lists_everything_is_refused(self):
    vectors = people.people(1600).astype(np.float32)
    centroids = suspicions.Centroids(
      vectors, strangers.add_to_cloud(None, vectors)
    )
    with self.assertRaisesRegex(UsageError, 'ask for a higher score'):
      suspicions.same_person(centroids, -9.0, 1.0)

  @parameterized.parameters(
    {'near_duplicate': 1.5},
    {'false_alarms': 0.0},
    {'false_share': 1.0},
    {'overlap_share': 0.0},
  )
  def test_limits_that_mean_nothing_are_refused(self, **limits):
    with self.assertRaisesRegex(UsageError, next(iter(limits))):
      suspicions.Limits(**limits)


class OverlapsTest(chex.TestCase):
  def make(self, shared):
    """A training set, and a test set that holds some of its people."""
    faces, directions = people.clean_set(80, 10)
    test = people.people(200, seed=77)
    test[: len(shared)] = directions[shared]
    labels = np.repeat(np.arange(200), 2)
    test_faces = people.faces(people.images(test[labels], seed=8), labels, 't')
    return faces, test_faces, test

  def overlaps(self, faces, test, alarms=1.0):
    _, centroids, _, _ = judge(faces)
    return overlaps.overlaps(
      faces, centroids, suspicions.centroids_of(test), None, alarms
    )

  def test_people_of_the_test_set_are_found(self):
    shared = [3, 30, 55, 79]
    faces, test, _ = self.make(shared)
    found = self.overlaps(faces, test)
    above = found.nearest.score > found.threshold
    pairs = dict(
      zip(
        found.nearest.first[above].tolist(),
        found.nearest.second[above].tolist(),
        strict=True,
      )
    )
    self.assertEqual(
      {k: pairs.get(k) for k in shared}, {3: 0, 30: 1, 55: 2, 79: 3}
    )
    self.assertLessEqual(len(pairs), 6)
    self.assertLen(found.nearest.first, 80)

  def test_a_clean_set_loses_no_more_than_expected(self):
    faces, test, _ = self.make([])
    found = self.overlaps(faces, test)
    self.assertLessEqual((found.nearest.score > found.threshold).sum(), 4)
    self.assertLessEqual(len(found.strays.first), 4)

  def test_an_image_under_another_name_is_found(self):
    faces, test, directions = self.make([])
    vectors = np.array(faces.vectors)
    vectors[123] = people.images(directions[150][None], seed=3, noise=0.3)[0]
    found = self.overlaps(people.faces(vectors, faces.labels), test)
    strays = dict(zip(found.strays.first, found.strays.second, strict=True))
    self.assertEqual(strays.get(123), 150)


class NearDuplicatesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.faces, _ = people.clean_set(20, 6)
    self.vectors = np.array(self.faces.vectors)

  def repeat(self, image, of, seed=0):
    copy = people.images(self.vectors[of][None], seed=seed, noise=0.05)
    self.vectors[image] = copy[0]

  def find(self):
    faces = people.faces(self.vectors, self.faces.labels)
    own, centroids, _, _ = judge(faces)
    nearest, _ = outliers.nearest_others(faces, centroids)
    return near_duplicates.near_duplicates(
      faces, 0.97, nearest=nearest.place, own=own.score
    )

  def test_clean_data_have_none(self):
    found = self.find()
    self.assertEmpty(found.dropped)
    self.assertEqual(found.num_pairs, 0)

  def test_copies_within_an_identity_leave_the_first(self):
    self.repeat(3, of=1)
    self.repeat(5, of=1, seed=1)
    found = self.find()
    self.assertEqual(sorted(found.dropped.tolist()), [3, 5])
    self.assertEqual(found.kept.tolist(), [1, 1])
    self.assertEqual(found.num_pairs, 3)
    np.testing.assert_array_less(0.97, found.cosine)

  def test_a_slow_film_does_not_shrink_to_its_first_frame(self):
    start, axis = self.vectors[0], people.people(1, 5)[0]
    axis = people.unit(axis - (axis @ start) * start)
    angles = np.arccos(0.97) * 0.7 * np.arange(5)
    for frame, angle in enumerate(angles):
      self.vectors[frame] = np.cos(angle) * start + np.sin(angle) * axis
    self.assertEqual(sorted(self.find().dropped.tolist()), [1, 3])

  def test_a_copy_under_another_name_drops_the_worse_fit(self):
    self.repeat(50, of=8)  # image 50 is person 8's, 8 is person 1's
    found = self.find()
    self.assertEqual(found.dropped.tolist(), [50])
    self.assertEqual(found.kept.tolist(), [8])

  def test_parts_of_an_identity_equal_the_whole(self):
    labels = np.zeros(40, np.int32)
    rng = np.random.default_rng(0)
    vectors = people.images(
      people.people(8, 2)[rng.integers(0, 8, 40)], noise=0.1
    )
    faces = people.faces(vectors, labels)
    own = np.zeros(40, np.float32)
    whole = near_duplicates.near_duplicates(faces, 0.97, nearest=None, own=own)
    limit = near_duplicates._COSINES
    try:
      near_duplicates._COSINES = 120  # three rows of forty
      parts = near_duplicates.near_duplicates(
        faces, 0.97, nearest=None, own=own
      )
    finally:
      near_duplicates._COSINES = limit
    self.assertEqual(parts.num_pairs, whole.num_pairs)
    np.testing.assert_array_equal(parts.dropped, whole.dropped)
    np.testing.assert_array_equal(parts.kept, whole.kept)
    cosines = np.triu(vectors @ vectors.T, 1)
    self.assertEqual(whole.num_pairs, (cosines > 0.97).sum())
    self.assertLen(whole.dropped, 32)  # one of each person stays


class EmbeddedFacesTest(chex.TestCase):
  def test_rows_are_of_unit_norm_after_the_mean_is_taken_off(self):
    vectors = np.array([[3.0, 4.0], [0.0, 2.0], [5.0, 0.0]], np.float16)
    faces = people.faces(vectors, [0, 0, 1])
    np.testing.assert_allclose(
      faces.rows(slice(0, 2)), [[0.6, 0.8], [0, 1]], atol=1e-3
    )
    # Centroids (0.316, 0.949) and (1, 0).
    mean = embedded_faces.mean_identity(faces)
    np.testing.assert_allclose(mean, [0.6581, 0.4743], atol=1e-3)
    centred = faces.centred_on(mean).rows(slice(2, 3))
    np.testing.assert_allclose(centred, [[0.5847, -0.8112]], atol=1e-3)

  def test_sums_of_blocks_that_cut_identities_equal_the_whole(self):
    faces, _ = people.clean_set(7, 5)
    keep = np.random.default_rng(0).random(35) < 0.7
    expected = np.zeros((7, people.SIZE))
    np.add.at(expected, faces.labels[keep], faces.rows(slice(0, 35))[keep])
    for size in (3, 8, 100):
      blocks = list(faces.blocks(size))
      self.assertEqual(sum(len(rows) for _, rows in blocks), 35)
    np.testing.assert_allclose(faces.sums(keep), expected, atol=1e-5)

  def test_identities_weigh_alike_in_the_mean(self):
    vectors = np.concatenate([np.tile([[1.0, 0.0]], (9, 1)), [[0.0, 1.0]]])
    faces = people.faces(vectors, [0] * 9 + [1])
    np.testing.assert_allclose(embedded_faces.mean_identity(faces), [0.5, 0.5])


if __name__ == '__main__':
  absltest.main()
