"""The two-stage protocol from images, lists and saved embeddings."""

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
from facejax.evaluation import protocols
from facejax.evaluation.embeddings import Embeddings, SavedSource
from facejax.evaluation.protocols import lfw_closed, splits, two_stage
from facejax.evaluation.sources import ModelSource
from tests.evaluation import faces
from tests.evaluation.two_stage.small_faces import small_faces

COUNTS = identification_splits.Counts(people=2, images=8, singles=2)
PARTS = (
  'float_search',
  'hamming_alone',
  'asymmetric_alone',
  'two_stage_hamming',
  'two_stage_asymmetric',
)


class TwoStageTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = faces.write_folder(self.create_tempdir().full_path, 'data')
    self.notes = self.enter_context(mock.patch.object(files, 'note'))

  def source(self, hash_bits=16, **fields):
    return ModelSource(
      faces.PixelModel(hash_bits=hash_bits, **fields),
      os.path.join(self.root, 'data'),
      batch_size=16,
      name='m',
    )

  def saved(self, **arrays):
    features, logits, labels, _, _ = small_faces()
    names = [f'P{label}/{row:03d}.jpg' for row, label in enumerate(labels)]
    given = {'plain': features, 'logits': logits} | arrays
    path = os.path.join(self.create_tempdir().full_path, 'e.npz')
    Embeddings(tuple(names), **given).save(path)
    return SavedSource(path)

  def test_the_report_names_every_rate_and_what_it_is_of(self):
    report = protocols.evaluate(
      'lfw_two_stage', self.source(), candidates=3, radius=2
    )
    result = json.loads(json.dumps(report.result))
    self.assertEqual(result['protocol'], 'lfw_two_stage')
    self.assertEqual((result['mode'], result['split']), ('plain', 'full'))
    self.assertEqual((result['hash_bits'], result['model']), (16, 'm'))
    self.assertEqual(
      [result[f'num_{k}'] for k in ('images', 'gallery', 'probes')],
      [24, 6, 18],
    )
    for part in PARTS:
      self.assertIn('rank1', result[part])
      self.assertIn('rank1_lower_row', result[part])
    self.assertEqual(
      sorted(result['tie_rules']), ['candidates', 'rank1', 'rank1_lower_row']
    )
    self.assertEqual(result['two_stage_hamming']['candidates'], 3)
    self.assertIs(result['equals_float_search'], True)
    self.assertEqual(result['float_search']['rank1'], 1)
    self.assertEqual(result['codes']['bits'], 16)
    self.assertEqual(
      result['bytes_per_template'],
      {'code': 2, 'float32': 64, 'float16': 32, 'int8': 20},
    )
    self.assertEqual(result['gallery_bytes']['code'], 12)
    self.assertEqual(result['radius_rule']['radius'], 2)
    self.assertEqual(
      sorted(report.curves.candidates), ['asymmetric', 'hamming']
    )

  def test_float_search_is_the_closed_set(self):
    source = self.saved()
    both = two_stage.run(source, mode='plain').result
    closed = lfw_closed.run(source, mode='plain').result
    self.assertEqual(both['float_search']['rank1'], closed['rank1'])
    self.assertEqual(both['float_search']['interval_95'], closed['interval_95'])
    self.assertIs(both['official'], False)
    self.assertIn('lfw_two_stage: 9 people', self.notes.call_args_list[0][0][0])

  def test_saved_logits_give_what_the_model_gives(self):
    path = os.path.join(self.root, 'kept.npz')
    first = protocols.evaluate(
      'lfw_two_stage', self.source(), save_embeddings=path
    )
    again = protocols.evaluate('lfw_two_stage', SavedSource(path))
    for part in (*PARTS, 'codes', 'hash_bits', 'equals_float_search'):
      self.assertEqual(first.result[part], again.result[part], part)

  def test_a_mode_changes_cosines_and_no_codes(self):
    plain, both = (
      two_stage.run(self.source(), mode=mode).measurements
      for mode in ('plain', 'insightface')
    )
    np.testing.assert_array_equal(
      plain['places_hamming'], both['places_hamming']
    )

  def test_lists_stand_instead_of_a_split(self):
    gallery, probes = self.root + '/gallery.txt', self.root + '/probes.txt'
    files.write_bytes(gallery, b'P0/P0_0001.jpg\nP1/P1_0001.jpg\n')
    files.write_bytes(probes, b'P1/P1_0003.jpg\n')
    result = two_stage.run(
      self.source(), mode='plain', gallery=gallery, probes=probes
    ).result
    self.assertEqual((result['split'], result['gallery']), ('lists', gallery))
    self.assertEqual(result['two_stage_hamming']['candidates'], 2)
    self.assertEqual(result['num_probes'], 1)

  def test_the_surrogate_is_a_mean_over_draws(self):
    draw = functools.partial(identification_splits.draw_split, counts=COUNTS)
    with mock.patch.object(splits, 'draw_split', draw):
      result = two_stage.run(
        self.source(), mode='plain', closed_split='surrogate', draws=3, seed=5
      ).result
    self.assertEqual((result['num_draws'], result['seed']), (3, 5))
    self.assertIs(result['surrogate'], True)
    self.assertEqual(result['num_gallery'], 4)
    for part in PARTS:
      self.assertGreaterEqual(result[part]['std'], 0)

  def test_wrong_answers_are_shown_with_their_pictures(self):
    report = two_stage.run(self.source(hash_bits=8), mode='plain', candidates=1)
    wrong = [pair for pair in report.confused if not pair.genuine]
    missed = [pair for pair in report.confused if pair.genuine]
    self.assertNotEmpty(wrong)
    self.assertEqual([p.first for p in wrong], [p.first for p in missed])
    for pair in missed:
      self.assertEqual(pair.first[:2], pair.second[:2])
      self.assertEndsWith(pair.second, '_0001.jpg')
    for pair in wrong:
      self.assertNotEqual(pair.first[:2], pair.second[:2])
      self.assertLen(pair.pictures, 2)

  def test_one_call_of_the_model_gives_both_when_timed(self):
    source = self.source()
    with mock.patch.object(
      source.model, 'embed_and_hash', wraps=source.model.embed_and_hash
    ) as calls:
      found = two_stage.run(source, mode='plain', timing=True).result['timing']
    batches = [len(call.args[0]) for call in calls.call_args_list]
    # Two batches of 16 for all images; then each of 18 alone, six times.
    self.assertEqual(batches, 2 * [16] + 6 * 18 * [1])
    self.assertEqual((found['batch_size'], found['repeats']), (1, 5))
    for name in ('float_search', 'two_stage_hamming', 'two_stage_asymmetric'):
      self.assertAlmostEqual(
        found[name]['total_s'],
        found['extraction_s'] + found[name]['matching_s'],
      )

  @parameterized.parameters(
    ({}, 'launch.add_hash'),
    ({'timing': True}, 'launch.add_hash'),
  )
  def test_without_hash_logits_nothing_is_embedded(self, options, message):
    source = self.source(hash_bits=0)
    with self.assertRaisesRegex(UsageError, message):
      two_stage.run(source, mode='plain', **options)
    self.assertEmpty(source.model.shapes)

  def test_saved_embeddings_cannot_be_timed(self):
    with self.assertRaisesRegex(UsageError, 'give --model and --data'):
      two_stage.run(self.saved(), mode='plain', timing=True)

  def test_logits_that_are_not_finite_are_named(self):
    logits = small_faces()[1]
    logits[2, 3] = np.nan
    with self.assertRaisesRegex(DataError, 'P0/002.jpg is not finite'):
      two_stage.run(self.saved(logits=logits), mode='plain')

  def test_embeddings_without_a_direction_are_named(self):
    features = small_faces()[0]
    features[5] = 0
    with self.assertRaisesRegex(DataError, 'P1/005.jpg is zero'):
      two_stage.run(self.saved(plain=features), mode='plain')

  def test_the_default_mode_is_plain(self):
    self.assertEqual(protocols.default_mode('lfw_two_stage'), 'plain')
    self.assertEqual(protocols.default_mode('lfw'), 'insightface')
    asked = protocols.evaluate(
      'lfw_two_stage', self.source(), mode='insightface'
    )
    self.assertEqual(asked.result['mode'], 'insightface')


if __name__ == '__main__':
  absltest.main()
