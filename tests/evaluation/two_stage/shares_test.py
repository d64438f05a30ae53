"""Named numbers of candidates, curves, and means over draws."""

import json

import chex
import numpy as np
from absl.testing import absltest

from facejax.evaluation.intervals import wilson_interval
from facejax.evaluation.two_stage import result, shares

RECALL = np.minimum(1, np.arange(1, 31) / 20)


def example(best=0.5):
  """G = 30; both stages find 99.9 % of float search from 20 candidates."""
  two_stage = best * RECALL
  stage = shares.StageShares(0.25, 0.375, RECALL, two_stage, two_stage)
  return shares.Shares(best, best, dict.fromkeys(result.STAGES, stage))


class SharesTest(chex.TestCase):
  def test_candidates_that_are_listed_end_with_everybody(self):
    self.assertEqual(shares.listed_candidates(7), [7])
    self.assertEqual(shares.listed_candidates(50), [10, 20, 50])
    self.assertEqual(
      shares.listed_candidates(5749),
      [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 5749],
    )

  def test_the_smallest_number_is_the_first_that_reaches(self):
    self.assertEqual(shares.smallest_candidates(example(), 'hamming'), 20)
    found = example()
    # 999 of 1,000 found suffice, and so do more than float search finds.
    found.by_stage['hamming'].two_stage[11] = 0.4995
    self.assertEqual(shares.smallest_candidates(found, 'hamming'), 12)
    found.by_stage['hamming'].two_stage[3] = 0.6
    self.assertEqual(shares.smallest_candidates(found, 'hamming'), 4)

  def test_a_curve_keeps_the_named_numbers(self):
    curve = shares.candidate_curve(example(), 'asymmetric')
    np.testing.assert_array_equal(curve.candidates, np.arange(1, 31))
    np.testing.assert_array_equal(curve.recall, RECALL)
    self.assertEqual((curve.float_rank1, curve.smallest), (0.5, 20))
    long = np.linspace(0, 1, 100_000)
    stage = shares.StageShares(0.0, 0.0, long, long, long)
    found = shares.Shares(1.0, 1.0, {'hamming': stage})
    curve = shares.candidate_curve(found, 'hamming')
    self.assertLess(len(curve.candidates), 400)
    self.assertIn(curve.smallest, curve.candidates)
    self.assertContainsSubset(
      shares.listed_candidates(100_000), curve.candidates.tolist()
    )

  def test_draws_give_means_and_deviations(self):
    mean, deviations = shares.over_draws([example(0.25), example(0.75)])
    self.assertEqual(mean.rank1, 0.5)
    self.assertAlmostEqual(deviations.rank1, 0.125**0.5)
    np.testing.assert_allclose(mean.by_stage['hamming'].two_stage, 0.5 * RECALL)
    self.assertEqual(shares.over_draws([example()])[1], None)

  def test_json_values_name_every_rate(self):
    values = result.to_json(example(), None, candidates=10, num_probes=40)
    self.assertEqual(values, json.loads(json.dumps(values)))
    self.assertEqual(
      list(values),
      [
        'float_search',
        'hamming_alone',
        'asymmetric_alone',
        'two_stage_hamming',
        'two_stage_asymmetric',
      ],
    )
    self.assertEqual(
      values['float_search'],
      {
        'rank1': 0.5,
        'rank1_lower_row': 0.5,
        'interval_95': list(wilson_interval(0.5, 40)),
      },
    )
    self.assertEqual(values['hamming_alone']['rank1_lower_row'], 0.375)
    both = values['two_stage_hamming']
    self.assertEqual((both['rank1'], both['recall']), (0.25, 0.5))
    self.assertEqual(
      both['rank1_at_candidates'], {'10': 0.25, '20': 0.5, '30': 0.5}
    )
    self.assertEqual(both['recall_at_candidates']['20'], 1)
    self.assertEqual(both['smallest_candidates'], 20)

  def test_json_values_of_draws_have_deviations(self):
    mean, deviations = shares.over_draws([example(0.25), example(0.75)])
    values = result.to_json(mean, deviations, candidates=30, num_probes=40)
    both = values['two_stage_asymmetric']
    self.assertAlmostEqual(both['std'], 0.125**0.5)
    self.assertNotIn('interval_95', both)
    self.assertEqual(values['hamming_alone']['std'], 0)


if __name__ == '__main__':
  absltest.main()
