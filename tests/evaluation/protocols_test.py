"""Protocols from images to a report on disk."""

import os
import pickle
from dataclasses import replace
from unittest import mock

import chex
import cv2
import numpy as np
from absl.testing import absltest

from facejax import files
from facejax.data.bin_pairs import contiguous_folds
from facejax.data.images import encode_jpeg
from facejax.data.protocols import read_lfw_pairs
from facejax.errors import DataError, UsageError
from facejax.evaluation import embeddings, protocols, reports, sources
from tests.evaluation import faces


class ProtocolsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = faces.write_folder(self.create_tempdir().full_path, 'data')
    self.data = os.path.join(self.root, 'data')
    self.pairs = faces.write_lfw_list(os.path.join(self.root, 'lfw_pairs.txt'))
    self.output = os.path.join(self.root, 'out', 'report')

  def source(self, **fields):
    return sources.ModelSource(
      faces.PixelModel(**fields), self.data, batch_size=16, name='m'
    )

  def test_lfw_finds_its_list_beside_the_data(self):
    report = protocols.evaluate('lfw', self.source())
    self.assertEqual(report.result['pairs'], self.pairs)
    self.assertEqual(report.result['num_pairs'], 36)
    self.assertEqual(report.result['num_images'], 24)
    self.assertEqual(report.result['mode'], 'insightface')
    self.assertEqual(report.result['preprocessing']['image_size'], (112, 112))
    self.assertIs(report.result['packed'], True)
    self.assertGreater(report.result['accuracy'], 0.9)

  def test_pairs_need_a_list_and_read_any(self):
    with self.assertRaisesRegex(UsageError, 'needs a pair list'):
      protocols.evaluate('pairs', self.source())
    path = os.path.join(self.root, 'mine.txt')
    with open(path, 'w') as file:
      for p in range(3):
        file.write(f'P{p}/P{p}_0001.jpg P{p}/P{p}_0002.jpg 1\n')
        file.write(f'P{p}/P{p}_0001.jpg P{p + 1}/P{p + 1}_0002.jpg 0\n')
    result = protocols.evaluate('pairs', self.source(), pairs=path).result
    self.assertEqual(result['num_pairs'], 6)
    self.assertLen(result['fold_accuracies'], 3)

  def write_bin(self, size=112):
    """The pairs of the list as a .bin; fold by fold, as the list has them."""
    pairs = read_lfw_pairs(self.pairs)
    images = [
      encode_jpeg(faces.crop(int(name[1]), int(name[-5]) - 1)[:size])
      for pair in zip(pairs.names_a, pairs.names_b, strict=True)
      for name in pair
    ]
    path = os.path.join(self.root, 'set.bin')
    with open(path, 'wb') as file:
      pickle.dump((images, pairs.same.tolist()), file, 2)
    return path

  def test_a_bin_brings_its_own_pairs(self):
    source = sources.ModelSource(
      faces.PixelModel(), self.write_bin(), batch_size=16
    )
    listed = self.source()
    folds = contiguous_folds(36)
    with mock.patch.dict(
      protocols.PROTOCOLS,
      lfw=(lambda path: replace(read_lfw_pairs(path), folds=folds), None),
    ):
      expected = protocols.evaluate('lfw', listed, pairs=self.pairs).result
    for protocol in ('lfw', 'pairs'):
      result = protocols.evaluate(protocol, source).result
      self.assertEqual(result['num_pairs'], 36)
      self.assertEqual(result['num_images'], 72)
      self.assertEqual(result['pairs'], str(source.data))
      for key in ('accuracy', 'fold_accuracies', 'auc', 'eer'):
        self.assertEqual(result[key], expected[key])

  def test_a_bin_refuses_a_list_and_images_that_are_no_crops(self):
    source = sources.ModelSource(faces.PixelModel(), self.write_bin())
    with self.assertRaisesRegex(UsageError, 'its own 36 pairs.*leave --pairs'):
      protocols.evaluate('lfw', source, pairs=self.pairs)
    source = sources.ModelSource(faces.PixelModel(), self.write_bin(size=96))
    with self.assertRaisesRegex(DataError, '000000.jpg: 112x96 pixels'):
      protocols.evaluate('pairs', source)

  def test_all_modes_come_from_one_pass(self):
    source = self.source(training_mean=np.zeros(16, np.float32))
    report = protocols.evaluate('lfw', source, mode='all')
    self.assertLen(source.model.shapes, 4)  # 24 images, plain and mirrored
    self.assertEqual(
      list(report.result['modes']),
      ['insightface', 'sphereface', 'plain', 'centred'],
    )
    for mode, result in report.result['modes'].items():
      alone = protocols.evaluate('lfw', source, mode=mode).result
      self.assertEqual(result['accuracy'], alone['accuracy'])
    # A mean of zero changes nothing.
    self.assertEqual(
      report.result['modes']['centred']['fold_thresholds'],
      report.result['modes']['plain']['fold_thresholds'],
    )
    self.assertEqual(report.result['skipped'], {})

  def test_modes_without_their_input_are_skipped_or_refused(self):
    path = os.path.join(self.root, 'plain.npz')
    plain_only = self.source().embed(
      [f'P{p}/P{p}_{i:04d}.jpg' for p in range(6) for i in range(1, 5)],
      flip=False,
    )
    plain_only.save(path)
    source = embeddings.SavedSource(path)
    report = protocols.evaluate('lfw', source, pairs=self.pairs, mode='all')
    self.assertEqual(list(report.result['modes']), ['plain'])
    self.assertEqual(
      sorted(report.result['skipped']),
      ['centred', 'insightface', 'sphereface'],
    )
    with self.assertRaisesRegex(UsageError, 'mirrored images'):
      protocols.evaluate('lfw', source, pairs=self.pairs)

  def test_saved_embeddings_give_the_same_result(self):
    path = os.path.join(self.root, 'e.npz')
    first = protocols.evaluate(
      'lfw', self.source(), mode='sphereface', save_embeddings=path
    )
    again = protocols.evaluate(
      'lfw', embeddings.SavedSource(path), pairs=self.pairs, mode='sphereface'
    )
    for key in ('accuracy', 'auc', 'eer', 'tar_at_far', 'thresholds'):
      self.assertEqual(first.result[key], again.result[key])

  def test_a_useless_list_is_refused_before_any_embedding(self):
    path = os.path.join(self.root, 'genuine.txt')
    with open(path, 'w') as file:
      file.write('P0/P0_0001.jpg P0/P0_0002.jpg 1\n' * 4)
    source = self.source()
    with self.assertRaisesRegex(DataError, 'all 4 pairs are genuine'):
      protocols.evaluate('pairs', source, pairs=path)
    self.assertEmpty(source.model.shapes)

  def test_unknown_names_are_refused(self):
    with self.assertRaisesRegex(UsageError, 'use lfw or pairs'):
      protocols.evaluate('ytf', self.source())
    with self.assertRaisesRegex(UsageError, 'use one of'):
      protocols.evaluate('lfw', self.source(), mode='cosine')

  def test_a_report_is_written_whole_and_again(self):
    report = protocols.evaluate('lfw', self.source())
    for _ in range(2):
      result = report.write(self.output)
    self.assertEqual(result['output'], self.output)
    self.assertEqual(
      sorted(os.listdir(self.output)),
      ['histogram.png', 'results.json', 'roc.png'],
    )
    saved = files.read_json(os.path.join(self.output, 'results.json'))
    self.assertEqual(saved['accuracy'], result['accuracy'])
    for name in result['figures']:
      picture = cv2.imread(os.path.join(self.output, name))
      self.assertEqual(picture.shape, (750, 1050, 3))
      self.assertGreater(picture.std(), 10)

  def test_a_folder_that_holds_anything_else_is_left_alone(self):
    report = protocols.evaluate('lfw', self.source())
    report.write(self.output)
    mine = os.path.join(self.output, 'notes.txt')
    with open(mine, 'w') as file:
      file.write('mine')
    self.assertFalse(reports.is_report(self.output))
    with self.assertRaisesRegex(UsageError, 'already exists'):
      report.write(self.output)
    self.assertTrue(os.path.exists(mine))


if __name__ == '__main__':
  absltest.main()
