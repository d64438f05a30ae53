import os
from unittest import mock

import chex
import jax
import numpy as np
import pytest

import facejax
from facejax import trees
from facejax.checkpoint.manager import CheckpointStore
from facejax.checkpoint.model_directory import read_model_directory
from facejax.compression import packed
from facejax.errors import CheckpointError
from facejax.inference.embedding import normalize_rows
from facejax.training import export
from facejax.training.loop_setup import build_run
from tests.inference.tiny_model import random_faces
from tests.training import tiny_recipe
from tests.training.loop_case import quiet

FACES = random_faces(5)


@pytest.fixture(scope='module')
def restored(trained):
  """The run of the suite, its state as it ended."""
  run = build_run(trained.config)
  state, _ = tiny_recipe.saved_state(run, trained.workdir)
  run.state = jax.tree.map(jax.device_put, state, run.shardings)
  return run


class ModelDirectoryTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, trained, restored, tmp_path):
    self.trained, self.run_, self.path = trained, restored, tmp_path / 'model'

  def _embed(self, steps_done):
    embed = self.run_.exporter.embed_function(self.run_.state, steps_done)
    return normalize_rows(np.asarray(embed(FACES), np.float32))

  def test_the_packed_model_embeds_as_the_run_itself_did(self):
    model = facejax.load_model(self.trained.workdir / 'model')
    self.assertTrue(model.is_packed)
    expected = self._embed(6)
    cosines = (model.embed(FACES) * expected).sum(1)
    np.testing.assert_array_less(1 - cosines, 1e-6)
    # Not so with the float masters: the test can tell them apart.
    masters = (model.embed(FACES) * self._embed(0)).sum(1)
    self.assertGreater((1 - masters).max(), 1e-4)

  def test_the_packed_item_of_the_checkpoint_is_that_model(self):
    model = read_model_directory(self.trained.workdir / 'model')
    with CheckpointStore(self.trained.workdir / 'checkpoints') as store:
      item = store.restore_packed(6)
      self.assertEqual(store.steps(), [2, 4, 6])
      with self.assertRaisesRegex(CheckpointError, 'holds no packed model'):
        store.restore_packed(2)  # float until then
    chex.assert_trees_all_equal(item, model.variables['params'])
    unpacked = packed.unpack_tree(item)
    deployed = self.run_.exporter._local_variables(self.run_.state, 6)
    chex.assert_trees_all_equal(unpacked, deployed['params'])

  def test_the_float_model_of_the_switch_is_float_and_loads(self):
    model = facejax.load_model(self.trained.workdir / 'model_float')
    self.assertFalse(model.is_packed)
    self.assertIsNone(model.description['ternary'])
    self.assertEqual(model.description['training_data']['steps'], 3)
    packed_model = facejax.load_model(self.trained.workdir / 'model')
    self.assertLess(
      trees.byte_count(packed_model.variables['params']),
      0.7 * trees.byte_count(model.variables['params']),
    )

  def test_the_description_says_how_it_was_made(self):
    description = read_model_directory(
      self.trained.workdir / 'model'
    ).description
    self.assertEqual(
      description['ternary'],
      {
        'rules': [list(r) for r in self.trained.config.ternary.rules],
        'post_training': False,
      },
    )
    self.assertEqual(
      description['training_data'],
      {
        'identities_checksum': self.run_.source.identities_checksum,
        'num_identities': 11,
        'num_images': 44,
        'steps': 6,
      },
    )
    self.assertEqual(description['architecture']['name'], 'mobilefacenet')
    self.assertLen(description['training_mean'], 16)

  def test_the_classifier_is_kept_without_padding(self):
    model = read_model_directory(self.trained.workdir / 'model')
    weights = np.asarray(self.run_.state.params['head']['class_weights'])
    self.assertEqual(weights.shape, (16, 16))
    np.testing.assert_array_equal(model.classifier, weights[:11])

  def test_a_classifier_too_large_to_copy_is_left_to_the_checkpoints(self):
    with (
      quiet() as stderr,
      mock.patch.object(export, '_CLASSIFIER_BYTES', 1000),
    ):
      self.run_.exporter.write(self.path, self.run_.state, 2)
    self.assertIn('GB stay in the checkpoints', stderr.getvalue())
    self.assertIsNone(read_model_directory(self.path).classifier)
    facejax.load_model(self.path)

  def test_writing_again_replaces_the_old_one(self):
    for _ in range(2):
      self.run_.exporter.write(self.path, self.run_.state, 2)
    self.assertEqual(os.listdir(self.path.parent), ['model'])
    self.assertFalse(facejax.load_model(self.path).is_packed)

  def test_a_model_that_is_not_finite_is_refused_and_the_old_one_kept(self):
    self.run_.exporter.write(self.path, self.run_.state, 2)
    before = (self.path / 'model.json').read_bytes()
    state = self.run_.state
    slope = state.params['stem']['activation']['slope']
    stem = {**state.params['stem'], 'activation': {'slope': slope * np.nan}}
    bad = state.replace(params={**state.params, 'stem': stem})
    with self.assertRaisesRegex(CheckpointError, 'not finite'):
      self.run_.exporter.write(self.path, bad, 2)
    self.assertEqual((self.path / 'model.json').read_bytes(), before)
