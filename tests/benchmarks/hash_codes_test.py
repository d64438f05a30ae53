"""The benchmark of codes on a tiny net and a few drawn faces."""

import json
import os

import chex
import numpy as np
from absl.testing import absltest, flagsaver

import facejax
from benchmarks import hash_codes, hash_codes_run, hash_codes_table, hashed_nets
from facejax.errors import UsageError
from facejax.evaluation.sources import ModelSource
from facejax.ops import linear_hash
from facejax.training.hash_features import make_hash_features
from tests.evaluation import faces
from tests.inference import tiny_model


class HashCodesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(tiny_model.registered())
    self.root = self.create_tempdir().full_path
    self.net = os.path.join(self.root, 'tiny')
    tiny_model.write(self.net)
    self.data = faces.write_folder(os.path.join(self.root, 'lfw'))
    self.embeddings = os.path.join(self.root, 'lfw.npz')
    source = ModelSource(facejax.load_model(self.net), self.data, batch_size=24)
    source.embed(source.names(), flip=False).save(self.embeddings)
    rng = np.random.default_rng(0)
    plain, flip = rng.normal(size=(2, 60, 24)).astype(np.float32)
    self.cache = os.path.join(self.root, 'cache')
    os.makedirs(self.cache)
    np.savez(
      os.path.join(self.cache, 'tiny.npz'),
      plain=plain,
      flip=flip,
      labels=np.repeat(np.arange(12), 5),
    )

  def flags(self, **changes):
    return flagsaver.flagsaver(
      **{
        'hash_nets': [self.net],
        'hash_lfw_embeddings': [self.embeddings],
        'hash_cache': self.cache,
        'hash_lengths': ['16'],
        'hash_methods': ['itq', 'random', 'sign'],
        'output': os.path.join(self.root, 'out', 'codes.json'),
      }
      | changes
    )

  def test_every_method_is_measured_and_the_page_is_written(self):
    with self.flags(hash_crops=self.data):
      result = hash_codes.main([])
    self.assertEqual(result, json.loads(json.dumps(result)))
    rows = result['rows']
    self.assertEqual(
      [(row['method'], row['codes']['bits']) for row in rows],
      [('itq', 16), ('random', 16), ('sign', 24)],
    )
    for row in rows:
      self.assertIs(row['equals_float_search'], True)
      # The net with the layer says in one pass what the layer says.
      self.assertLess(row['timing']['logits_error'], 1e-4)
      self.assertGreater(row['timing']['extraction_ms_per_image'], 0)
      # Six people: 50 and 100 candidates are all.
      self.assertEqual(row['two_stage_hamming'], row['float'])
    self.assertEqual((result['num_gallery'], result['num_probes']), (6, 18))
    with open(os.path.join(self.root, 'out', 'codes.md')) as file:
      page = file.read()
    self.assertEqual(page, hash_codes_table.markdown(result))
    self.assertIn('| 16 | itq | ', page)
    self.assertIn('| 24 | sign | ', page)
    self.assertNotIn('NOT that', page)

  def test_without_crops_there_is_no_extraction(self):
    with self.flags(hash_methods=['random'], output=None):
      result = hash_codes.main([])
    (row,) = result['rows']
    self.assertNotIn('extraction_s', row['timing'])
    self.assertIn('| 16 | – |', hash_codes_table.markdown(result))

  def test_a_layer_on_a_net_is_its_formula(self):
    model = facejax.load_model(self.net)
    layer = linear_hash.random_hash(24, 8)
    images = tiny_model.random_faces(3)
    found = hashed_nets.with_layer(model, layer)(images)
    np.testing.assert_allclose(
      found.logits, layer.logits(model.embed(images)), atol=1e-5
    )

  def test_features_are_kept_for_the_next_run(self):
    found = hashed_nets.training_features(self.net, None, self.cache)
    with np.load(os.path.join(self.cache, 'tiny.npz')) as arrays:
      wanted = make_hash_features(*(arrays[k] for k in arrays.files))
    np.testing.assert_array_equal(found.plain, wanted.plain)
    with self.assertRaisesRegex(UsageError, '--hash_training_set'):
      hashed_nets.training_features('out/other', None, self.cache)

  def test_flags_that_mean_nothing_are_refused(self):
    for changes, message in (
      ({'hash_lengths': ['12']}, '12 is no multiple of 8'),
      ({'hash_lengths': ['many']}, 'give numbers of bits'),
      ({'hash_methods': ['pca']}, '--hash_methods=pca'),
      ({'hash_nets': []}, 'names 0 nets'),
    ):
      with (
        self.flags(**changes),
        self.assertRaisesRegex(UsageError, message),
      ):
        hash_codes.main([])
    with self.assertRaisesRegex(UsageError, 'unexpected argument'):
      hash_codes.main(['x'])

  def test_lengths_are_numbers(self):
    self.assertEqual(hash_codes_run.parse_lengths(['64', '8']), (64, 8))


if __name__ == '__main__':
  absltest.main()
