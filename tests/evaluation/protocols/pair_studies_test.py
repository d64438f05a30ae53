"""Groups and damage as options of the protocols of pair lists."""

import json
import os

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.evaluation import embeddings, protocols, sources
from tests.evaluation import faces


class PairStudiesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = faces.write_folder(self.create_tempdir().full_path, 'data')
    faces.write_lfw_list(os.path.join(self.root, 'lfw_pairs.txt'))
    self.table = os.path.join(self.root, 'attributes.csv')
    with open(self.table, 'w') as file:
      file.write('name,half,known\nP9,x,\n')
      file.writelines(
        f'P{p},{"low" if p < 3 else "high"},{"yes" if p else ""}\n'
        for p in range(6)
      )

  def source(self, **fields):
    data = os.path.join(self.root, 'data')
    return sources.ModelSource(
      faces.PixelModel(**fields), data, batch_size=16, name='m'
    )

  def test_groups_stand_beside_the_rates_of_every_mode(self):
    zero = np.zeros(16, np.float32)
    report = protocols.evaluate(
      'lfw', self.source(training_mean=zero), mode='all', attributes=self.table
    )
    json.dumps(report.result, allow_nan=False)
    self.assertEqual(
      report.result['attribute_table'],
      {'path': self.table, 'num_names': 7, 'num_names_used': 6},
    )
    for result in report.result['modes'].values():
      self.assertEqual([*result['attributes']], ['half', 'known'])
      groups = result['attributes']['half']['groups']
      # Folds are the halves, and no pair crosses them.
      self.assertEqual([*groups], ['high', 'low', 'x'])
      self.assertEqual(groups['low']['num_pairs'], 18)
      self.assertEqual(groups['x']['num_pairs'], 0)
      self.assertIsNone(groups['low']['accuracy'])  # of less than 30 pairs
      known = result['attributes']['known']
      self.assertEqual(known['groups']['yes']['num_pairs'], 27)
      self.assertEqual(
        known['unknown'],
        {
          'num_pairs': 9, 'num_genuine': 3, 'num_impostors': 6, 'num_images': 4,
        },
      )  # fmt: skip

  def test_columns_are_chosen_by_a_list_or_a_text(self):
    for columns in ('half', ['half']):
      result = protocols.evaluate(
        'lfw', self.source(), attributes=self.table, attribute_columns=columns
      ).result
      self.assertEqual([*result['attributes']], ['half'])

  def test_groups_of_all_pairs_have_the_rates_of_all(self):
    pairs = os.path.join(self.root, 'many.txt')
    with open(pairs, 'w') as file:
      for p in range(5):
        for i in range(1, 5):
          for j in range(i + 1, 5):
            file.write(f'P{p}/P{p}_{i:04d}.jpg P{p}/P{p}_{j:04d}.jpg 1\n')
            q = (p + j - i) % 5
            file.write(f'P{p}/P{p}_{i:04d}.jpg P{q}/P{q}_{j:04d}.jpg 0\n')
    table = os.path.join(self.root, 'one.csv')
    with open(table, 'w') as file:
      file.write('name,all\n' + ''.join(f'P{p},all\n' for p in range(6)))
    result = protocols.evaluate(
      'pairs', self.source(), pairs=pairs, attributes=table
    ).result
    everybody = result['attributes']['all']['groups']['all']
    for key in ('tar_at_far', 'tar_intervals_95', 'smallest_far'):
      self.assertEqual(everybody[key], result[key])
    self.assertAlmostEqual(everybody['accuracy'], result['accuracy'])
    self.assertEqual(everybody['fmr_ratio_at_far'], {'1e-1': 1.0})

  def test_damage_is_measured_and_drawn(self):
    report = protocols.evaluate(
      'lfw', self.source(), robustness='mask,jpeg', robustness_pairs=12, seed=5
    )
    self.assertEqual([*report.result['robustness']], ['mask', 'jpeg'])
    self.assertEqual(report.result['robustness_of']['num_pairs'], 12)
    self.assertEqual(report.result['robustness_of']['seed'], 5)
    self.assertLen(report.curves.degradation, 6)
    plain = protocols.evaluate('lfw', self.source()).result
    self.assertEqual(plain['accuracy'], report.result['accuracy'])
    self.assertNotIn('robustness', plain)

  def test_of_all_modes_the_first_that_no_test_image_shapes_is_damaged(self):
    report = protocols.evaluate(
      'lfw', self.source(), mode='all', robustness=['jpeg'], robustness_pairs=12
    )
    self.assertEqual(report.result['robustness_of']['mode'], 'insightface')

  def test_saved_embeddings_are_those_without_damage(self):
    paths = [os.path.join(self.root, name) for name in ('a.npz', 'b.npz')]
    protocols.evaluate('lfw', self.source(), save_embeddings=paths[0])
    protocols.evaluate(
      'lfw', self.source(), save_embeddings=paths[1], robustness='mask'
    )
    first, second = (dict(np.load(path)) for path in paths)
    chex.assert_trees_all_equal(first.pop('names'), second.pop('names'))
    chex.assert_trees_all_equal(first, second)

  @parameterized.parameters(
    ({'robustness': 'fog'}, 'robustness=fog: use all or some of'),
    ({'robustness': 'all', 'mode': 'sphereface'}, 'use mode insightface or'),
    ({'robustness_pairs': 10}, 'robustness_pairs is for damaged images'),
    ({'seed': 1}, 'seed is for damaged images'),
    ({'robustness': 'all', 'robustness_pairs': 1}, 'give 2 or more'),
    ({'robustness': 'all', 'seed': -1}, 'give 0 or more'),
    ({'attribute_columns': 'half'}, 'needs a table: give --attributes'),
  )
  def test_what_cannot_be_studied_is_refused_first(self, options, message):
    source = self.source()
    with self.assertRaisesRegex(UsageError, message):
      protocols.evaluate('lfw', source, **options)
    self.assertEmpty(source.model.shapes)

  def test_a_table_that_does_not_fit_is_refused_first(self):
    source = self.source()
    with self.assertRaisesRegex(UsageError, "no attribute 'sex'"):
      protocols.evaluate(
        'lfw', source, attributes=self.table, attribute_columns='sex'
      )
    with open(self.table, 'w') as file:
      file.write('name,sex\nAnn,f\n')
    with self.assertRaisesRegex(DataError, 'none of its 1 names, such as Ann'):
      protocols.evaluate('lfw', source, attributes=self.table)
    self.assertEmpty(source.model.shapes)

  def test_saved_embeddings_have_groups_but_no_damage(self):
    path = os.path.join(self.root, 'e.npz')
    protocols.evaluate('lfw', self.source(), save_embeddings=path)
    saved = embeddings.SavedSource(path)
    result = protocols.evaluate('lfw', saved, attributes=self.table).result
    self.assertIn('attributes', result)
    with self.assertRaisesRegex(UsageError, '--robustness needs a model'):
      protocols.evaluate('lfw', saved, robustness='all')


if __name__ == '__main__':
  absltest.main()
