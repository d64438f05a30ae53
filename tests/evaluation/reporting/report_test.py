"""Folders of reports: whole or not at all, and pages that hold no script."""

import dataclasses
import html.parser
import os
import pathlib
from unittest import mock

import chex
from absl.testing import absltest, parameterized

from facejax import files
from facejax.errors import DataError, UsageError
from facejax.evaluation.reporting import page, report, templating
from facejax.evaluation.reporting.curves import Curves
from tests.evaluation.reporting import examples, studies_test

EVIL = '<script>alert("x")</script>'


class _Elements(html.parser.HTMLParser):
  """Tags with their attributes, and all text."""

  def __init__(self, text):
    super().__init__()
    self.tags, self.text = [], []
    self.feed(text)

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))

  def handle_data(self, data):
    self.text.append(data)


class ReportTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)
    self.output = self.root / 'out'

  def test_a_folder_holds_everything_and_is_written_again(self):
    curves = Curves(
      histogram={
        'a/b': examples.histogram(),
        'a b': examples.histogram(),
      }
    )
    for _ in range(2):
      result = examples.report(curves).write(self.output)
    self.assertEqual(
      sorted(os.listdir(self.output)),
      [
        'histogram_a_b.png',
        'histogram_a_b_2.png',
        'measurements.npz',
        'report.html',
        'results.json',
      ],
    )
    self.assertEqual(
      result['figures'], ['histogram_a_b.png', 'histogram_a_b_2.png']
    )
    self.assertEqual(result['output'], str(self.output))
    self.assertEqual(files.read_json(self.output / 'results.json'), result)
    self.assertEqual(os.listdir(self.root), ['out'])

  def test_what_was_written_is_read(self):
    examples.report(correct=[True, False]).write(self.output)
    found = report.read_report(self.output)
    self.assertEqual(found.title, 'LFW: 8 pairs')
    self.assertEqual(found.result['accuracy'], 0.9918)
    self.assertEqual(found.measurements['same'].tolist(), [True, False])

  def test_a_failure_leaves_the_old_report(self):
    examples.report().write(self.output)
    before = {p.name: p.read_bytes() for p in self.output.iterdir()}
    with (
      mock.patch.object(files, 'write_bytes', side_effect=OSError('full')),
      self.assertRaises(OSError),
    ):
      examples.report(accuracy=0.5).write(self.output)
    self.assertEqual(
      {p.name: p.read_bytes() for p in self.output.iterdir()}, before
    )
    self.assertEqual(os.listdir(self.root), ['out'])

  def test_a_folder_of_anything_else_is_left_alone(self):
    examples.report().write(self.output)
    (self.output / 'notes.txt').write_text('mine')
    self.assertFalse(report.is_report(self.output))
    with self.assertRaisesRegex(UsageError, 'already exists'):
      examples.report().write(self.output)
    self.assertEqual((self.output / 'notes.txt').read_text(), 'mine')

  def test_reports_of_older_versions_count(self):
    self.output.mkdir()
    (self.output / 'roc.png').write_bytes(b'x')
    for text, counts in (
      ('{"protocol": "lfw", "figures": ["roc.png"]}', True),
      ('{"protocol": "lfw"}', False),
      ('no json', False),
    ):
      (self.output / 'results.json').write_text(text)
      self.assertEqual(report.is_report(self.output), counts, text)
    (self.output / 'results.json').write_text('{"protocol": "lfw"}')
    self.assertEqual(report.read_report(self.output).title, 'lfw')
    (self.output / 'results.json').write_text('{"step": 3}')
    with self.assertRaisesRegex(DataError, 'no result of a protocol'):
      report.read_report(self.output)
    with self.assertRaisesRegex(DataError, 'holds no results.json'):
      report.read_report(self.root)


