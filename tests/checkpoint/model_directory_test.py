import json
import os

import chex
import numpy as np
from absl.testing import parameterized

from facejax.checkpoint.model_directory import (
  read_model_directory,
  write_model_directory,
)
from facejax.compression import packed
from facejax.errors import CheckpointError, UsageError
from tests.inference import tiny_model
from tests.inference.tiny_model import RULES


class ModelDirectoryTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(tiny_model.registered())
    self.folder = self.create_tempdir().full_path
    self.path = os.path.join(self.folder, 'model')

  def test_float_variables_and_classifier_come_back(self):
    classifier = np.random.RandomState(0).randn(10, 24).astype(np.float32)
    data = {'identities_checksum': 'abc'}
    variables = tiny_model.write(
      self.path, classifier=classifier, training_data=data
    )
    model = read_model_directory(self.path)
    chex.assert_trees_all_equal(model.variables, dict(variables))
    np.testing.assert_array_equal(model.classifier, classifier)
    self.assertEqual(model.description['training_data'], data)
    self.assertIsNone(model.description['ternary'])

  def test_packed_variables_come_back(self):
    variables = tiny_model.write(self.path, rules=RULES, post_training=True)
    model = read_model_directory(self.path)
    chex.assert_trees_all_equal(
      model.variables['params'],
      packed.pack_tree_jit(variables['params'], RULES),
    )
    self.assertIsNone(model.classifier)
    self.assertEqual(
      model.description['ternary'],
      {'rules': [['.*kernel', 'filter']], 'post_training': True},
    )

  def test_a_folder_with_content_is_kept(self):
    tiny_model.write(self.path)
    before = sorted(os.listdir(self.path))
    with self.assertRaisesRegex(UsageError, 'already exists'):
      tiny_model.write(self.path, rules=RULES)
    self.assertEqual(sorted(os.listdir(self.path)), before)
    self.assertEqual(os.listdir(self.folder), ['model'])

  def test_an_incomplete_description_writes_nothing(self):
    with self.assertRaisesRegex(CheckpointError, 'without embedding_size'):
      write_model_directory(
        self.path,
        description={'architecture': {}},
        variables=tiny_model.make_variables(),
      )
    self.assertEqual(os.listdir(self.folder), [])

  def _damage(self, kind):
    json_path = os.path.join(self.path, 'model.json')
    if kind == 'cut':
      os.truncate(json_path, 100)
    elif kind == 'gone':
      os.unlink(json_path)
    else:
      with open(json_path) as file:
        description = json.load(file)
      kind(description)
      with open(json_path, 'w') as file:
        json.dump(description, file)

  @parameterized.parameters(
    ('cut', 'not valid JSON'),
    ('gone', 'it has no model.json'),
    (lambda d: d.update(format_version=2), 'version 2, this facejax reads 1'),
    (lambda d: d.pop('golden'), "has no 'golden'"),
    (lambda d: d.update(storage='zip'), "unknown storage 'zip'"),
    (lambda d: d.update(storage='packed'), 'holds no packed weights'),
  )
  def test_a_bad_model_json_is_refused(self, kind, message):
    tiny_model.write(self.path)
    self._damage(kind)
    with self.assertRaisesRegex(CheckpointError, message):
      read_model_directory(self.path)

  @parameterized.product(
    part=['_METADATA', 'manifest.ocdbt', '_sharding', 'd'],
    rules=[None, RULES],
  )
  def test_a_truncated_item_is_refused_in_one_line(self, part, rules):
    tiny_model.write(self.path, rules=rules)
    path = os.path.join(self.path, 'params', part)
    if part == 'd':
      path = os.path.join(path, os.listdir(path)[0])
    os.truncate(path, os.path.getsize(path) // 2)
    with self.assertRaises(CheckpointError) as caught:
      read_model_directory(self.path)
    self.assertIn('params is damaged or cut short', str(caught.exception))
    self.assertNotIn('\n', str(caught.exception))

  def test_a_missing_folder_is_refused(self):
    with self.assertRaisesRegex(CheckpointError, 'no such model directory'):
      read_model_directory(self.path)
