"""Ranks, CMC and DIR against hand counts and naive loops, ties included."""

import math

import chex
import hypothesis
import hypothesis.extra.numpy as hnp
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.errors import DataError, UsageError
from facejax.evaluation.identification import ranks
from tests.evaluation.naive_ranks import naive_dir_at_far, naive_rank

FEW = st.integers(-3, 3)  # few distinct scores, so that ties are everywhere


@st.composite
def matrices(draw):
  """Scores [Q, G] with labels; some probes have no mate."""
  shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 8)))
  scores = draw(hnp.arrays(np.int64, shape, elements=FEW)).astype(np.float64)
  people = st.integers(0, 4)
  probes = draw(hnp.arrays(np.int64, shape[0], elements=people))
  gallery = draw(hnp.arrays(np.int64, shape[1], elements=people))
  return scores / 4, probes, gallery


@st.composite
def open_sets(draw):
  """Scores and ranks of genuine probes, scores of impostors."""
  num_genuine, num_impostors = draw(st.tuples(*[st.integers(1, 12)] * 2))

  def numbers(count, elements):
    return draw(hnp.arrays(np.int64, count, elements=elements))

  return (
    numbers(num_genuine, FEW) / 4,
    numbers(num_genuine, st.integers(1, 3)),
    numbers(num_impostors, FEW) / 4,
  )


class RanksTest(chex.TestCase):
  def test_ranks_by_hand(self):
    scores = np.array(
      [
        # people 7 7 8 9
        [0.1, 0.9, 0.8, 0.3],
        [0.9, 0.1, 0.5, 0.3],
        [0.4, 0.4, 0.4, 0.9],
        [0.2, 0.2, 0.2, 0.2],
      ]
    )
    found = ranks.ranks_of_mates(
      scores, np.array([7, 8, 8, 5]), np.array([7, 7, 8, 9])
    )
    # The best of 7 counts; 7 counts once; its tie with 8 is an error; nobody.
    np.testing.assert_array_equal(found, [1, 2, 3, 0])

  @hypothesis.given(matrices())
  def test_ranks_are_those_of_a_loop(self, case):
    scores, probes, gallery = case
    found = ranks.ranks_of_mates(scores, probes, gallery)
    expected = [
      naive_rank(row, label, gallery)
      for row, label in zip(scores, probes, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)

  @hypothesis.given(matrices())
  def test_ranks_depend_on_the_order_of_scores_alone(self, case):
    scores, probes, gallery = case
    np.testing.assert_array_equal(
      ranks.ranks_of_mates(np.exp(3 * scores), probes, gallery),
      ranks.ranks_of_mates(scores, probes, gallery),
    )

  @hypothesis.given(matrices(), st.randoms(use_true_random=False))
  def test_the_order_of_the_gallery_changes_nothing(self, case, random):
    scores, probes, gallery = case
    order = np.array(random.sample(range(len(gallery)), len(gallery)))
    np.testing.assert_array_equal(
      ranks.ranks_of_mates(scores[:, order], probes, gallery[order]),
      ranks.ranks_of_mates(scores, probes, gallery),
    )

  def test_a_duplicate_under_another_name_costs_the_first_rank(self):
    scores = np.array([[0.9, 0.9, 0.1]])
    for gallery, expected in ([0, 1, 2], 2), ([0, 0, 2], 1):
      found = ranks.ranks_of_mates(scores, np.array([0]), np.array(gallery))
      self.assertEqual(found.tolist(), [expected])

  def test_an_empty_gallery_holds_nobody(self):
    found = ranks.ranks_of_mates(
      np.zeros((2, 0)), np.array([0, 1]), np.zeros(0, np.int64)
    )
    self.assertEqual(found.tolist(), [0, 0])

  def test_a_score_that_is_no_number_is_refused(self):
    scores = np.array([[0.5, 0.1], [0.2, np.nan]])
    with self.assertRaisesRegex(DataError, 'probe 1, gallery image 1 is NaN'):
      ranks.ranks_of_mates(scores, np.array([0, 1]), np.array([0, 1]))

  def test_cmc_by_hand(self):
    np.testing.assert_allclose(
      ranks.cmc(np.array([1, 1, 3, 25]), 5), [0.5, 0.5, 0.75, 0.75, 0.75]
    )
    self.assertLen(ranks.cmc(np.array([1])), 20)

  @hypothesis.given(
    hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(1, 9)),
    st.integers(1, 12),
  )
  def test_cmc_is_the_share_of_ranks_within(self, found, max_rank):
    shares = ranks.cmc(found, max_rank)
    expected = [np.mean(found <= rank) for rank in range(1, max_rank + 1)]
    np.testing.assert_allclose(shares, expected)
    self.assertTrue((np.diff(shares) >= 0).all())

  @parameterized.parameters(
    ([1, 0, 2], '1 of 3 probes have no mate'),
    ([0, 0], '2 of 2 probes have no mate'),
    ([], '0 of 0 probes'),
  )
  def test_cmc_needs_mates(self, found, message):
    with self.assertRaisesRegex(DataError, message):
      ranks.cmc(np.array(found, np.int64))

  def test_cmc_counts_ranks_from_one(self):
    with self.assertRaisesRegex(UsageError, 'ranks count from 1'):
      ranks.cmc(np.array([1]), 0)


