"""Rates are found by their keys, whatever the protocol."""

import chex
from absl.testing import absltest

from facejax.evaluation.reporting import findings
from tests.evaluation.reporting import examples


class FindingsTest(chex.TestCase):
  def test_rates_bring_their_deviation_interval_and_threshold(self):
    rates = findings.find_rates(examples.result())
    self.assertEqual(
      list(rates),
      [
        'Accuracy',
        'TAR at FAR 1e-1',
        'TAR at FAR 1e-2',
        'Equal error rate',
        'AUC',
      ],
    )
    accuracy, tar = rates['Accuracy'], rates['TAR at FAR 1e-2']
    self.assertEqual((accuracy.text, accuracy.spread), ('99.18%', '± 0.41%'))
    self.assertEqual(accuracy.interval_text, '98.92 – 99.38%')
    self.assertEqual(rates['AUC'].text, '0.99883')
    self.assertEqual((tar.text, tar.interval), ('70.00%', (0.6, 0.8)))
    self.assertEqual(tar.threshold_text, '0.4000')

  def test_parts_of_a_result_are_found_at_any_depth(self):
    result = {
      'protocol': 'ijbc',
      'modes': {'plain': examples.result()},
      'identification': {
        'averaged': {'cmc': [0.9, 0.95], 'rank5': 0.97},
        'none': {'seconds': 3},
      },
    }
    sections = findings.find_sections(result)
    self.assertEqual(
      [(s.name, s.key) for s in sections],
      [('plain', 'plain'), ('1:N, averaged galleries', 'averaged')],
    )
    self.assertEqual(list(sections[1].rates), ['Rank 5', 'Rank 1'])

  def test_parts_have_names_for_people_and_studies_are_none(self):
    rates = {'rank1': 0.9}
    result = {
      'protocol': 'folder',
      'tar_at_far': {'1e-1': 0.9},
      'closed_set': rates,
      'open_set': {'dir_at_far': {'1e-1': 0.8}},
      'attributes': {'age': {'groups': {'old': rates}, 'across': rates}},
      'robustness_of': {'untouched': {'accuracy': 1.0}},
      'my_own_part': rates,
    }
    self.assertEqual(
      [section.name for section in findings.find_sections(result)],
      ['all pairs', 'closed set', 'open set', 'my own part'],
    )

  def test_thresholds_are_those_of_the_first_family_alone(self):
    rates = findings.find_rates(
      {
        'tar_at_far': {'1e-2': 0.9, '1e-1': 0.95},
        'dir_at_far': {'1e-2': 0.8},
        'thresholds': {'1e-2': 0.25, '1e-1': None},
        'threshold_intervals_95': {'1e-2': [0.2, 0.3], '1e-1': None},
        'far_at_threshold': {'1e-2': 0.00998, '1e-1': 0.1},
        'far_intervals_95': {'1e-2': [0.0, 0.02]},
      }
    )
    tar = rates['TAR at FAR 1e-2']
    self.assertEqual(
      (tar.threshold_text, tar.threshold_interval_text),
      ('0.2500', '0.2000 – 0.3000'),
    )
    self.assertEqual(
      (tar.far_text, tar.far_interval_text), ('9.98e-3', '0 – 2e-2')
    )
    other = rates['TAR at FAR 1e-1']
    self.assertEqual((other.threshold_text, other.far_text), ('', '1e-1'))
    self.assertIsNone(rates['DIR at FAR 1e-2'].threshold)

  def test_what_a_share_brings_along_is_noted(self):
    rates = findings.find_rates(
      {
        'tar_at_far': {
          '1e-3': {'mean': 0.99, 'std': 0.01, 'mean_minus_std': 0.98}
        },
        'tar_at_nearest_far': {'1e-3': 0.99},
        'nearest_fars': {'1e-3': 0.0012},
        'rank1_by_distractors': {'1000000': 0.75},
        'cmc': [0.9, 0.92, 0.94, 0.95, 0.96],
        'cmc_std': [0.01, 0.01, 0.01, 0.01, 0.02],
        'auc': 0.999,
        'auc_error': 8.79e-7,
      }
    )
    self.assertEqual(rates['TAR at FAR 1e-3'].note, 'mean − deviation 98.00%')
    self.assertEqual(rates['TAR at nearest FAR 1e-3'].far_text, '1.2e-3')
    self.assertEqual(rates['Rank 1, 1,000,000 distractors'].share, 0.75)
    self.assertEqual(rates['Rank 5'].spread, '± 2.00%')
    self.assertEqual(rates['AUC'].note, 'exact to 8.79e-7')

  def test_a_share_may_be_a_mean_with_its_deviation(self):
    rates = findings.find_rates(
      {
        'rank1': {'mean': 0.9, 'std': 0.01},
        'dir_at_far': {'1e-2': {'mean': 0.8, 'std': 0.02}, '1e-1': 0.9},
        'dir_std': {'1e-1': 0.03},
        'thresholds': {'1e-1': 0.5},
        'accuracy': None,
        'eer': 'unknown',
      }
    )
    self.assertEqual(
      list(rates), ['Rank 1', 'DIR at FAR 1e-2', 'DIR at FAR 1e-1']
    )
    self.assertEqual(rates['Rank 1'].spread, '± 1.00%')
    self.assertEqual(rates['DIR at FAR 1e-2'].share, 0.8)
    other = rates['DIR at FAR 1e-1']
    self.assertEqual((other.std, other.threshold), (0.03, 0.5))


if __name__ == '__main__':
  absltest.main()
