"""Protocols of pair lists from images, sets and saved embeddings."""

import os
import pickle

import chex
import numpy as np
from absl.testing import absltest

from facejax.data.images import encode_jpeg
from facejax.data.protocols import read_lfw_pairs
from facejax.errors import DataError, UsageError
from facejax.evaluation import embeddings, protocols, sources
from facejax.evaluation.verification import verify_pairs
from tests.evaluation import faces


class PairListsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = faces.write_folder(self.create_tempdir().full_path, 'data')
    self.data = os.path.join(self.root, 'data')
    self.pairs = faces.write_lfw_list(os.path.join(self.root, 'lfw_pairs.txt'))

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
    # A list of the same pairs with its folds, 18 pairs each, cut into tenths.
    pairs = read_lfw_pairs(self.pairs)
    images = pairs.images()
    model = faces.PixelModel()
    pixels = np.stack([faces.crop(int(n[1]), int(n[-5]) - 1) for n in images])
    expected = verify_pairs(
      model.embed(pixels, normalize=False),
      model.embed(pixels[:, :, ::-1], normalize=False),
      *pairs.index(images),
      pairs.same,
      np.repeat(np.arange(10), [4] * 6 + [3] * 4),
      mode='insightface',
    ).to_json()
    for protocol in ('lfw', 'pairs', 'agedb30', 'cfp_fp', 'calfw'):
      result = protocols.evaluate(protocol, source).result
      self.assertEqual(result['num_pairs'], 36)
      self.assertEqual(result['num_images'], 72)
      self.assertEqual(result['pairs'], str(source.data))
      for key in ('accuracy', 'fold_accuracies', 'auc', 'eer'):
        chex.assert_trees_all_close(result[key], expected[key])

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
    with self.assertRaisesRegex(UsageError, 'use lfw or agedb30'):
      protocols.evaluate('ytf', self.source())
    with self.assertRaisesRegex(UsageError, 'use one of'):
      protocols.evaluate('lfw', self.source(), mode='cosine')

  def test_a_rate_too_fine_is_refused_before_any_embedding(self):
    source = self.source()
    with self.assertRaisesRegex(UsageError, '1e-05 .* ask for 0.056 to 1'):
      protocols.evaluate('lfw', source, far=[1e-1, 1e-5])
    self.assertEmpty(source.model.shapes)
    result = protocols.evaluate('lfw', source, far=[0.2, 0.5, 0.2]).result
    self.assertEqual(list(result['tar_at_far']), ['5e-1', '2e-1'])
    self.assertEqual(list(result['tar_intervals_95']), ['5e-1', '2e-1'])

  def test_the_most_confused_pairs_are_shown_worst_first(self):
    report = protocols.evaluate('lfw', self.source(), mode='all')
    kinds = [pair.genuine for pair in report.confused]
    self.assertEqual(kinds.count(True), 12)
    self.assertEqual(kinds.count(False), 12)
    # Of the first mode run, insightface: squared distances.
    thresholds = report.result['modes']['insightface']['fold_thresholds']
    wrong = [
      (pair.score - thresholds[int(pair.first[1]) // 3])
      * (1 if pair.genuine else -1)
      for pair in report.confused
    ]
    self.assertEqual(wrong, sorted(wrong, reverse=True))
    pair = report.confused[0]
    person, image = int(pair.first[1]), int(pair.first[-5]) - 1
    self.assertEqual(pair.pictures[0], encode_jpeg(faces.crop(person, image)))

  def test_confused_pairs_of_saved_embeddings_show_what_is_given(self):
    path = os.path.join(self.root, 'e.npz')
    protocols.evaluate('lfw', self.source(), save_embeddings=path)
    for images in (None, self.data):
      report = protocols.evaluate(
        'lfw', embeddings.SavedSource(path, images=images)
      )
      shown = [pair.pictures is not None for pair in report.confused]
      self.assertEqual(shown, [images is not None] * 24)

  def test_damaged_embeddings_name_the_image(self):
    images = [f'P{p}/P{p}_{i:04d}.jpg' for p in range(6) for i in range(1, 5)]
    plain = np.ones((24, 4), np.float32)
    plain[5] = np.nan
    path = os.path.join(self.root, 'e.npz')
    embeddings.Embeddings(tuple(images), plain).save(path)
    with self.assertRaisesRegex(DataError, 'P1/P1_0002.jpg is not finite'):
      protocols.evaluate('lfw', embeddings.SavedSource(path), mode='plain')


if __name__ == '__main__':
  absltest.main()
