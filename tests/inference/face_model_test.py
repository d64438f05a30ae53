import json
import os
import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

import facejax
from facejax.compression import packed, ternary
from facejax.data import preprocessing
from facejax.errors import CheckpointError, DataError, UsageError
from tests.conftest import REPOSITORY
from tests.inference import tiny_model
from tests.inference.tiny_model import RULES, random_faces

_MEAN = np.linspace(-1, 1, 24).astype(np.float32)
_THRESHOLDS = {'at': [{'far': 1e-3, 'threshold': 0.25}], 'pairs': 5000}


class ModelTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(tiny_model.registered())
    self.path = os.path.join(self.create_tempdir().full_path, 'model')

  def _edit(self, change):
    path = os.path.join(self.path, 'model.json')
    with open(path) as file:
      description = json.load(file)
    change(description)
    with open(path, 'w') as file:
      json.dump(description, file)


class EmbedTest(ModelTestCase):
  def test_a_float_model_computes_its_architecture(self):
    variables = tiny_model.write(self.path)
    model = facejax.load_model(self.path)
    images = random_faces(3)
    inputs = preprocessing.normalize(
      preprocessing.fit_batch(jnp.asarray(images), model.preprocessing),
      model.preprocessing,
    )
    expected = np.asarray(tiny_model.Tiny().apply(variables, inputs, False))
    raw = model.embed(images, normalize=False)
    np.testing.assert_allclose(raw, expected, atol=1e-5)
    unit = model.embed(images)
    self.assertEqual(unit.dtype, np.float32)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(
      unit, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6
    )
    self.assertFalse(model.is_packed)

  def test_a_packed_model_computes_the_ternary_forward(self):
    variables = tiny_model.write(self.path, rules=RULES)
    model = facejax.load_model(self.path)
    params = ternary.ternarize_tree(variables['params'], RULES)
    images = random_faces(2, 32)
    inputs = preprocessing.normalize(jnp.asarray(images), model.preprocessing)
    expected = tiny_model.Tiny().apply(
      {**variables, 'params': params}, inputs, False
    )
    np.testing.assert_allclose(
      model.embed(images, normalize=False), expected, atol=1e-5
    )
    self.assertTrue(model.is_packed)
    kernel = model.variables['params']['stem']['kernel']
    self.assertTrue(packed.is_packed(kernel))
    self.assertEqual(kernel.words.dtype, jnp.uint32)

  @parameterized.parameters(112, 32)
  def test_both_sizes_and_both_kinds_of_arrays_are_taken(self, size):
    tiny_model.write(self.path)
    model = facejax.load_model(self.path, verify=False)
    images = random_faces(2, size)
    np.testing.assert_array_equal(
      model.embed(images), model.embed(jnp.asarray(images))
    )
    self.assertEqual(model.embed(images[:0]).shape, (0, 24))

  @parameterized.parameters(
    (np.zeros((2, 112, 112, 3), np.float32),),
    (np.zeros((112, 112, 3), np.uint8),),
    (np.zeros((2, 64, 64, 3), np.uint8),),
    (np.zeros((2, 112, 112, 1), np.uint8),),
    (np.zeros((2, 112, 112, 4), np.uint8),),
    (np.zeros((2, 3, 112, 112), np.uint8),),
    (np.zeros((2, 112, 32, 3), np.uint8),),
    (np.zeros((2, 112, 112, 3), np.int8),),
    (np.zeros((2, 112, 112, 3), np.uint16),),
    (np.zeros((2, 112, 112, 3), bool),),
    (np.zeros((0, 112, 112, 3), np.float32),),
    (jnp.zeros((2, 112, 112, 3), jnp.bfloat16),),
    (None,),
    ('face.jpg',),
    ([np.zeros((112, 112, 3), np.uint8)],),
  )
  def test_other_images_are_refused(self, images):
    tiny_model.write(self.path)
    model = facejax.load_model(self.path, verify=False)
    with self.assertRaisesRegex(
      DataError, r'uint8 \[B, 32, 32, 3\] or \[B, 112, 112, 3\]'
    ):
      model.embed(images)

  def test_what_the_description_holds(self):
    tiny_model.write(self.path, training_mean=_MEAN, thresholds=_THRESHOLDS)
    model = facejax.load_model(self.path)
    self.assertEqual(model.embedding_size, 24)
    self.assertEqual(model.preprocessing, tiny_model.PREPROCESSING)
    np.testing.assert_array_equal(model.training_mean, _MEAN)
    self.assertEqual(model.threshold_at(1e-3), 0.25)
    with self.assertRaisesRegex(UsageError, 'rate of 1e-06; .* 0.001'):
      model.threshold_at(1e-6)

  def test_a_model_without_thresholds_says_so(self):
    tiny_model.write(self.path)
    model = facejax.load_model(self.path, verify=False)
    self.assertIsNone(model.training_mean)
    with self.assertRaisesRegex(UsageError, 'calibrated rates: none'):
      model.threshold_at(1e-3)


class VerifyTest(ModelTestCase):
  @parameterized.parameters(
    (lambda d: d['golden'].update(seed=1), 'golden output is off'),
    (lambda d: d['golden'].update(embedding=[1.0]), 'golden output is off'),
    (lambda d: d['preprocessing'].update(scale=64.0), 'golden output'),
    (
      lambda d: d['architecture']['fields'].update(embedding_size=32),
      'does not fit the architecture',
    ),
    (lambda d: d['architecture'].update(name='tinny'), 'no model is called'),
    (
      lambda d: d['architecture']['fields'].update(depth=3),
      "has no field 'depth'",
    ),
    (lambda d: d['preprocessing'].pop('crop'), "not usable: 'crop'"),
  )
  def test_an_altered_description_is_refused(self, change, message):
    tiny_model.write(self.path)
    self._edit(change)
    with self.assertRaisesRegex(CheckpointError, message):
      facejax.load_model(self.path)

  def test_verification_can_be_left_out(self):
    tiny_model.write(self.path)
    self._edit(lambda d: d['golden'].update(seed=1))
    facejax.load_model(self.path, verify=False)


class ImportTest(chex.TestCase):
  def test_importing_facejax_imports_no_jax(self):
    code = 'import facejax, sys; sys.exit("jax" in sys.modules)'
    subprocess.run([sys.executable, '-c', code], check=True, cwd=REPOSITORY)


class ShardedModelTest(ModelTestCase):
  def test_a_model_written_from_8_devices_opens_on_one(self):
    mesh = jax.make_mesh(
      (8,), ('model',), axis_types=(jax.sharding.AxisType.Auto,)
    )
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    with jax.default_device(jax.devices()[0]):
      tiny_model.write(self.path, rules=RULES)
      expected = facejax.load_model(self.path).embed(random_faces(2))
    from facejax.checkpoint.model_directory import (
      read_description,
      write_model_directory,
    )

    write_model_directory(
      self.path,
      description=read_description(self.path),
      variables=jax.device_put(tiny_model.make_variables(), sharding),
      rules=RULES,
      overwrite=True,
    )
    model = facejax.load_model(self.path)
    for leaf in jax.tree.leaves(model.variables):
      self.assertEqual(leaf.devices(), {jax.devices()[0]})
    np.testing.assert_array_equal(model.embed(random_faces(2)), expected)
