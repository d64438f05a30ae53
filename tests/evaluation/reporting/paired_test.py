"""Paired tests against hand-computed values and naive draws."""

import math

import chex
import numpy as np
from absl.testing import absltest

from facejax.errors import UsageError
from facejax.evaluation.reporting import paired


def decisions(both, first, second, none):
  """Two models that are right on so many pairs together and alone."""
  one = [True] * (both + first) + [False] * (second + none)
  two = [True] * both + [False] * first + [True] * second + [False] * none
  return np.array(one), np.array(two)


class CompareSharesTest(chex.TestCase):
  def test_mcnemar_is_a_two_sided_coin(self):
    found = paired.compare_shares(*decisions(20, 8, 2, 5))
    tail = sum(math.comb(10, k) for k in range(3)) / 2**10
    self.assertAlmostEqual(found['mcnemar_p'], 2 * tail)
    self.assertAlmostEqual(found['difference'], 6 / 35)
    self.assertEqual(
      (found['only_first_right'], found['only_second_right']), (8, 2)
    )

  def test_the_interval_is_that_of_drawing_pairs(self):
    one, two = decisions(200, 60, 30, 10)
    found = paired.compare_shares(one, two)
    rng = np.random.default_rng(1)
    rows = rng.integers(0, len(one), (4000, len(one)))
    drawn = one[rows].mean(1) - two[rows].mean(1)
    np.testing.assert_allclose(
      found['interval_95'], np.quantile(drawn, (0.025, 0.975)), atol=0.008
    )
    self.assertGreater(found['share_above_0'], 0.99)

  def test_sides_can_be_exchanged(self):
    one, two = decisions(50, 9, 4, 7)
    there, back = (
      paired.compare_shares(one, two),
      paired.compare_shares(two, one),
    )
    self.assertEqual(there['difference'], -back['difference'])
    self.assertAlmostEqual(there['mcnemar_p'], back['mcnemar_p'])

  def test_equal_models_do_not_differ(self):
    one, _ = decisions(3, 1, 0, 1)
    found = paired.compare_shares(one, one)
    self.assertEqual(found['difference'], 0)
    self.assertEqual(found['mcnemar_p'], 1)
    self.assertEqual(found['interval_95'], [0, 0])


class CompareDecisionsTest(chex.TestCase):
  def test_modes_that_both_have_are_compared(self):
    one, two = decisions(3, 1, 1, 0)
    same = np.arange(5) % 2 == 0
    first = {'same': same, 'correct_plain': one, 'correct_centred': one}
    second = {'same': same, 'correct_plain': two}
    found = paired.compare_decisions(first, second)
    self.assertEqual(list(found), ['plain'])
    self.assertEqual(paired.compare_decisions({}, second), {})

  def test_other_pairs_are_refused(self):
    one, _ = decisions(3, 1, 1, 0)
    first = {'same': one, 'correct_plain': one}
    with self.assertRaisesRegex(UsageError, 'different pair lists'):
      paired.compare_decisions(first, first | {'same': ~one})


class CompareRanksTest(chex.TestCase):
  def test_probes_whose_mate_comes_first_are_right(self):
    probes = np.array(['a', 'b', 'c', 'd'])
    first = {'probes': probes, 'ranks': np.array([1, 1, 2, 1])}
    second = {'probes': probes, 'ranks': np.array([1, 3, 2, 7])}
    found = paired.compare_ranks(first, second)['rank 1']
    self.assertEqual(found['difference'], 0.5)
    self.assertEqual(paired.compare_ranks(first, {'same': probes}), {})
    with self.assertRaisesRegex(UsageError, 'different probes'):
      paired.compare_ranks(first, second | {'probes': probes[::-1]})


class CompareTwoStageTest(chex.TestCase):
  def test_every_way_to_search_is_compared(self):
    one, two = decisions(3, 2, 1, 0)
    probes = np.array(list('abcdef'))
    first = {'probes': probes, 'right_float_search': one, 'places_hamming': one}
    second = first | {'right_float_search': two, 'right_other': one}
    found = paired.COMPARERS['lfw_two_stage'](first, second)
    self.assertEqual(list(found), ['float search'])
    self.assertEqual(found['float search']['only_first_right'], 2)
    with self.assertRaisesRegex(UsageError, 'different probes'):
      paired.compare_two_stage(first, second | {'probes': probes[::-1]})


if __name__ == '__main__':
  absltest.main()