class DirTest(chex.TestCase):
  GENUINE = np.array([0.9, 0.7, 0.5, 0.8])
  RANKS = np.array([1, 1, 1, 2])
  IMPOSTOR = np.array([0.6, 0.7, 0.2, 0.1])

  @parameterized.parameters(
    # The second largest impostor, then the third, then none.
    (0.25, 1, 0.6, 0.5, 0.25),
    (0.49, 1, 0.6, 0.5, 0.25),
    (0.5, 1, 0.2, 0.75, 0.5),
    (0.25, 2, 0.6, 0.75, 0.25),
    (1.0, 1, -math.inf, 0.75, 1.0),
    (1, 2, -math.inf, 1.0, 1.0),
  )
  def test_dir_by_hand(self, far, rank, threshold, rate, measured):
    point = ranks.dir_at_far(
      self.GENUINE, self.RANKS, self.IMPOSTOR, far, rank=rank
    )
    self.assertEqual(point, (rate, measured, threshold))

  def test_nearest_may_let_through_more(self):
    arguments = self.GENUINE, self.RANKS, self.IMPOSTOR, 0.4
    self.assertEqual(ranks.dir_at_far(*arguments).far, 0.25)
    self.assertEqual(ranks.dir_at_far(*arguments, rule='nearest').far, 0.5)

  def test_a_tie_with_the_threshold_is_not_found(self):
    point = ranks.dir_at_far(
      np.array([0.7]), np.array([1]), np.array([0.7, 0.7, 0.1]), 0.5
    )
    self.assertEqual(point, (0.0, 0.0, 0.7))

  @hypothesis.given(open_sets(), st.floats(0, 1), st.integers(1, 3))
  def test_dir_is_that_of_a_loop(self, case, share, rank):
    count = len(case[2])
    far = min(1.0, 1 / count + share * (1 - 1 / count))
    point = ranks.dir_at_far(*case, far, rank=rank)
    self.assertEqual(point, naive_dir_at_far(*case, far, rank))
    self.assertLessEqual(point.far, far * (1 + 1e-12))

  @hypothesis.given(open_sets())
  def test_the_curve_holds_every_point(self, case):
    curve = ranks.dir_curve(*case)
    self.assertTrue((np.diff(curve.far) >= 0).all())
    self.assertTrue((np.diff(curve.dir) >= 0).all())
    self.assertEqual((curve.far[0], curve.dir[0]), (0, 0))
    self.assertEqual(curve.far[-1], 1)
    self.assertEqual(curve.dir[-1], np.mean(case[1] == 1))
    for far in np.arange(1, len(case[2]) + 1) / len(case[2]):
      point = ranks.dir_at_far(*case, float(far))
      at = curve.thresholds == point.threshold
      self.assertEqual(curve.far[at].tolist(), [point.far])
      self.assertEqual(curve.dir[at].tolist(), [point.dir])

  def test_finer_rates_than_the_impostors_show_are_refused(self):
    scores = np.linspace(0, 1, 100)
    ones = np.ones(100, np.int64)
    self.assertEqual(ranks.dir_at_far(scores, ones, scores, 0.01).far, 0.01)
    for far in 0.009, 0.0, 1.5, math.nan:
      with self.assertRaisesRegex(UsageError, 'from 100 impostor probes'):
        ranks.dir_at_far(scores, ones, scores, far)

  @parameterized.parameters(
    (([], [], [0.5]), 'no genuine probes'),
    (([0.5], [1], []), 'no impostor probes'),
    (([0.5, np.nan], [1, 1], [0.5]), 'genuine probe 1 is nan'),
    (([0.5], [1], [0.1, np.inf]), 'impostor probe 1 is inf'),
    (([0.5], [0], [0.1]), 'genuine probe 0 has no mate'),
  )
  def test_degenerate_sets_are_refused(self, case, message):
    genuine, found, impostor = case
    with self.assertRaisesRegex(DataError, message):
      ranks.dir_curve(
        np.array(genuine, float),
        np.array(found, int),
        np.array(impostor, float),
      )

  def test_ranks_and_rules_must_exist(self):
    case = self.GENUINE, self.RANKS, self.IMPOSTOR
    with self.assertRaisesRegex(UsageError, 'rank=0'):
      ranks.dir_at_far(*case, 0.5, rank=0)
    with self.assertRaisesRegex(UsageError, "'at_most' or 'nearest'"):
      ranks.dir_at_far(*case, 0.5, rule='above')


if __name__ == '__main__':
  absltest.main()
