"""embedding_check: embeddings in, lists that --exclude takes out."""

import json
import pathlib
import tempfile
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

import facejax
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.preparation import (
  embedding_check,
  exclusion,
  record_embedding,
  suspicions,
)
from tests.evaluation import faces as evaluation_faces
from tests.preparation import embedded_people as people
from tests.preparation import face_sets

NUM_PEOPLE, PER_PERSON = 60, 6
LISTS = ('near_duplicates', 'outliers', 'same_person', 'overlaps')


def write_embeddings(path, names, vectors, **others):
  np.savez(path, names=np.array(names), plain=vectors, **others)
  return path


class CheckCase(chex.TestCase):
  """A prepared set of 60 people, embeddings with planted errors, a test set."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tempfile.TemporaryDirectory()
    cls.addClassCleanup(folder.cleanup)
    cls.root = pathlib.Path(folder.name)
    counts = {f'p{k:02d}': PER_PERSON for k in range(NUM_PEOPLE)}
    cls.directory = face_sets.write_set(cls.root, counts)
    cls.keys = [f'p{k:02d}/{i:03d}.jpg' for k, i in np.ndindex(NUM_PEOPLE, 6)]
    directions = people.people(NUM_PEOPLE)
    directions[45] = directions[20]
    cls.vectors = people.images(directions.repeat(PER_PERSON, 0), noise=0.5)
    cls.vectors[31] = people.images(directions[40][None], noise=0.3)[0]
    cls.vectors[64] = people.images(cls.vectors[62][None], noise=0.01)[0]
    test = people.people(40, seed=9)
    test[7] = directions[12]
    cls.test_vectors = people.images(test.repeat(2, 0), seed=4, noise=0.5)
    cls.test_names = [f't{k:02d}/{i}.jpg' for k, i in np.ndindex(40, 2)]
    cls.embeddings = write_embeddings(
      cls.root / 'set.npz', cls.keys, cls.vectors
    )
    cls.test = write_embeddings(
      cls.root / 'test.npz', cls.test_names, cls.test_vectors
    )

  def check(self, **arguments):
    report = self.create_tempdir().full_path
    result = embedding_check.check_embeddings(
      self.directory, report=report, **arguments
    )
    return result, pathlib.Path(report)


class FindingsTest(CheckCase):
  def test_planted_errors_stand_in_the_lists(self):
    result, report = self.check(
      embeddings=self.embeddings, test_embeddings=self.test
    )
    lists = {
      name: exclusion.read_exclusion([report / f'exclude_{name}.txt'])
      for name in LISTS
    }
    self.assertTrue(lists['outliers'].excludes('p05', 'p05/001.jpg'))
    self.assertTrue(lists['near_duplicates'].excludes('p10', 'p10/004.jpg'))
    self.assertEqual(list(lists['same_person'].counts), ['p45'])
    self.assertTrue(lists['overlaps'].excludes('p12', 'p12/000.jpg'))
    self.assertLessEqual(result['num_outliers'], 3)
    self.assertEqual(result['num_near_duplicates'], 1)
    self.assertEqual(result['num_same_person'], 1)
    self.assertLessEqual(result['num_overlaps'], 4)
    self.assertLess(result['separation']['images']['eer'], 0.02)
    self.assertEqual(result['warnings'], [])

  def test_tables_say_who_it_is_and_pictures_show_it(self):
    result, report = self.check(
      embeddings=self.embeddings, test_embeddings=self.test
    )
    rows = {
      name: [
        line.split('\t')
        for line in (report / f'{name}.tsv').read_text().splitlines()
      ]
      for name in LISTS
    }
    outlier = dict(zip(rows['outliers'][0], rows['outliers'][1], strict=True))
    self.assertEqual(
      [outlier[key] for key in ('image', 'identity', 'likely')],
      ['p05/001.jpg', 'p05', 'p40'],
    )
    self.assertEqual(rows['same_person'][1][:2], ['p20', 'p45'])
    self.assertEqual(rows['overlaps'][1][:3], ['p12', 't07', 'yes'])
    self.assertEqual(
      rows['near_duplicates'][1][:2], ['p10/002.jpg', 'p10/004.jpg']
    )
    pictures = {path.name for path in report.glob('*.png')}
    self.assertLessEqual(
      {
        'near_duplicates.png',
        'outliers.png',
        'same_person.png',
        'outlier_scores.png',
        'same_person_scores.png',
        'overlap_scores.png',
      },
      pictures,
    )
    self.assertNotIn('overlaps.png', pictures)  # the test set has no images
    self.assertEqual(
      json.loads((report / embedding_check.SUMMARY).read_text()), result
    )

  def test_rows_in_the_order_of_the_records_give_the_same(self):
    path = self.root / 'rows.npy'
    np.save(path, self.vectors)
    by_name, _ = self.check(embeddings=self.embeddings)
    by_row, _ = self.check(embeddings=path)
    self.assertEqual(by_row, by_name)

  def test_mirrored_embeddings_are_added(self):
    half = self.vectors + 1
    path = write_embeddings(
      self.root / 'flip.npz', self.keys, half, flip=self.vectors - half
    )
    with_flip, _ = self.check(embeddings=path)
    # plain + flip is the embedding itself again
    plain, _ = self.check(embeddings=self.embeddings)
    self.assertEqual(with_flip['num_outliers'], plain['num_outliers'])
    self.assertAlmostEqual(
      with_flip['separation']['images']['d_prime'],
      plain['separation']['images']['d_prime'],
      places=3,
    )

  def test_thresholds_that_are_given_hold(self):
    limits = suspicions.Limits(
      near_duplicate=0.99999, outlier=-50.0, same_person=50.0, overlap=50.0
    )
    result, report = self.check(
      embeddings=self.embeddings, test_embeddings=self.test, limits=limits
    )
    self.assertEqual(result['num_near_duplicates'], 0)
    self.assertEqual(result['num_same_person'], 0)
    self.assertEqual(result['num_overlaps'], 0)
    self.assertEqual(result['num_overlap_images'], 0)
    self.assertEqual(result['thresholds']['overlap'], 50.0)
    self.assertEqual(result['thresholds']['outlier'], -50.0)
    entries = exclusion.read_exclusion([report / 'exclude_overlaps.txt'])
    self.assertEmpty(entries.counts)


class WeakModelTest(CheckCase):
  def test_a_model_that_knows_nobody_lists_no_outliers_and_says_so(self):
    noise = np.random.default_rng(0).normal(size=self.vectors.shape)
    path = write_embeddings(self.root / 'noise.npz', self.keys, noise)
    result, _ = self.check(embeddings=path, test_embeddings=self.test)
    self.assertEqual(result['num_outliers'], 0)
    self.assertIsNone(result['thresholds']['outlier'])
    text = ' '.join(result['warnings'])
    self.assertIn('no outliers are listed', text)
    self.assertIn('too weak to clear a training set', text)

  def test_a_handful_of_people_is_searched_for_duplicates_only(self):
    directory = face_sets.write_set(self.root / 'few', {'a': 3, 'b': 2})
    rows = people.people(5)
    rows[2] = rows[0]
    np.save(self.root / 'few.npy', rows.astype(np.float32))
    report = pathlib.Path(self.create_tempdir().full_path)
    result = embedding_check.check_embeddings(
      directory, report=report, embeddings=self.root / 'few.npy'
    )
    self.assertEqual(result['num_near_duplicates'], 1)
    self.assertNotIn('num_outliers', result)
    self.assertIn('too few', result['warnings'][0])


class BadInputTest(CheckCase):
  @parameterized.parameters(
    ({}, 'one of the two'),
    ({'model': 'm', 'embeddings': 'e'}, 'one of the two'),
    ({'model': 'm', 'test_embeddings': 'e'}, 'with a model give the'),
    ({'embeddings': 'e', 'test_data': 't'}, 'without a model'),
  )
  def test_what_does_not_go_together_is_refused(self, arguments, message):
    with self.assertRaisesRegex(UsageError, message):
      self.check(**arguments)

  def test_an_image_without_an_embedding_is_named(self):
    path = write_embeddings(
      self.root / 'short.npz', self.keys[1:], self.vectors[1:]
    )
    with self.assertRaisesRegex(DataError, 'no image p00/000.jpg'):
      self.check(embeddings=path)

  def test_rows_of_another_set_are_refused(self):
    path = self.root / 'rows_short.npy'
    np.save(path, self.vectors[1:])
    with self.assertRaisesRegex(DataError, 'a row for every record'):
      self.check(embeddings=path)
    path.write_bytes(b'no numbers')
    with self.assertRaisesRegex(DataError, 'is no .npy of numbers'):
      self.check(embeddings=path)

  def test_an_embedding_that_is_no_number_is_named(self):
    vectors = self.vectors.copy()
    vectors[9, 3] = np.nan
    path = write_embeddings(self.root / 'nan.npz', self.keys, vectors)
    with self.assertRaisesRegex(DataError, 'p01/003.jpg is not finite'):
      self.check(embeddings=path)

  def test_a_test_set_of_another_model_or_too_small_is_refused(self):
    other = write_embeddings(
      self.root / 'other.npz', self.test_names, self.test_vectors[:, :9]
    )
    with self.assertRaisesRegex(DataError, 'use one model for both'):
      self.check(embeddings=self.embeddings, test_embeddings=other)
    few = write_embeddings(
      self.root / 'few.npz', self.test_names[:6], self.test_vectors[:6]
    )
    with self.assertRaisesRegex(DataError, 'has 3 people'):
      self.check(embeddings=self.embeddings, test_embeddings=few)

  def test_only_an_earlier_check_is_overwritten(self):
    folder = pathlib.Path(self.create_tempdir().full_path)
    embedding_check.check_output(folder, overwrite=True)
    (folder / 'thesis.tex').write_text('precious')
    with self.assertRaisesRegex(UsageError, 'no earlier check'):
      embedding_check.check_output(folder, overwrite=True)
    (folder / embedding_check.SUMMARY).write_text('{}')
    embedding_check.check_output(folder, overwrite=True)


class ModelTest(CheckCase):
  def test_a_model_embeds_the_set_and_a_folder_of_test_faces(self):
    test = self.root / 'faces_of_test'
    for person in range(11):
      crop = evaluation_faces.encode_jpeg(evaluation_faces.crop(person, 0))
      (test / f'P{person}').mkdir(parents=True)
      (test / f'P{person}' / '1.jpg').write_bytes(crop)
    loaded = mock.Mock(return_value=evaluation_faces.PixelModel())
    with mock.patch.dict(vars(facejax), load_model=loaded):
      result, report = self.check(model='m', test_data=test, batch_size=50)
    self.assertEqual(result['test_identities'], 11)
    self.assertTrue((report / 'overlaps.png').exists())
    rows = np.load(report / 'embeddings.npy')
    self.assertEqual(rows.dtype, np.float16)
    again, _ = self.check(embeddings=report / 'embeddings.npy')
    self.assertEqual(again['thresholds']['outlier'], None)
    self.assertEqual(
      again['separation']['images'], result['separation']['images']
    )

  def test_batches_equal_one_call(self):
    records, model = FaceRecords(self.directory), evaluation_faces.PixelModel()
    path = self.root / 'mapped.npy'
    mapped = record_embedding.embed_records(
      model, records, path, batch_size=100
    )
    self.assertIsInstance(mapped, np.memmap)
    self.assertEqual(mapped.shape, (360, 16))
    self.assertEqual({shape[0] for shape, _ in model.shapes}, {100})
    whole = record_embedding.embed_records(model, records, path, batch_size=360)
    np.testing.assert_allclose(mapped, whole, atol=2e-3)


if __name__ == '__main__':
  absltest.main()
