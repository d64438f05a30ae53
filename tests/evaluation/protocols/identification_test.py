"""Identification protocols from images, lists and saved embeddings."""

import functools
import json
import os
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax import files
from facejax.data import identification_splits
from facejax.errors import DataError, UsageError
from facejax.evaluation.embeddings import Embeddings, SavedSource
from facejax.evaluation.protocols import lfw_closed, lfw_open, splits
from facejax.evaluation.protocols.identification import PROTOCOLS
from facejax.evaluation.sources import ModelSource
from tests.evaluation import faces

# Six people with four images each: two who are looked up, two more enrolled.
COUNTS = identification_splits.Counts(people=2, images=8, singles=2)


def small_draws():
  """Draws of the counts that the few faces allow."""
  draw = functools.partial(identification_splits.draw_split, counts=COUNTS)
  return mock.patch.object(splits, 'draw_split', draw)


class IdentificationTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = faces.write_folder(self.create_tempdir().full_path, 'data')
    self.notes = self.enter_context(mock.patch.object(files, 'note'))

  def source(self, **fields):
    return ModelSource(
      faces.PixelModel(**fields),
      os.path.join(self.root, 'data'),
      batch_size=16,
      name='m',
    )

  def saved(self, features, names):
    path = os.path.join(self.create_tempdir().full_path, 'e.npz')
    Embeddings(tuple(names), np.asarray(features, np.float32)).save(path)
    return SavedSource(path)

  def write(self, name, lines):
    path = os.path.join(self.root, name)
    with open(path, 'w') as file:
      file.write('\n'.join(lines) + '\n')
    return path

  def lists(self, gallery, probes):
    return {
      'gallery': self.write('gallery.txt', gallery),
      'probes': self.write('probes.txt', probes),
    }

  @parameterized.parameters('plain', 'insightface')
  def test_the_full_closed_set_enrols_first_images(self, mode):
    report = lfw_closed.run(self.source(), mode=mode)
    result = json.loads(json.dumps(report.result))
    self.assertEqual(result['protocol'], 'lfw_closed')
    self.assertEqual((result['mode'], result['measure']), (mode, 'cosine'))
    self.assertEqual((result['split'], result['surrogate']), ('full', False))
    self.assertEqual(
      [result[f'num_{k}'] for k in ('images', 'identities', 'probes')],
      [24, 6, 18],
    )
    self.assertEqual(result['rank1'], 1)
    self.assertEqual(report.measurements['probes'][0], 'P0/P0_0002.jpg')
    self.assertEqual(report.measurements['ranks'].tolist(), 18 * [1])
    self.assertEmpty(report.confused)
    self.assertIn(mode, report.curves.cmc)
    self.assertIn('do not compare', result['note'])

  def test_only_all_of_lfw_is_official(self):
    self.assertIs(
      lfw_closed.run(self.source(), mode='plain').result['official'], False
    )
    self.assertIn('6 people, 24 images', self.notes.call_args.args[0])
    self.notes.reset_mock()
    with mock.patch.object(splits, 'LFW_COUNTS', (6, 24, 18)):
      result = lfw_closed.run(self.source(), mode='plain').result
    self.assertIs(result['official'], True)
    self.notes.assert_not_called()

  def test_people_who_are_confused_are_shown(self):
    angles = np.radians([0, 30, 20, 90])
    names = ['A/1.jpg', 'A/2.jpg', 'B/1.jpg', 'B/2.jpg']
    source = self.saved(np.stack([np.cos(angles), np.sin(angles)], 1), names)
    report = lfw_closed.run(source, mode='plain')
    self.assertEqual(report.result['rank1'], 0.5)
    shown = [(p.first, p.second, p.genuine) for p in report.confused]
    self.assertEqual(
      shown, [('A/2.jpg', 'B/1.jpg', False), ('A/2.jpg', 'A/1.jpg', True)]
    )
    self.assertAlmostEqual(
      report.confused[0].score, np.cos(np.radians(10)), places=6
    )
    self.assertIsNone(report.confused[0].pictures)

  def test_confused_pairs_bring_their_pictures(self):
    lists = self.lists(
      ['P0/P0_0001.jpg wrong', 'P1/P1_0001.jpg P0'], ['P0/P0_0002.jpg']
    )
    report = lfw_closed.run(self.source(), mode='plain', **lists)
    first, missed = report.confused
    self.assertEqual((first.second, first.genuine), ('P0/P0_0001.jpg', False))
    self.assertEqual((missed.second, missed.genuine), ('P1/P1_0001.jpg', True))
    for pair in report.confused:
      expected = [
        files.Path(self.root, 'data', name).read_bytes()
        for name in (pair.first, pair.second)
      ]
      self.assertEqual(list(pair.pictures), expected)

  def test_the_surrogate_is_a_mean_over_draws(self):
    with small_draws():
      report = lfw_closed.run(
        self.source(), mode='plain', closed_split='surrogate', draws=3, seed=5
      )
    result = report.result
    self.assertEqual((result['surrogate'], result['official']), (True, False))
    self.assertEqual((result['num_draws'], result['seed']), (3, 5))
    self.assertLen(result['rank1_of_draws'], 3)
    self.assertEqual(result['rank1'], np.mean(result['rank1_of_draws']))
    self.assertEqual(result['std'], 0)
    self.assertLen(result['cmc'], 20)
    self.assertEqual(
      [result[f'num_{k}'] for k in ('gallery', 'probes', 'identities')],
      [4, 6, 4],
    )

  def test_a_single_draw_has_no_deviation(self):
    with small_draws():
      result = lfw_closed.run(
        self.source(), mode='plain', closed_split='surrogate', draws=1
      ).result
    self.assertIsNone(result['std'])

  def test_deviations_are_those_of_a_sample(self):
    mean, std = splits.over_draws([0.25, 0.75])
    self.assertEqual(mean, 0.5)
    self.assertAlmostEqual(std, 0.125**0.5)

  def test_the_open_set_has_the_same_draws_turned_round(self):
    with small_draws():
      report = lfw_open.run(self.source(), mode='plain', draws=4)
    result = json.loads(json.dumps(report.result))
    self.assertEqual(result['protocol'], 'lfw_open')
    self.assertEqual(
      [result[f'num_{k}'] for k in ('gallery', 'genuine', 'impostors')],
      [6, 2, 16],
    )
    self.assertEqual(result['smallest_far'], 1 / 16)
    self.assertEqual(list(result['dir_at_far']), ['1e-1'])
    self.assertLen(result['dir_of_draws']['1e-1'], 4)
    self.assertEqual(result['dir_at_far']['1e-1'], 1)
    self.assertIn('plain', report.curves.dir)
    self.assertLen(report.confused, 12)  # impostors and their best matches

  def test_the_open_set_takes_lists_and_rates(self):
    lists = self.lists(
      ['P0/P0_0001.jpg', 'P0/P0_0002.jpg', 'P1/P1_0001.jpg'],
      ['P0/P0_0003.jpg', 'P1/P1_0003.jpg', 'P2/P2_0001.jpg', 'P3/P3_0001.jpg'],
    )
    result = lfw_open.run(
      self.source(), mode='plain', far=[0.5], **lists
    ).result
    self.assertEqual((result['split'], result['official']), ('lists', False))
    self.assertEqual(result['gallery'], lists['gallery'])
    self.assertEqual(result['num_images'], 7)
    self.assertEqual(result['dir_at_far'], {'5e-1': 1})
    with self.assertRaisesRegex(UsageError, '0.01 cannot be read from 2'):
      lfw_open.run(self.source(), mode='plain', far=[0.01], **lists)

  def test_closed_lists_need_a_mate_for_each_probe(self):
    lists = self.lists(['P0/P0_0001.jpg'], ['P1/P1_0002.jpg'])
    with self.assertRaisesRegex(DataError, 'closed set has no such probes'):
      lfw_closed.run(self.source(), mode='plain', **lists)

  def test_images_of_lists_must_be_there(self):
    lists = self.lists(['P0/P0_0001.jpg'], ['P0/P0_0099.jpg'])
    with self.assertRaisesRegex(DataError, 'no image P0/P0_0099.jpg'):
      lfw_closed.run(self.source(), mode='plain', **lists)

  def test_timing_counts_one_call_an_image(self):
    source = self.source()
    result = lfw_closed.run(source, mode='plain', timing=True).result
    singles = [s for s in source.model.shapes if s[0] == (1, 112, 112, 3)]
    self.assertLen(singles, 18 * 6)  # once to warm up, five that count
    timed = result['timing']
    self.assertEqual((timed['num_images'], timed['num_gallery']), (24, 6))
    self.assertGreater(timed['total_s'], 0)
    json.dumps(timed)

  def test_saved_embeddings_cannot_be_timed(self):
    source = self.saved(np.eye(2), ['A/1.jpg', 'A/2.jpg'])
    for run in lfw_closed.run, lfw_open.run:
      with self.assertRaisesRegex(UsageError, 'give --model and --data'):
        run(source, mode='plain', timing=True)

  @parameterized.parameters(
    ({'closed_split': 'half'}, '--closed_split=half: use full or surrogate'),
    ({'gallery': 'g.txt'}, '--gallery and --probes together'),
    (
      {'gallery': 'g', 'probes': 'p', 'closed_split': 'full'},
      'has images of its own',
    ),
    ({'draws': 5}, '--draws is for the draws of the surrogate'),
    ({'seed': 5}, '--seed is for the draws of the surrogate'),
    ({'gallery': 'g', 'probes': 'p', 'seed': 5}, '--seed .* not for lists'),
    ({'closed_split': 'surrogate', 'draws': 0}, '--draws=0: give 1 or more'),
    ({'closed_split': 'surrogate', 'seed': -1}, '--seed=-1'),
    ({'mode': 'halo'}, "mode 'halo'"),
    ({'mode': 'centred'}, 'needs the mean embedding'),
  )
  def test_options_that_do_not_fit_are_refused(self, options, message):
    source = self.source()
    with self.assertRaisesRegex(UsageError, message):
      lfw_closed.run(source, **{'mode': 'plain', **options})
    self.assertEmpty(source.model.shapes)  # before any image is embedded

  def test_sets_other_than_lfw_have_no_surrogate(self):
    with self.assertRaisesRegex(DataError, '6 people with 24 images'):
      lfw_open.run(self.source(), mode='plain')

  def test_images_without_folders_are_refused(self):
    source = self.saved(np.eye(2), ['1.jpg', '2.jpg'])
    with self.assertRaisesRegex(DataError, 'IDENTITY/image.jpg'):
      lfw_closed.run(source, mode='plain')

  def test_embeddings_that_are_not_finite_are_named(self):
    source = self.saved([[1, 0], [np.nan, 0]], ['A/1.jpg', 'A/2.jpg'])
    with self.assertRaisesRegex(DataError, 'A/2.jpg is not finite'):
      lfw_closed.run(source, mode='plain')

  def test_both_protocols_are_known_by_name(self):
    self.assertEqual(sorted(PROTOCOLS), ['lfw_closed', 'lfw_open'])
    self.assertIn('closed_split', PROTOCOLS['lfw_closed'].options)
    self.assertIn('far', PROTOCOLS['lfw_open'].options)


if __name__ == '__main__':
  absltest.main()
