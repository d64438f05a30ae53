"""Distractors from every kind of source: order, blocks, shared names."""

import json
import os
from unittest import mock

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.data.megaface import write_features
from facejax.errors import DataError, UsageError
from facejax.evaluation.embeddings import Embeddings, SavedSource
from facejax.evaluation.feature_files import FeatureFolderSource
from facejax.evaluation.megaface import distractors
from facejax.evaluation.sources import ModelSource
from facejax.files import Path
from tests.evaluation import faces

NAMES = tuple(f'{i % 4}/p{i}/x{i}.jpg' for i in range(11))


def features():
  x = np.random.default_rng(0).normal(size=(len(NAMES), 8))
  return x.astype(np.float32)


def unit(x):
  return x / np.linalg.norm(x, axis=1, keepdims=True)


class DistractorsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = self.create_tempdir().full_path
    self.probes = SavedSource(self.npz(('A/1.jpg', 'A/2.jpg'), 'probes'))

  def npz(self, names=NAMES, stem='e', plain=None):
    path = os.path.join(self.root, f'{stem}.npz')
    plain = features()[: len(names)] if plain is None else plain
    Embeddings(names=names, plain=plain).save(path)
    return path

  def folder(self):
    path = os.path.join(self.root, 'arrays')
    os.makedirs(path)
    with open(os.path.join(path, 'names.txt'), 'w') as file:
      file.write('\n'.join(NAMES) + '\n')
    np.save(os.path.join(path, 'plain.npy'), features())
    return path

  def devkit(self):
    path = os.path.join(self.root, 'features')
    write_features(Path(path), NAMES, features(), suffix='_net.bin')
    return path

  def write_list(self, names):
    path = os.path.join(self.root, 'list.json_3_1')
    with open(path, 'w') as file:
      json.dump({'path': names}, file)
    return path

  @parameterized.parameters('npz', 'folder', 'devkit')
  def test_all_forms_give_the_same_in_the_order_of_a_list(self, form):
    source = distractors.open_distractor_source(
      getattr(self, form)(), self.probes
    )
    wanted = [NAMES[7], NAMES[0], NAMES[10]]
    with (
      mock.patch.object(distractors, '_BLOCK', 2),
      distractors.open_distractors(
        source,
        ('A/1.jpg',),
        mode='plain',
        images=self.write_list(wanted),
      ) as found,
    ):
      self.assertSequenceEqual(list(found.names), wanted)
      for _ in range(2):  # as often as wanted
        blocks = list(found.blocks())
        self.assertSequenceEqual([len(x) for x, _ in blocks], [2, 1])
        np.testing.assert_allclose(
          np.concatenate([x for x, _ in blocks]),
          unit(features()[[7, 0, 10]]),
          rtol=1e-6,
        )
      ((part, _),) = found.blocks(1, 3)
      np.testing.assert_allclose(part, unit(features()[[0, 10]]), rtol=1e-6)
    self.assertIsInstance(
      source, FeatureFolderSource if form == 'devkit' else SavedSource
    )

  def test_without_a_list_the_first_by_name_are_taken(self):
    with distractors.open_distractors(
      SavedSource(self.npz()), (), mode='plain', count=4
    ) as found:
      self.assertSequenceEqual(list(found.names), sorted(NAMES)[:4])

  def test_images_are_embedded_by_the_model_of_the_probes(self):
    folder = faces.write_folder(os.path.join(self.root, 'faces'))
    probes = ModelSource(faces.PixelModel(), folder, batch_size=5)
    source = distractors.open_distractor_source(folder, probes)
    self.assertIs(source.model, probes.model)
    names = source.names()
    expected = source.embed(names, flip=True)
    with distractors.open_distractors(source, (), mode='insightface') as found:
      calls = len(probes.model.shapes)
      list(found.blocks())
      ((x, _),) = found.blocks()
      self.assertLen(probes.model.shapes, calls)  # embedded once
    np.testing.assert_allclose(
      x, unit(expected.plain + expected.flip), rtol=1e-5
    )
    self.assertLen(found.pictures(names[:2]), 2)

  def test_images_need_a_model(self):
    folder = faces.write_folder(os.path.join(self.root, 'faces'))
    with self.assertRaisesRegex(UsageError, 'are images, and no model'):
      distractors.open_distractor_source(folder, self.probes)

  def open_with(self, rule, probes=('p3/a.jpg', 'top/p5/b.jpg', 'A/c.jpg')):
    return distractors.open_distractors(
      SavedSource(self.npz()), probes, mode='plain', same_names=rule
    )

  def test_people_in_both_sets_are_refused_left_out_or_kept(self):
    with (
      self.assertRaisesRegex(UsageError, 'p3 and 1 others .* 2 images'),
      self.open_with('refuse'),
    ):
      pass
    with self.open_with('exclude') as found:
      self.assertEqual((len(found), found.num_excluded), (9, 2))
      self.assertNotIn(NAMES[3], list(found.names))
      ((x, _),) = found.blocks()
      self.assertLen(x, 9)
    with self.open_with('keep') as found:
      self.assertEqual((len(found), found.num_excluded), (11, 0))
    with (
      self.assertRaisesRegex(UsageError, 'refuse, exclude, keep'),
      self.open_with('x'),
    ):
      pass

  def test_bad_options_and_damaged_values_are_named(self):
    def opened(**options):
      source = SavedSource(self.npz(plain=options.pop('plain', None)))
      with distractors.open_distractors(
        source, (), mode='plain', **options
      ) as found:
        list(found.blocks())

    with self.assertRaisesRegex(UsageError, 'num_distractors=12: there are 11'):
      opened(count=12)
    with self.assertRaisesRegex(DataError, 'has no image 9/none.jpg'):
      opened(images=self.write_list(['9/none.jpg']))
    broken = features()
    broken[4, 2] = np.nan
    with self.assertRaisesRegex(DataError, f'{NAMES[4]} is not finite'):
      opened(plain=broken)


if __name__ == '__main__':
  absltest.main()
