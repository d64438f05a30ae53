"""A whole run of a net with a hash layer, down to the codes of its model."""

import shutil

import chex
import jax
import numpy as np
import pytest
from absl.testing import parameterized

import facejax
from facejax.checkpoint.manager import CheckpointStore
from facejax.errors import UsageError
from facejax.parallel import mesh as mesh_lib
from facejax.training import dry_run, loop, recipe, replay
from facejax.training.loop_setup import build_run
from tests.inference.tiny_model import random_faces
from tests.training import tiny_recipe
from tests.training.loop_case import quiet

BITS, STEPS = 16, 8
FACES = random_faces(5)
HASHED = {
  'model__hash_bits': BITS,
  'model__stages': tiny_recipe.STAGES[:1],
  'total_steps': STEPS,
  'loss__name': 'softmax',
  'loss__scale': None,
  'loss__margin': None,
  'loss__warmup_steps': 0,
  'hash__quantization_weight': 1.0,
  'hash__beta_final': 4.0,
  'checkpoint__every_steps': STEPS // 2,
  'ternary__from_step': STEPS // 2,
}


@pytest.fixture(scope='module')
def hashed(face_set, tmp_path_factory):
  """Eight steps with 16 bits, the last four of them ternary."""
  with quiet():
    return tiny_recipe.train(
      face_set, tmp_path_factory.mktemp('hashed'), **HASHED
    )


class HashedRunTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, face_set, hashed, tmp_path):
    self.face_set, self.hashed = face_set, hashed
    self.workdir = tmp_path / 'run'

  def test_the_loss_and_the_quantisation_error_fall(self):
    rows = tiny_recipe.metric_rows(self.hashed.workdir)
    for name in ('loss', 'classification_loss', 'hash_quantization'):
      first, last = ([r[name] for r in part] for part in (rows[:3], rows[-3:]))
      self.assertLess(np.mean(last), np.mean(first), name)
    for row in rows:
      for name in ('bit_balance', 'bit_entropy', 'bit_correlation'):
        self.assertBetween(row[name], 0, 1)
      self.assertGreater(row['feature_norm'], 0)
      self.assertLessEqual(row['hash_norm'], BITS**0.5)

  def test_the_written_model_hashes_as_the_run_does(self):
    model = facejax.load_model(self.hashed.workdir / 'model')
    self.assertTrue(model.is_packed)
    self.assertEqual(model.hash_bits, BITS)
    self.assertEqual(model.description['embedding_size'], 16)
    self.assertEqual(model.directory.classifier.shape, (11, 16 + BITS))
    run = build_run(self.hashed.config)
    state, _ = tiny_recipe.saved_state(run, self.hashed.workdir)
    state = jax.tree.map(jax.device_put, state, run.shardings)
    outputs = run.exporter.outputs_function(state, STEPS)(FACES)
    embeddings, logits = model.embed_and_hash(FACES, normalize=False)
    np.testing.assert_allclose(embeddings, outputs.embedding, atol=1e-4)
    np.testing.assert_allclose(logits, outputs.logits, atol=1e-4)
    bits = np.packbits(np.asarray(logits) > 0, axis=1, bitorder='little')
    np.testing.assert_array_equal(model.hash(FACES), bits)
    # What evaluators embed with is the embedding, not the splice.
    embed = run.exporter.embed_function(state, STEPS)
    np.testing.assert_array_equal(embed(FACES), outputs.embedding)

  def test_a_run_that_is_stopped_and_goes_on_ends_alike(self):
    shutil.copytree(self.hashed.workdir, self.workdir)
    shutil.rmtree(self.workdir / 'checkpoints' / str(STEPS))
    with quiet() as stderr:
      loop.train(self.hashed.config, self.workdir)
    self.assertIn(f'continuing after step {STEPS // 2}', stderr.getvalue())
    run = build_run(self.hashed.config)
    chex.assert_trees_all_equal(
      tiny_recipe.saved_state(run, self.workdir),
      tiny_recipe.saved_state(run, self.hashed.workdir),
    )
    self.assertEqual(
      tiny_recipe.metric_rows(self.workdir),
      tiny_recipe.metric_rows(self.hashed.workdir),
    )

  def test_a_step_is_replayed_with_its_metrics(self):
    with quiet():
      found = replay.replay(self.hashed.config, self.hashed.workdir, STEPS - 1)
    self.assertEqual(found['restored_from'], STEPS // 2)
    row = tiny_recipe.metric_rows(self.hashed.workdir)[STEPS - 2]
    for name in ('loss', 'hash_quantization', 'bit_entropy', 'feature_norm'):
      np.testing.assert_allclose(found[name], row[name], rtol=1e-4)
    self.assertEmpty(found['not_finite_gradients'])

  def test_the_packed_item_of_the_checkpoint_has_the_hash_layer(self):
    with CheckpointStore(self.hashed.workdir / 'checkpoints') as store:
      item = store.restore_packed(STEPS)
    model = facejax.load_model(self.hashed.workdir / 'model', verify=False)
    chex.assert_trees_all_equal(item['hash'], model.variables['params']['hash'])

  def test_a_dry_run_counts_a_head_as_wide_as_both_parts(self):
    config = tiny_recipe.make_config(self.face_set, **HASHED)
    found = dry_run.estimate(config, num_identities=11)
    self.assertEqual(found['bytes_per_device']['head'], 2 * (32 + 1) * 4)


class RecipeTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _face_set(self, face_set):
    self.face_set = face_set

  @parameterized.parameters(
    ({'hash__classifier': 'hash'}, "hash.classifier='hash': the model has no"),
    ({'hash__beta_final': 9.0}, 'hash.beta_final=9.0: the model has no hash'),
    (
      {'hash__quantization': 'l3', 'model__hash_bits': 16},
      "hash.quantization='l3': use l2 or l1",
    ),
    ({'model__hash_bits': 12}, 'hash_bits=12: use a positive multiple of 8'),
    ({'model__hash_bits': -8}, 'hash_bits=-8: use a positive multiple of 8'),
  )
  def test_settings_that_cannot_be_are_refused_by_name(self, fields, message):
    config = tiny_recipe.make_config(self.face_set, **fields)
    with self.assertRaisesRegex(UsageError, message) as caught:
      build_run(config)
    self.assertNotIn('\n', str(caught.exception))

  @parameterized.parameters(
    ('arcface', {}, True),
    ('arcface', {'hash__normalize_parts': True}, False),
    ('arcface', {'hash__classifier': 'hash'}, False),
    ('arcface', {'model__hash_bits': 0}, False),
    ('softmax', {}, False),
    ('a_softmax', {}, False),
  )
  def test_a_margin_that_normalises_the_splice_is_warned_of(
    self, loss, fields, warns
  ):
    plain = {'loss__scale': None, 'loss__margin': None, 'loss__name': loss}
    config = tiny_recipe.make_config(
      self.face_set,
      **({'model__hash_bits': 16, 'loss__warmup_steps': 0} | plain | fields),
    )
    mesh = mesh_lib.make_mesh(1, 1, devices=jax.devices()[:1])
    learner = recipe.make_learner(config, num_identities=11, mesh=mesh)
    with quiet() as stderr:
      recipe.note_uneven_parts(learner)
    warned = 'compare feature_norm and hash_norm' in stderr.getvalue()
    self.assertEqual(warned, warns)