class PageTest(chex.TestCase):
  def page(self, **changes):
    data = page.report_page(
      examples.result(**changes),
      changes.get('title', 'LFW'),
      [],
      examples.confused(first=f'{EVIL}/1.jpg'),
      command='python -m launch.evaluate --data="a&b"',
    )
    return data.decode()

  def test_numbers_and_names_stand_there(self):
    text = self.page()
    found = _Elements(text)
    words = ' '.join(''.join(found.text).split())
    for word in (
      '99.18%',
      '± 0.41%',
      '98.92 – 99.38%',
      'TAR at FAR 1e-2',
      'runs/one/model',
      '0.6250',
      'Bob/1.jpg',
      'Ann/2.jpg',
      'launch.evaluate --data="a&b"',
      'only in the raw numbers',
    ):
      self.assertIn(word, words)

  def test_every_name_is_escaped_and_no_script_runs(self):
    text = self.page(model=EVIL, title=EVIL, protocol=EVIL)
    found = _Elements(text)
    tags = {tag for tag, _ in found.tags}
    self.assertNotIn('script', tags)
    self.assertIn(EVIL, ''.join(found.text))
    self.assertNotIn(EVIL, text)
    alts = [attrs['alt'] for tag, attrs in found.tags if tag == 'img']
    self.assertEqual(alts, [f'{EVIL}/1.jpg', 'Bob/1.jpg'])

  def test_it_needs_no_other_file(self):
    found = _Elements(self.page())
    for tag, attrs in found.tags:
      for key in ('src', 'href'):
        if key in attrs:
          self.assertStartsWith(attrs[key], 'data:image/jpeg;base64,', tag)
    self.assertNotIn('link', {tag for tag, _ in found.tags})
    heads = [attrs for tag, attrs in found.tags if tag == 'th']
    self.assertTrue(all('scope' in attrs for attrs in heads))

  def test_what_must_not_be_overlooked_is_marked(self):
    words = self.page(transductive=True, official=False)
    self.assertIn('the test set itself shapes the features', words)
    self.assertIn('not the published list', words)
    self.assertNotIn('badge warn', self.page())
    modes = {'sphereface': examples.result(transductive=True)}
    self.assertIn('transductive: sphereface', self.page(modes=modes))

  @parameterized.parameters('lfw_all', 'lfw_closed')
  def test_all_of_lfw_is_not_called_a_published_list(self, protocol):
    text = self.page(protocol=protocol, official=True)
    self.assertIn('<span class="badge">all of LFW</span>', text)
    self.assertNotIn('published list', text.lower())
    text = self.page(protocol=protocol, official=False)
    self.assertIn('<span class="badge warn">not all of LFW</span>', text)

  @parameterized.parameters('lfw_closed', 'lfw_open', 'megaface')
  def test_confused_probes_are_no_most_alike_pairs(self, protocol):
    text = self.page(protocol=protocol)
    for title in ('Taken for somebody else', 'The mates they missed'):
      self.assertEqual(text.count(f'<h2>{title}</h2>'), 1)
    self.assertNotIn('like each other', text)
    self.assertIn('<h2>Impostors most like each other', self.page())

  def test_the_measure_is_said_once_with_and_without_pictures(self):
    shown, hidden = (
      examples.confused()[0],
      dataclasses.replace(examples.confused()[0], pictures=None),
    )
    groups = page.group_confused([shown, hidden], 'lfw', 'cosine')
    for group in groups:
      self.assertEqual(group.text.count('Scores: cosine.'), 1)
    self.assertLen(groups, 2)

  def test_long_names_break_between_words(self):
    self.assertEqual(
      templating.breakable('a_b/c__d_/<i>_'),
      'a_<wbr>b/<wbr>c__<wbr>d_/<wbr>&lt;i&gt;_',
    )
    self.assertIn('runs/<wbr>one/<wbr>model', self.page())

  def test_a_list_of_ones_own_is_not_marked(self):
    words = self.page(protocol='pairs', official=False)
    self.assertNotIn('badge warn', words)
    self.assertNotIn('not the published list', words)

  def test_a_surrogate_is_marked_once(self):
    words = self.page(official=False, surrogate=True)
    self.assertEqual(words.count('badge warn'), 1)
    self.assertIn('a surrogate of the published split', words)

  def test_parts_that_are_alike_stand_side_by_side(self):
    rates = {'rank1': 0.8125, 'cmc': [0.8125] * 20}
    found = _Elements(
      self.page(
        protocol='folder',
        closed_set=rates | {'num_probes': 77},
        open_set={'dir_at_far': {'1e-1': 0.7, '1e-2': 0.5}, 'num_draws': 3},
      )
    )
    text = ''.join(found.text)
    for name in ('all pairs', 'closed set', 'open set'):
      self.assertIn(name, text)
    self.assertIn('Number of probes: 77', text)
    tables = sum(tag == 'table' for tag, _ in found.tags)
    self.assertEqual(tables, 3 + 1)  # the last of confused pairs
    modes = dict.fromkeys(('plain', 'centred'), examples.result())
    page_of_modes = self.page(protocol='lfw', modes=modes, tar_at_far={},
      accuracy=None, auc=None, eer=None)  # fmt: skip
    self.assertEqual(page_of_modes.count('<table'), 1 + 1)

  def test_groups_and_damage_have_tables_of_their_own(self):
    group = studies_test.rates(100, 200, tar=0.9, fmr=0.0125)
    small = studies_test.rates(2, 3, tar=None, fmr=None, accuracy=None)
    groups = {EVIL: group, 'tiny': small, 'b': group}
    row = dict.fromkeys(
      ('accuracy', 'accuracy_new_thresholds', 'tar', 'far'), 0.0625
    )
    text = self.page(
      attributes={'skin_<tone>': studies_test.attribute(groups)},
      robustness={'jpeg': [{'level': 5} | row]},
      robustness_of={
        'mode': 'plain',
        'far': 0.001,
        'num_pairs': 8,
        'num_genuine': 4,
        'untouched': row,
      },
    )
    words = ' '.join(' '.join(_Elements(text).text).split())
    for word in (
      'By skin <tone>',
      EVIL,
      '1.25%',
      'few genuine pairs, few impostor pairs',
      'JPEG compression',
      '6.25%',
    ):
      self.assertIn(word, words)
    self.assertNotIn(EVIL, text)
    self.assertEqual(text.count('<tr class="few">'), 1)
    cards = text[text.index('class="cards"') : text.index('<h2>Rates')]
    self.assertNotIn('tiny', cards)
    self.assertEqual(cards.count('<li'), 5)

  def test_no_key_of_a_result_is_shown_as_it_is(self):
    text = self.page(
      protocol='lfw_all',
      far_rule='at_most',
      measure='squared_distance',
      images_per_person=10,
      bootstrap={'over': 'people', 'num_draws': 3},
      blufr={'dir_at_far': {'1e-2': {'mean': 0.9, 'std': 0.1}}},
      num_people_with_one_image=3,
      my_part={'rank1': 0.5},
    )
    shown = text[text.index('<body>') : text.index('<details>')]
    words = ' '.join(_Elements(shown).text)
    self.assertNotIn('_', words)

  def test_names_that_are_no_text_are_shown(self):
    self.assertIn('caf', self.page(model='caf\udce9'))


if __name__ == '__main__':
  absltest.main()
