"""All pairs of a folder and of LFW, from drawn and from real faces."""

import os
from unittest import mock

import chex
import numpy as np
import pytest
from absl.testing import absltest

from facejax import files
from facejax.errors import DataError, UsageError
from facejax.evaluation import modes, protocols, rates, sources
from facejax.evaluation.all_pairs import comparison as all_pairs_comparison
from facejax.evaluation.protocols.all_pairs import first_names
from tests.evaluation import faces


def whole_matrix(source, mode):
  """Scores and kinds of all pairs of a source."""
  names = source.names()
  features = modes.unit_features(source.embed(names, flip=True), mode)
  people = np.array([name.split('/')[-2] for name in names])
  pairs = np.triu_indices(len(names), 1)
  return (features @ features.T)[pairs], (people[:, None] == people)[pairs]


class LfwAllTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path
    self.data = faces.write_folder(self.root, 'data') + '/data'
    self.note = self.enter_context(mock.patch.object(files, 'note'))

  def source(self):
    return sources.ModelSource(
      faces.PixelModel(), self.data, batch_size=16, name='m'
    )

  def run_all(self, **options):
    return protocols.evaluate('lfw_all', self.source(), bootstrap=20, **options)

  def test_a_folder_gives_the_rates_of_its_whole_matrix(self):
    report = self.run_all(far=[0.1, 0.01])
    scores, same = whole_matrix(self.source(), 'insightface')
    for far in (0.1, 0.01):
      name = rates.far_name(far)
      point = rates.tar_at_far(scores, same, far)
      self.assertEqual(report.result['tar_at_far'][name], point.tar)
      self.assertEqual(report.result['far_at_threshold'][name], point.far)
      self.assertAlmostEqual(
        report.result['thresholds'][name], point.threshold, places=6
      )
    self.assertAlmostEqual(
      report.result['auc'],
      rates.auc(scores, same),
      delta=report.result['auc_error'] + 1e-9,
    )
    self.assertEqual(report.result['num_genuine'], 6 * 6)
    self.assertEqual(report.result['num_impostors'], 15 * 16)
    self.assertEqual(report.result['bootstrap']['draws'], 20)
    self.assertEqual(report.result['mode'], 'insightface')
    self.assertIs(report.result['official'], False)
    self.assertIn('6 people with 24 images', self.note.call_args.args[0])

  def test_the_most_confused_pairs_are_the_extreme_ones(self):
    report = self.run_all(far=[0.1])
    scores, same = whole_matrix(self.source(), 'insightface')
    impostors = [pair for pair in report.confused if not pair.genuine]
    genuine = [pair for pair in report.confused if pair.genuine]
    self.assertAlmostEqual(
      max(pair.score for pair in impostors), scores[~same].max(), places=6
    )
    self.assertAlmostEqual(
      min(pair.score for pair in genuine), scores[same].min(), places=6
    )
    self.assertNotEqual(impostors[0].first[:2], impostors[0].second[:2])
    self.assertLen(impostors[0].pictures, 2)

  def test_a_person_counts_with_the_first_images_by_name(self):
    names = ['b/2', 'b/1', 'a/3', 'a/1', 'a/2', 'c/9']
    self.assertEqual(first_names(names, 2), ['a/1', 'a/2', 'b/1', 'b/2', 'c/9'])
    report = self.run_all(images_per_person=2, far=[0.1])
    self.assertEqual(report.result['num_images'], 12)
    self.assertEqual(report.result['num_genuine'], 6)
    with self.assertRaisesRegex(UsageError, 'give 2 or more'):
      self.run_all(images_per_person=1)

  def test_reports_keep_what_a_comparison_needs(self):
    first = self.run_all(far=[0.1]).measurements
    second = self.run_all(far=[0.1], images_per_person=3).measurements
    found = all_pairs_comparison.compare(first, first, draws=10)
    self.assertEqual(found['1e-1']['interval_95'], [0, 0])
    with self.assertRaisesRegex(UsageError, 'different images'):
      all_pairs_comparison.compare(first, second)

  def test_embeddings_that_are_not_finite_are_refused_by_name(self):
    path = os.path.join(self.root, 'damaged.npz')
    plain = np.ones((3, 4), np.float32)
    plain[1, 2] = np.nan
    np.savez(path, names=['A/1', 'A/2', 'B/1'], plain=plain)
    source = sources.open_source(embeddings=path)
    with self.assertRaisesRegex(DataError, 'A/2'):
      protocols.evaluate('lfw_all', source, mode='plain')

  def test_pairs_that_cannot_resolve_a_rate_refuse_it(self):
    with self.assertRaisesRegex(UsageError, '1e-05 cannot be read'):
      self.run_all(far=[1e-5])

  def test_people_with_one_image_each_have_no_genuine_pair(self):
    for person in range(faces.NUM_PEOPLE):
      for image in range(2, faces.NUM_IMAGES + 1):
        os.remove(f'{self.data}/P{person}/P{person}_{image:04d}.jpg')
    with self.assertRaisesRegex(DataError, 'one image only'):
      self.run_all(far=[0.1])


class RealTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _shared(self, shared):
    self.path = os.path.join(
      shared, 'weights', 'xiaoccer_lfw_embeddings_f16.npz'
    )

  def test_thresholds_of_real_embeddings_accept_what_they_say(self):
    source = sources.open_source(embeddings=self.path)
    with mock.patch.object(files, 'note') as note:
      report = protocols.evaluate(
        'lfw_all', source, mode='plain', bootstrap=100
      )
    result = report.result
    self.assertIs(result['official'], False)  # not all of LFW is in the file
    note.assert_called()
    names = first_names(source.names(), 10)
    features = modes.unit_features(source.embed(names, flip=False), 'plain')
    people = np.array([name.split('/')[0] for name in names])
    thresholds = np.array(list(result['thresholds'].values()), np.float32)
    accepted = np.zeros(4, int)
    for start in range(0, len(names), 500):
      block = slice(start, start + 500)
      scores = features[block] @ features[: start + 500].T
      scores[people[block, None] == people[None, : start + 500]] = -1
      scores[~np.tri(*scores.shape, start, bool)] = -1
      accepted += [(scores > at).sum() for at in thresholds]
    for count, far in zip(accepted, (1e-3, 1e-4, 1e-5, 1e-6), strict=True):
      # A score that two libraries round apart may change sides.
      wanted = rates.num_accepted(far, result['num_impostors'])
      self.assertAlmostEqual(count, wanted, delta=1 + 1e-4 * wanted)
    tars = list(result['tar_at_far'].values())
    self.assertEqual(tars, sorted(tars, reverse=True))
    for tar, interval in zip(
      tars, result['tar_intervals_95'].values(), strict=True
    ):
      self.assertBetween(tar, *interval)


if __name__ == '__main__':
  absltest.main()
