"""Embeddings from models and files: order, batches, bad input."""

import json
import os

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax import files
from facejax.data import megaface
from facejax.errors import DataError, UsageError
from facejax.evaluation import crops, embeddings, held_source, sources
from tests.evaluation import faces

NAMES = [
  f'P{p}/P{p}_{i + 1:04d}.jpg'
  for p in range(faces.NUM_PEOPLE)
  for i in range(faces.NUM_IMAGES)
]


class SourcesTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path

  def npz(self, **arrays):
    path = os.path.join(self.root, 'e.npz')
    np.savez(path, **arrays)
    return path

  def test_images_come_in_the_order_asked_and_in_one_batch_size(self):
    folder = faces.write_folder(self.root)
    model = faces.PixelModel()
    source = sources.ModelSource(model, folder, batch_size=5)
    names = NAMES[::-1][:12]
    result = source.embed(names, flip=True)
    images = np.stack(
      [crops.read_crop(source._archive, name) for name in names]
    )
    self.assertEqual(set(model.shapes), {((5, 112, 112, 3), 'uint8')})
    self.assertLen(model.shapes, 6)
    np.testing.assert_allclose(
      result.plain, model.embed(images, normalize=False), rtol=1e-5
    )
    np.testing.assert_allclose(
      result.flip, model.embed(images[:, :, ::-1], normalize=False), rtol=1e-5
    )

  def test_without_flip_the_model_is_called_half_as_often(self):
    model = faces.PixelModel()
    source = sources.ModelSource(
      model, faces.write_folder(self.root), batch_size=8
    )
    self.assertIsNone(source.embed(NAMES[:16], flip=False).flip)
    self.assertLen(model.shapes, 2)

  @parameterized.parameters(True, False)
  def test_logits_come_in_the_same_pass_and_are_of_the_image_as_it_is(
    self, flip
  ):
    folder = faces.write_folder(self.root)
    model = faces.PixelModel(hash_bits=24)
    source = sources.ModelSource(model, folder, batch_size=5)
    self.assertEqual(source.hash_bits, 24)
    self.assertEqual(source.describe()['hash_bits'], 24)
    found = source.embed(NAMES[:7], flip=flip)
    self.assertLen(model.shapes, 4 if flip else 2)
    images = np.stack(
      [crops.read_crop(source._archive, name) for name in NAMES[:7]]
    )
    plain, logits = model.embed_and_hash(images, normalize=False)
    np.testing.assert_allclose(found.plain, plain, rtol=1e-5)
    np.testing.assert_allclose(found.logits, logits, atol=1e-5)
    if flip:
      self.assertEqual(found.flip.shape, plain.shape)

  def test_folder_and_zip_under_a_top_folder_give_the_same(self):
    plain = faces.write_folder(os.path.join(self.root, 'a'))
    topped = faces.write_folder(os.path.join(self.root, 'b'), 'lfw_112')
    archive = faces.write_zip(os.path.join(self.root, 'c.zip'), topped)
    results = [
      sources.ModelSource(faces.PixelModel(), data).embed(NAMES, flip=True)
      for data in (plain, topped, archive)
    ]
    for result in results[1:]:
      np.testing.assert_array_equal(result.plain, results[0].plain)
      np.testing.assert_array_equal(result.flip, results[0].flip)

  @parameterized.parameters(
    (b'', 'P0_0001.jpg: the file is empty'),
    (b'no image', 'P0_0001.jpg: is no readable JPEG'),
    ('cut', 'P0_0001.jpg: the JPEG file is cut short'),
    ('large', 'P0_0001.jpg: 150x150 pixels, where aligned faces of 112x112'),
  )
  def test_bad_images_are_named(self, content, message):
    folder = faces.write_folder(self.root)
    path = os.path.join(folder, NAMES[0])
    if content == 'cut':
      with open(path, 'rb') as file:
        content = file.read()[:-100]
    elif content == 'large':
      content = faces.encode_jpeg(np.zeros((150, 150, 3), np.uint8))
    with open(path, 'wb') as file:
      file.write(content)
    source = sources.ModelSource(faces.PixelModel(), folder)
    with self.assertRaisesRegex(DataError, message):
      source.embed(NAMES, flip=False)

  def test_a_missing_image_names_itself(self):
    folder = faces.write_folder(self.root)
    os.remove(os.path.join(folder, NAMES[3]))
    source = sources.ModelSource(faces.PixelModel(), folder)
    with self.assertRaisesRegex(DataError, f'has no image {NAMES[3]}'):
      source.embed(NAMES, flip=False)

  def test_saved_embeddings_come_back(self):
    saved = embeddings.Embeddings(
      ('a/1.jpg', 'b/1.jpg'),
      np.eye(2, dtype=np.float32),
      -np.eye(2, dtype=np.float32),
      np.array([1, 2], np.float32),
      np.arange(16, dtype=np.float32).reshape(2, 8),
    )
    path = os.path.join(self.root, 'new', 'e.npz')
    saved.save(path)
    source = embeddings.SavedSource(path)
    back = source.embed(['b/1.jpg', 'a/1.jpg'], flip=True)
    np.testing.assert_array_equal(back.plain, saved.plain[::-1])
    np.testing.assert_array_equal(back.flip, saved.flip[::-1])
    np.testing.assert_array_equal(source.training_mean, [1, 2])
    np.testing.assert_array_equal(back.logits, saved.logits[::-1])
    self.assertEqual((source.hash_bits, source.describe()['hash_bits']), (8, 8))
    with self.assertRaisesRegex(DataError, 'has no image c.jpg'):
      source.embed(['c.jpg'], flip=True)

  def test_kept_embeddings_say_what_computed_them(self):
    folder = faces.write_folder(self.root)
    source = sources.ModelSource(faces.PixelModel(), folder, name='out/model')
    path = os.path.join(self.root, 'kept.npz')
    given = held_source.KeepingSource(source, path).embed(NAMES[:3], flip=True)
    kept = sources.open_source(embeddings=path)
    np.testing.assert_array_equal(
      kept.embed(NAMES[:3], flip=True).flip, given.flip
    )
    described = json.loads(json.dumps(source.describe()))
    del described['data']
    self.assertEqual(kept.describe(), described | {'embeddings': path})
    self.assertEqual(described['model'], 'out/model')

  def test_embeddings_by_others_say_nothing_of_a_model(self):
    path = self.npz(names=np.array(['a']), plain=np.ones((1, 3)))
    self.assertEqual(
      embeddings.SavedSource(path).describe(),
      {'model': None, 'packed': None, 'preprocessing': None}
      | {'embeddings': path},
    )

  def test_a_folder_of_feature_files_stands_for_embeddings(self):
    folder = os.path.join(self.root, 'features')
    megaface.write_features(
      files.Path(folder),
      ['A/1.jpg', 'B/1.jpg'],
      np.eye(2, dtype=np.float32),
      suffix='_x.bin',
    )
    source = sources.open_source(embeddings=folder)
    self.assertEqual(list(source.names()), ['A/1.jpg', 'B/1.jpg'])
    np.testing.assert_array_equal(
      source.embed(source.names(), flip=False).plain, np.eye(2)
    )

  @parameterized.parameters(
    ({'names': np.array(['a'])}, "has no array 'plain'"),
    ({'names': np.array(['a']), 'plain': np.ones((2, 3))}, 'names has shape'),
    ({'names': np.array(['a', 'b']), 'plain': np.ones(2)}, 'plain has shape'),
    (
      {'names': np.array(['a', 'a']), 'plain': np.ones((2, 3))},
      'names stand there twice',
    ),
    (
      {
        'names': np.array(['a', 'b']),
        'plain': np.ones((2, 3)),
        'flip': np.ones((2, 4)),
      },
      'flip has shape',
    ),
    (
      {
        'names': np.array(['a', 'b']),
        'plain': np.ones((2, 3)),
        'logits': np.ones((3, 8)),
      },
      r'logits has shape \[3, 8\], expected \[2, 8\]',
    ),
    (
      {
        'names': np.array(['a', 'b']),
        'plain': np.ones((2, 3)),
        'logits': np.ones((2, 12)),
      },
      'logits are of 12 bits, expected a multiple of 8',
    ),
    (
      {
        'names': np.array(['a']),
        'plain': np.ones((1, 3)),
        'logits': np.ones((1, 8), np.uint8),
      },
      'logits is of type uint8',
    ),
    (
      {'names': np.array(['a', 'b']), 'plain': np.ones((2, 3), int)},
      'plain is of type int64',
    ),
    (
      {
        'names': np.array(['a']),
        'plain': np.ones((1, 3)),
        'origin': np.array('[1]'),
      },
      'origin is no JSON object of model, packed, preprocessing',
    ),
    (
      {'names': np.array(['a', 'b'], object), 'plain': np.ones((2, 3))},
      'is no .npz of plain arrays',
    ),
  )
  def test_unfit_arrays_are_refused(self, arrays, message):
    with self.assertRaisesRegex(DataError, message):
      embeddings.SavedSource(self.npz(**arrays))

  @parameterized.parameters(b'', b'text', b'\x80\x04N.', b'PK\x03\x04')
  def test_files_of_another_kind_are_refused(self, content):
    path = self.create_tempfile('x.npz', content=content).full_path
    with self.assertRaisesRegex(DataError, 'is no .npz of plain arrays'):
      embeddings.SavedSource(path)

  def test_either_a_model_with_data_or_embeddings(self):
    with self.assertRaisesRegex(DataError, 'cannot be read'):
      sources.open_source(embeddings='/nowhere.npz')
    for arguments in (
      {},
      {'model': 'm'},
      {'data': 'd'},
      {'embeddings': 'e', 'model': 'm'},
    ):
      with self.assertRaises(UsageError):
        sources.open_source(**arguments)


if __name__ == '__main__':
  absltest.main()
