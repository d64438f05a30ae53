"""Facts of a result are for people."""

import chex
from absl.testing import absltest

from facejax.evaluation import protocols
from facejax.evaluation.reporting import facts, labels
from tests.evaluation.reporting import examples


class FactsTest(chex.TestCase):
  def test_facts_are_for_people_and_leave_out_what_is_unknown(self):
    found = facts.find_facts(
      examples.result(
        packed=None,
        num_pairs=1_234_567,
        num_genuine=3,
        preprocessing={'image_size': [112, 96]},
        smallest_far=2.093e-8,
        far_rule='at_most',
        measure='squared_distance',
        date='2026-01-02T03:04:05+00:00',
      )
    )
    self.assertEqual(found['Number of pairs'], '1,234,567')
    self.assertEqual(found['Genuine comparisons'], '3')
    self.assertEqual(found['Preprocessing'], 'image size: 112, 96')
    self.assertEqual(found['Transductive'], 'no')
    self.assertEqual(found['Smallest FAR'], '2.09e-8')
    self.assertStartsWith(found['Rule for a FAR'], 'at most the rate')
    self.assertEqual(found['Measure'], 'squared distance')
    self.assertEqual(found['Date'], '2026-01-02 03:04:05 UTC')
    self.assertEqual(found['Protocol'], 'LFW')
    self.assertNotIn('Packed', found)
    self.assertNotIn('strange', ' '.join(found))

  def test_paths_stay_as_they_are(self):
    found = facts.find_facts({'data': 'my_faces/at_most', 'mode': 'my_mode'})
    self.assertEqual(found, {'Data': 'my_faces/at_most', 'Mode': 'my_mode'})

  def test_a_list_that_nobody_published_lacks_nothing(self):
    own = {'protocol': 'pairs', 'official': False}
    self.assertFalse(facts.is_unpublished(own))
    self.assertNotIn('The published list', facts.find_facts(own))
    other = own | {'protocol': 'lfw'}
    self.assertTrue(facts.is_unpublished(other))
    self.assertEqual(facts.find_facts(other)['The published list'], 'no')
    self.assertFalse(facts.is_unpublished(other | {'official': True}))

  def test_whole_sets_in_splits_of_our_own_are_no_published_lists(self):
    for protocol, split, name in (
      ('lfw_all', None, 'All of LFW'),
      ('lfw_closed', 'full', 'All of LFW'),
      ('lfw_closed', 'surrogate', 'The published list'),
      ('lfw', None, 'The published list'),
    ):
      values = {'protocol': protocol, 'split': split, 'official': True}
      self.assertEqual(facts.find_facts(values)[name], 'yes', values)

  def test_every_protocol_has_a_name(self):
    self.assertContainsSubset(protocols.PROTOCOLS, labels.PROTOCOLS)
    for names in (labels.PROTOCOLS, labels.TOP, labels.PARTS):
      self.assertNotIn('_', ''.join(names.values()))
    self.assertContainsSubset(labels.TOP, labels.PROTOCOLS)


if __name__ == '__main__':
  absltest.main()
