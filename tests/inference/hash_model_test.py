"""Models with a hash layer in use: codes, logits, damage."""

import json
import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

import facejax
from facejax import trees
from facejax.checkpoint.model_directory import (
  read_description,
  write_model_directory,
)
from facejax.compression import packed, ternary
from facejax.data import preprocessing
from facejax.errors import CheckpointError, DataError, UsageError
from facejax.inference.description import describe_model
from facejax.ops import hamming
from tests.inference import tiny_model
from tests.inference.tiny_model import RULES, Tiny, random_faces

BITS = 16
FACES = random_faces(4)
# The hash layer stays float beside packed weights.
FLOAT_HASH = (('hash/kernel', 'float'), *RULES)


def _outputs(variables, faces, **fields):
  """Embeddings and logits by the module itself."""
  contract = tiny_model.PREPROCESSING
  inputs = preprocessing.normalize(
    preprocessing.fit_batch(jnp.asarray(faces), contract), contract
  )
  found = Tiny(hash_bits=BITS, **fields).apply(
    variables, inputs, False, method='outputs'
  )
  return jax.device_get(found)


class HashTestCase(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.enter_context(tiny_model.registered())
    self.path = os.path.join(self.create_tempdir().full_path, 'model')

  def write(self, *, rules=None, **fields):
    return tiny_model.write(
      self.path, rules=rules, fields={'hash_bits': BITS, **fields}
    )


class HashTest(HashTestCase):
  @parameterized.parameters('raw', 'unit')
  def test_codes_are_the_signs_of_an_affine_map_of_the_embedding(self, kind):
    variables = self.write(hash_input=kind)
    model = facejax.load_model(self.path)
    self.assertEqual(model.hash_bits, BITS)
    self.assertEqual(model.embedding_size, 24)
    embedding, logits = _outputs(variables, FACES, hash_input=kind)
    seen = embedding
    if kind == 'unit':
      seen = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    layer = jax.device_get(variables['params']['hash'])
    self.assertEqual(layer['kernel'].shape, (1, 1, 24, BITS))
    by_hand = seen @ layer['kernel'][0, 0] + layer['bias']
    np.testing.assert_allclose(logits, by_hand, atol=1e-5)
    found, found_logits = model.embed_and_hash(FACES)
    np.testing.assert_allclose(found_logits, by_hand, atol=1e-5)
    np.testing.assert_allclose(
      found, embedding / np.linalg.norm(embedding, axis=1, keepdims=True),
      atol=1e-5,
    )  # fmt: skip
    raw, _ = model.embed_and_hash(FACES, normalize=False)
    np.testing.assert_allclose(raw, embedding, atol=1e-5)
    codes = model.hash(FACES)
    self.assertEqual((codes.dtype, codes.shape), (np.uint8, (4, BITS // 8)))
    np.testing.assert_array_equal(
      codes, np.packbits(by_hand > 0, axis=1, bitorder='little')
    )
    np.testing.assert_array_equal(
      hamming.unpack_bits(codes, BITS), np.where(found_logits > 0, 1, -1)
    )

  def test_the_hash_layer_leaves_the_embedding_as_it_is(self):
    self.write()
    model = facejax.load_model(self.path, verify=False)
    np.testing.assert_array_equal(
      model.embed(FACES), model.embed_and_hash(FACES)[0]
    )

  @parameterized.parameters((RULES,), (FLOAT_HASH,))
  def test_a_packed_model_hashes_by_its_packed_weights(self, rules):
    variables = self.write(rules=rules)
    model = facejax.load_model(self.path)
    kernel = model.variables['params']['hash']['kernel']
    self.assertEqual(packed.is_packed(kernel), rules is RULES)
    params = ternary.ternarize_tree(variables['params'], rules)
    embedding, logits = _outputs({**variables, 'params': params}, FACES)
    found = model.embed_and_hash(FACES, normalize=False)
    np.testing.assert_allclose(found[0], embedding, atol=1e-5)
    np.testing.assert_allclose(found[1], logits, atol=1e-5)
    # Unlike the float model's.
    self.assertGreater(np.abs(_outputs(variables, FACES).logits - logits).max(),
                       1e-3)  # fmt: skip

  def test_no_faces_have_no_codes(self):
    self.write()
    model = facejax.load_model(self.path, verify=False)
    none = FACES[:0]
    self.assertEqual(model.hash(none).shape, (0, 2))
    self.assertEqual(model.hash(none).dtype, np.uint8)
    shapes = [x.shape for x in model.embed_and_hash(none)]
    self.assertEqual(shapes, [(0, 24), (0, BITS)])

  def test_half_precision_comes_out_as_float32(self):
    self.write()
    model = facejax.load_model(self.path, verify=False, dtype='bfloat16')
    for values in model.embed_and_hash(FACES):
      self.assertEqual(values.dtype, np.float32)

  def test_other_images_are_refused(self):
    self.write()
    model = facejax.load_model(self.path, verify=False)
    for images in (FACES.astype(np.float32), FACES[:, :64], None):
      with self.assertRaisesRegex(DataError, 'uint8'):
        model.hash(images)

  def test_a_model_without_a_hash_layer_says_how_to_add_one(self):
    tiny_model.write(self.path)
    model = facejax.load_model(self.path)
    self.assertEqual(model.hash_bits, 0)
    self.assertIsNone(read_description(self.path)['hash_bits'])
    self.assertNotIn('logits', read_description(self.path)['golden'])
    for call in (model.hash, model.embed_and_hash):
      with self.assertRaisesRegex(UsageError, 'no hash layer.*launch.add_hash'):
        call(FACES)


class DamageTest(HashTestCase):
  def _rewrite(self, change):
    """Writes other variables under the old description."""
    description = read_description(self.path)
    variables = tiny_model.make_variables(hash_bits=BITS)
    params = {
      **variables['params'],
      'hash': change(variables['params']['hash']),
    }
    write_model_directory(
      self.path,
      description=description,
      variables={**variables, 'params': params},
      overwrite=True,
    )

  def _edit(self, change):
    path = os.path.join(self.path, 'model.json')
    with open(path) as file:
      description = json.load(file)
    change(description)
    with open(path, 'w') as file:
      json.dump(description, file)

  @parameterized.parameters(
    ('kernel', lambda kernel: -kernel),
    ('kernel', lambda kernel: kernel.at[..., 3].multiply(-1)),  # one bit of 16
    ('bias', lambda bias: bias + 1),
  )
  def test_damage_to_the_hash_layer_alone_is_found(self, name, change):
    self.write()
    self._rewrite(lambda layer: layer)
    facejax.load_model(self.path)
    self._rewrite(lambda layer: {**layer, name: change(layer[name])})
    with self.assertRaisesRegex(CheckpointError, 'golden output is off'):
      facejax.load_model(self.path)

  @parameterized.parameters(
    (lambda d: d.update(hash_bits=8), 'hash_bits 8, its params have 16'),
    (lambda d: d.update(hash_bits=None), 'hash_bits 0, its params have 16'),
    (lambda d: d.update(embedding_size=8), 'embedding_size 8, .* have 24'),
    (lambda d: d['golden'].pop('logits'), 'golden output is off .* inf'),
    (lambda d: d['golden'].update(logits=[1.0]), 'golden output is off'),
    (
      lambda d: d['architecture']['fields'].update(hash_bits=0),
      'hash_bits 16, its params have 0',
    ),
    (
      lambda d: d['architecture']['fields'].update(hash_bits=24),
      'does not fit the architecture',
    ),
  )
  def test_a_description_that_says_otherwise_is_refused(self, change, message):
    self.write()
    self._edit(change)
    with self.assertRaisesRegex(CheckpointError, message):
      facejax.load_model(self.path)

  @parameterized.parameters(12, -8)
  def test_bits_that_fill_no_bytes_are_refused(self, bits):
    with self.assertRaisesRegex(UsageError, 'use a positive multiple of 8'):
      tiny_model.write(self.path, fields={'hash_bits': bits})
    self.assertFalse(os.path.exists(self.path))

  def test_logits_that_are_not_finite_are_not_written(self):
    variables = trees.map_named(
      lambda name, leaf: leaf * np.nan if name == 'params/hash/bias' else leaf,
      tiny_model.make_variables(hash_bits=BITS),
    )
    with self.assertRaisesRegex(CheckpointError, 'not finite'):
      describe_model(
        variables,
        architecture='tiny',
        fields={'image_size': (32, 32), 'hash_bits': BITS},
        preprocessing=tiny_model.PREPROCESSING,
      )
