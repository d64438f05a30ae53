"""Comparisons join reports of a model and refuse what cannot be compared."""

import os
import pathlib

import chex
from absl.testing import absltest, parameterized

from facejax import files
from facejax.errors import DataError, UsageError
from facejax.evaluation.reporting import comparison_page, named_reports
from facejax.evaluation.reporting.curves import Curves
from tests.evaluation.reporting import examples, studies_test

RIGHT = [True, True, True, False, True, False, True, True]
WORSE = [True, False, True, False, True, False, False, True]


class ComparisonTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)
    self.output = self.root / 'out'

  def write(self, name, curves=None, correct=None, **changes):
    path = self.root / name
    examples.report(curves, correct, **changes).write(path)
    return str(path)

  def compare(self, *paths, names=()):
    return comparison_page.compare(paths, self.output, names=names)

  def page(self):
    return ' '.join((self.output / 'report.html').read_text().split())

  def all_pairs(self, name, model):
    return self.write(
      name,
      protocol='lfw_all',
      model=model,
      accuracy=None,
      tar_at_far={'1e-3': 0.8, '1e-6': 0.5},
    )

  def test_two_protocols_join_by_the_name_of_the_model(self):
    result = self.compare(
      self.write('a', correct=RIGHT, model='runs/a'),
      self.write('b', correct=WORSE, model='runs/b', accuracy=0.9),
      self.all_pairs('a2', 'runs/a'),
      self.all_pairs('b2', 'runs/b'),
    )
    self.assertEqual(result['models'], ['a', 'b'])
    self.assertEqual(list(result['protocols']), ['lfw', 'lfw_all'])
    rows = result['protocols']['lfw']['rows']
    self.assertEqual([row['accuracy'] for row in rows], [0.9918, 0.9])
    (paired,) = result['protocols']['lfw']['paired']
    self.assertEqual((paired['first'], paired['second']), ('a', 'b'))
    self.assertEqual(paired['difference_of']['plain']['difference'], 0.25)
    self.assertEmpty(result['protocols']['lfw_all']['paired'])
    self.assertEqual(files.read_json(self.output / 'results.json'), result)
    text = self.page()
    joined = text[text.index('All protocols') : text.index('LFW: 8 pairs')]
    row = joined[joined.index('<th scope="row">a') :]
    row = row[: row.index('</tr>')]
    for number in ('99.18%', '80.00%', '50.00%'):
      self.assertIn(number, row)
    self.assertIn('+25.00%', text)
    self.assertNotIn('Mind:', text)

  def test_curves_lie_over_each_other_and_the_page_is_written_again(self):
    curves = Curves(cmc={'full': examples.cmc()})
    paths = self.write('a', curves), self.write('b', curves)
    for _ in range(2):
      result = self.compare(*paths, names=['<b>', '_c'])
    self.assertEqual(result['figures'], ['lfw_cmc.png'])
    self.assertEqual(
      sorted(os.listdir(self.output)),
      ['lfw_cmc.png', 'report.html', 'results.json'],
    )
    self.assertIn('CMC curve of &lt;b&gt;, _c;', self.page())

  def test_different_modes_are_shown_loudly(self):
    result = self.compare(
      self.write('a', model='runs/a'),
      self.write('b', model='runs/b', mode='centred', official=False),
    )
    self.assertLen(result['warnings'], 2)
    self.assertIn('different modes (plain, centred)', result['warnings'][0])
    self.assertIn('Mind:</strong> LFW: the models are in diff', self.page())

  def test_one_model_in_two_modes_has_two_lines(self):
    result = self.compare(
      self.write('a'), self.write('b', mode='sphereface', transductive=True)
    )
    self.assertEqual(result['models'], ['one/model'])
    self.assertEqual(
      result['protocols']['lfw']['modes'], ['plain', 'sphereface']
    )
    self.assertIn('sphereface, transductive', self.page())

  def test_parts_are_compared_with_their_like_and_groups_are_not(self):
    old = studies_test.rates(100, 200, tar=0.9, fmr=0.01)
    parts = {
      'protocol': 'folder',
      'accuracy': None,
      'tar_at_far': {'1e-3': 0.8},
      'attributes': {'age': studies_test.attribute({'old': old})},
    }
    result = self.compare(
      self.write('a', model='a', closed_set={'rank1': 0.7}, **parts),
      self.write('b', model='b', closed_set={'rank1': 0.6}, **parts),
    )
    rows = result['protocols']['folder']['rows']
    self.assertEqual(
      [(row['model'], row['part']) for row in rows],
      [
        ('a', 'all pairs'),
        ('a', 'closed set'),
        ('b', 'all pairs'),
        ('b', 'closed set'),
      ],
    )
    text = self.page()
    closed = text[text.index('<h3 class="part">closed set') :]
    closed = closed[: closed.index('</table>')]
    self.assertIn('<td class="best">70.00%', closed)
    self.assertIn('<td>60.00%', closed)
    self.assertNotIn('TAR at FAR', closed)

  def test_own_lists_are_no_wrong_published_ones(self):
    own = {'protocol': 'pairs', 'official': False}
    result = self.compare(
      self.write('a', model='a', **own), self.write('b', model='b', **own)
    )
    self.assertEmpty(result['warnings'])

  @parameterized.named_parameters(
    ('sets', {'num_pairs': 9}, 'different sets \\(pairs 8 and 9\\)'),
    ('views', {'set': 'View 1'}, 'no two'),
    ('protocols', {'protocol': 'agedb30'}, 'no two reports.*lfw, agedb30'),
    ('names', {}, 'lfw are of one/model in mode plain: tell them apart'),
  )
  def test_what_cannot_be_compared_is_refused(self, changes, message):
    if 'set' in changes:
      first, message = self.write('a', set='View 2'), 'set View 2 and View 1'
    else:
      first = self.write('a')
    with self.assertRaisesRegex(UsageError, message):
      self.compare(first, self.write('b', **changes))
    self.assertFalse(self.output.exists())

  def test_too_few_reports_or_names_are_refused(self):
    path = self.write('a')
    with self.assertRaisesRegex(UsageError, 'two reports or more .* 1 given'):
      self.compare(path)
    with self.assertRaisesRegex(UsageError, '2 reports and 1 names'):
      self.compare(path, path, names=['a'])
    with self.assertRaisesRegex(DataError, 'holds no results.json'):
      self.compare(path, self.root)

  def test_a_folder_of_anything_else_is_left_alone(self):
    self.output.mkdir()
    (self.output / 'thesis.tex').write_text('mine')
    path = self.write('a')
    with self.assertRaisesRegex(UsageError, 'already exists'):
      self.compare(path, path, names=['a', 'b'])

  @parameterized.parameters(
    ({'model': 'out/y1/'}, 'y1'),
    ({'model': 'out/run/model'}, 'run/model'),
    ({'model': None, 'embeddings': 'a/theirs.npz'}, 'theirs'),
    ({}, 'model'),
  )
  def test_models_are_called_by_their_folder(self, result, name):
    self.assertEqual(named_reports.model_name(result), name)


if __name__ == '__main__':
  absltest.main()
