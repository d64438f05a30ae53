"""Hash layers added to finished models, float and packed."""

import os

import chex
import jax
import numpy as np
import pytest
from absl.testing import absltest, parameterized

import facejax
from facejax import files
from facejax.data.images import decode_image
from facejax.data.records import FaceRecords
from facejax.errors import DataError, UsageError
from facejax.ops import hamming, linear_hash
from facejax.training import hash_features, hash_fitting, hash_layers
from facejax.training.hash_settings import HashTraining
from tests.inference import tiny_model
from tests.inference.tiny_model import random_faces
from tests.training.virtual_people import draw_people

_FAST = HashTraining(steps=20, rounds=2, people=16)


def _bits(codes, num_bits):
  return np.asarray(hamming.unpack_bits(codes, num_bits)) > 0


class FitTest(chex.TestCase):
  @parameterized.parameters(*hash_fitting.METHODS)
  def test_each_method_reports_its_bits(self, method):
    features = draw_people(0, people=20)
    fitted = hash_fitting.fit_hash(
      method, 32, size=32, features=features, settings=_FAST
    )
    self.assertEqual(fitted.layer.kernel.shape, (32, 32))
    self.assertEqual(fitted.report['method'], method)
    share = (fitted.layer.logits(features.plain) > 0).mean(0)
    self.assertAlmostEqual(
      fitted.report['bits']['bit_balance'],
      float(np.abs(2 * share - 1).mean()),
      places=5,
    )
    if method == 'itq':
      self.assertLess(fitted.report['loss_last'], fitted.report['loss_first'])
    if method == 'trained':
      self.assertEqual(fitted.report['settings']['steps'], 20)
      self.assertLen(fitted.report['held_out']['by_round'], 3)

  @parameterized.parameters(
    ('pca', 32, '--method=pca: use one of trained, itq, random, sign'),
    ('itq', 12, '--hash_bits=12: use a positive multiple of 8'),
    ('random', 0, '--hash_bits=0: use a positive multiple of 8'),
    ('sign', 64, '--hash_bits=64 needs another method'),
    ('itq', 32, '--method=itq is fitted to faces: give --data'),
    ('trained', 32, '--method=trained is fitted to faces: give --data'),
  )
  def test_what_cannot_be_is_refused(self, method, num_bits, message):
    with self.assertRaisesRegex(UsageError, message):
      hash_fitting.fit_hash(method, num_bits, size=32)


class LayersTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _use_faces(self, face_set):
    self.data = face_set

  def setUp(self):
    super().setUp()
    self.enter_context(tiny_model.registered())
    self.folder = self.create_tempdir().full_path
    self.model = os.path.join(self.folder, 'model')
    self.output = os.path.join(self.folder, 'hashed')

  def _add(self, **options):
    options = {'model': self.model, 'output': self.output, **options}
    return hash_layers.add_hash(
      options.pop('model'), options.pop('output'), batch_size=16, **options
    )

  @parameterized.product(
    method=hash_fitting.METHODS, rules=(None, tiny_model.RULES)
  )
  def test_codes_are_the_signs_of_the_layer_on_the_old_embedding(
    self, method, rules
  ):
    tiny_model.write(self.model, rules=rules)
    old = facejax.load_model(self.model)
    result = self._add(
      method=method, hash_bits=24, data=self.data, settings=_FAST
    )
    new = facejax.load_model(self.output)  # compares golden outputs
    self.assertEqual((new.hash_bits, new.is_packed), (24, rules is not None))
    faces = random_faces(5)
    embeddings, logits = new.embed_and_hash(faces)
    np.testing.assert_allclose(embeddings, old.embed(faces), atol=1e-6)
    layer = new.variables['params']['hash']
    kernel, bias = np.asarray(layer['kernel']), np.asarray(layer['bias'])
    expected = old.embed(faces) @ kernel[0, 0] + bias
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    np.testing.assert_array_equal(_bits(new.hash(faces), 24), logits > 0)
    self.assertEqual(result['bytes_added'], 4 * (24 * 24 + 24))
    for name, leaf in old.variables['params'].items():
      jax.tree.map(
        np.testing.assert_array_equal, leaf, new.variables['params'][name]
      )

  def test_all_that_is_known_of_the_model_is_carried_over(self):
    thresholds = {'at': [{'far': 0.1, 'threshold': 0.25}]}
    tiny_model.write(
      self.model,
      rules=tiny_model.RULES,
      classifier=np.ones((5, 24), np.float32),
      thresholds=thresholds,
      training_mean=np.arange(24, dtype=np.float32),
      training_data={'steps': 3},
      golden_seed=7,
    )
    result = self._add(method='itq', hash_bits=8, data=self.data, seed=2)
    model = facejax.load_model(self.output)
    description = model.description
    self.assertEqual(description['thresholds'], thresholds)
    self.assertEqual(description['training_mean'], list(range(24)))
    self.assertEqual(description['golden']['seed'], 7)
    self.assertEqual(model.directory.classifier.shape, (5, 24))
    self.assertEqual(description['ternary']['rules'][0], ['hash/.*', 'float'])
    self.assertEqual(
      description['ternary']['rules'][1:], [['.*kernel', 'filter']]
    )
    told = description['training_data']
    self.assertEqual(told['steps'], 3)
    self.assertEqual(told['hash']['method'], 'itq')
    self.assertEqual(told['hash']['seed'], 2)
    self.assertEqual(told['hash']['num_images'], 44)
    self.assertEqual(told['hash']['num_identities'], 11)
    checksum = files.read_json(self.data / 'manifest.json')
    self.assertEqual(
      told['hash']['identities_checksum'], checksum['identities_checksum']
    )
    for name, value in told['hash'].items():
      self.assertEqual(result[name], value)

  def test_a_hash_layer_is_replaced_only_if_that_is_asked_for(self):
    tiny_model.write(self.model)
    self._add(method='sign')
    self.assertEqual(facejax.load_model(self.output).hash_bits, 24)
    again = os.path.join(self.folder, 'again')
    with self.assertRaisesRegex(UsageError, '24 bits already.*--replace_hash'):
      self._add(model=self.output, output=again, method='random', hash_bits=8)
    self._add(
      model=self.output, output=again, method='random', hash_bits=8,
      replace=True,
    )  # fmt: skip
    model = facejax.load_model(again)
    self.assertEqual(model.hash_bits, 8)
    expected = linear_hash.random_hash(24, 8).kernel
    np.testing.assert_array_equal(
      model.variables['params']['hash']['kernel'][0, 0], expected
    )

  def test_an_output_that_exists_is_refused_before_the_work(self):
    tiny_model.write(self.model)
    with self.assertRaisesRegex(UsageError, 'already exists'):
      self._add(output=self.model, method='sign')
    self.assertEqual(facejax.load_model(self.model).hash_bits, 0)

  def test_a_folder_that_is_no_set_is_refused(self):
    tiny_model.write(self.model)
    with self.assertRaisesRegex(DataError, 'no prepared set'):
      self._add(method='itq', hash_bits=8, data=self.folder)
    self.assertFalse(os.path.exists(self.output))


class FacesTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _use_faces(self, face_set):
    self.data = face_set

  def test_plain_and_mirrored_faces_are_embedded_in_their_order(self):
    records = FaceRecords(self.data)
    model = tiny_model.loaded()
    features = hash_features.embed_training_faces(model, records, batch_size=16)
    read = [decode_image(each['image'], '') for each in records]
    crops = np.stack(read)
    np.testing.assert_allclose(features.plain, model.embed(crops), atol=1e-5)
    mirrored = np.ascontiguousarray(crops[:, :, ::-1])
    np.testing.assert_allclose(features.flip, model.embed(mirrored), atol=1e-5)
    np.testing.assert_array_equal(features.labels, records.labels())

  def test_of_a_larger_set_whole_people_are_taken(self):
    records = FaceRecords(self.data)
    places = hash_features.choose_faces(records, 12)
    labels = records.labels()[places]
    np.testing.assert_array_equal(labels, np.repeat([0, 5, 10], 4))


if __name__ == '__main__':
  absltest.main()
