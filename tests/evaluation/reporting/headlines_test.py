"""A page opens with the rates that people look for."""

import chex
from absl.testing import absltest, parameterized

from facejax.evaluation.reporting import findings, headlines
from tests.evaluation.reporting import examples

FARS = ('1e-1', '1e-2', '1e-3', '1e-4', '1e-5', '1e-6')


def by_far(count=6):
  """Rates at the first decades."""
  return dict.fromkeys(FARS[:count], 0.9)


class HeadlinesTest(chex.TestCase):
  @parameterized.named_parameters(
    (
      'pairs',
      examples.result(tar_at_far=by_far(3)),
      ['Accuracy', 'TAR at FAR 1e-2', 'TAR at FAR 1e-3', 'Equal error rate',
       'AUC'],
    ),
    (
      'all_pairs',
      {'protocol': 'lfw_all', 'tar_at_far': by_far()},
      ['TAR at FAR 1e-4', 'TAR at FAR 1e-6'],
    ),
    (
      'few_pairs',
      {'protocol': 'folder', 'tar_at_far': by_far(5)},
      ['TAR at FAR 1e-4', 'TAR at FAR 1e-5'],
    ),
    (
      'one_rate',
      {'protocol': 'folder', 'tar_at_far': by_far(1)},
      ['TAR at FAR 1e-1'],
    ),
    (
      'megaface',
      {'protocol': 'megaface', 'rank1': 0.9, 'tar_at_far': by_far(),
       'rank1_by_distractors': {'10': 0.99}},
      ['Rank 1', 'TAR at FAR 1e-6'],
    ),
    (
      'ijb',
      {'protocol': 'ijbc', 'tar_at_far': by_far(), 'auc': 0.9,
       'tar_at_nearest_far': by_far()},
      ['TAR at FAR 1e-4', 'AUC'],
    ),
    (
      'open_set',
      {'cmc': [0.9] * 20, 'dir_at_far': by_far(3)},
      ['Rank 1', 'DIR at FAR 1e-2'],
    ),
  )  # fmt: skip
  def test_the_rates_that_people_look_for_come_first(self, result, expected):
    (section,) = findings.find_sections(result)
    self.assertEqual(headlines.headlines(section), expected)


class CardsTest(chex.TestCase):
  def cards(self, result):
    return headlines.make_cards(findings.find_sections(result))

  def test_one_part_has_all_its_headlines(self):
    cards = self.cards(examples.result())
    self.assertEqual(
      [card.label for card in cards],
      [
        'Accuracy',
        'TAR at FAR 1e-1',
        'TAR at FAR 1e-2',
        'Equal error rate',
        'AUC',
      ],
    )
    self.assertEqual(cards[0].lines, ('± 0.41%', '95 %: 98.92 – 99.38%'))

  def test_modes_share_the_cards(self):
    modes = dict.fromkeys(('a', 'b', 'c', 'd'), examples.result())
    self.assertEqual(
      [card.label for card in self.cards({'modes': modes})],
      [f'Accuracy, {mode}' for mode in modes],
    )

  def test_parts_of_other_kinds_have_some_each(self):
    result = {
      'protocol': 'folder',
      'tar_at_far': by_far(),
      'eer': 0.01,
      'closed_set': {'rank1': 0.9},
      'open_set': {'rank1': 0.95, 'dir_at_far': by_far(3)},
    }
    self.assertEqual(
      [card.label for card in self.cards(result)],
      [
        'TAR at FAR 1e-4, all pairs',
        'TAR at FAR 1e-6, all pairs',
        'Rank 1, closed set',
        'Rank 1, open set',
        'DIR at FAR 1e-2, open set',
      ],
    )


if __name__ == '__main__':
  absltest.main()
