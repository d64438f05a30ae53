"""The published verification sets by their counts."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.protocols import PairList
from facejax.evaluation.protocols.pair_sets import PAIR_SETS


def pair_list(pairs, genuine, folds):
  same = np.arange(pairs) < genuine
  return PairList(
    ('a',) * pairs, ('b',) * pairs, same, np.arange(pairs) % folds
  )


class PairSetsTest(chex.TestCase):
  @parameterized.parameters(
    ('lfw', 6000, 'LFW View 2'),
    ('lfw', 2200, 'LFW View 1, training'),
    ('lfw', 1000, 'LFW View 1, test'),
    ('agedb30', 6000, 'AgeDB-30'),
    ('cfp_ff', 7000, 'CFP-FF'),
    ('cfp_fp', 7000, 'CFP-FP'),
    ('calfw', 6000, 'CALFW'),
    ('cplfw', 6000, 'CPLFW'),
  )
  def test_the_published_counts_are_known(self, protocol, count, name):
    pairs = pair_list(count, count // 2, 10)
    self.assertEqual(PAIR_SETS[protocol].published_name(pairs), name)
    self.assertIsNone(PAIR_SETS[protocol].difference(pairs))

  @parameterized.parameters(
    (12, 6, 2, '12 pairs, the published set has 7,000'),
    (6000, 3000, 10, '6,000 pairs, the published set has 7,000'),
    (7000, 3499, 10, '3,499 genuine pairs, the published set has 3,500'),
    (7000, 3500, 9, '9 folds, the published set has 10'),
  )
  def test_any_other_count_is_a_difference(self, *counts):
    *counts, difference = counts
    pairs = pair_list(*counts)
    self.assertIsNone(PAIR_SETS['cfp_fp'].published_name(pairs))
    self.assertEqual(PAIR_SETS['cfp_fp'].difference(pairs), difference)

  def test_a_list_of_anybody_has_nothing_to_differ_from(self):
    pairs = pair_list(6000, 3000, 10)
    self.assertIsNone(PAIR_SETS['pairs'].published_name(pairs))
    self.assertIsNone(PAIR_SETS['pairs'].difference(pairs))


if __name__ == '__main__':
  absltest.main()
