"""The evaluator of the training loop."""

import os

import chex
import jax
import numpy as np
from absl.testing import absltest

from facejax.data.archives import open_archive
from facejax.data.bin_writing import write_bin
from facejax.data.protocols import read_lfw_pairs
from facejax.errors import DataError, UsageError
from facejax.evaluation import protocols, sources
from facejax.evaluation.evaluators import PairEvaluator
from tests.evaluation import faces


class Drawn:
  """Six people of four images, as a source with random access."""

  def __len__(self):
    return faces.NUM_PEOPLE * faces.NUM_IMAGES

  def __getitem__(self, index):
    person, image = divmod(index, faces.NUM_IMAGES)
    return {'image': faces.crop(person, image), 'label': person}


class EvaluatorsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    self.root = faces.write_folder(self.create_tempdir().full_path)
    self.pairs = faces.write_lfw_list(os.path.join(self.root, 'list.txt'))
    self.model = faces.PixelModel()

  def embed(self, images):
    return self.model.embed(images, normalize=False)

  def test_it_measures_what_the_protocol_measures(self):
    source = sources.ModelSource(self.model, self.root, batch_size=7)
    for mode in ('insightface', 'sphereface', 'plain'):
      report = protocols.evaluate(
        'lfw', source, pairs=self.pairs, mode=mode
      ).result
      measured = PairEvaluator(
        self.root, self.pairs, mode=mode, batch_size=7
      ).run(self.embed)
      self.assertEqual(
        measured,
        {
          'accuracy': report['accuracy'],
          'auc': report['auc'],
          'tar_at_far_1e-1': report['tar_at_far']['1e-1'],
        },
      )

  def test_a_bin_brings_its_own_pairs(self):
    path = os.path.join(self.create_tempdir().full_path, 'faces.bin')
    pairs = read_lfw_pairs(self.pairs)
    write_bin(path, open_archive(self.root), pairs, where=self.root)
    measured = PairEvaluator(path, batch_size=7).run(self.embed)
    expected = PairEvaluator(self.root, pairs, batch_size=7).run(self.embed)
    self.assertEqual(measured['auc'], expected['auc'])
    with self.assertRaisesRegex(UsageError, 'brings no pairs'):
      PairEvaluator(self.root)

  def test_lists_of_every_form_serve(self):
    pairs = read_lfw_pairs(self.pairs)
    expected = PairEvaluator(self.root, pairs, batch_size=7).run(self.embed)
    rows = list(zip(pairs.names_a, pairs.names_b, pairs.same, strict=True))
    for text in (
      '\n'.join(f'{a} {b} {2 * same - 1}' for a, b, same in rows),
      '\n'.join(f'{int(same)} {a} {b}' for a, b, same in rows),
      '\n'.join(f'{a} {int(same)}\n{b} {int(same)}' for a, b, same in rows),
    ):
      path = self.create_tempfile(content=text).full_path
      measured = PairEvaluator(self.root, path, batch_size=7).run(self.embed)
      self.assertEqual(measured['auc'], expected['auc'])

  def test_every_call_has_the_full_batch(self):
    evaluator = PairEvaluator(
      self.root, read_lfw_pairs(self.pairs), mode='plain', batch_size=10
    )
    evaluator.run(jax.jit(lambda x: x.reshape(10, -1)[:, :64] / 255))
    evaluator.run(self.embed)
    self.assertEqual(self.model.shapes, [((10, 112, 112, 3), 'uint8')] * 3)

  def test_images_in_memory_serve_as_well(self):
    labels = np.repeat(np.arange(2), 2)
    images = np.stack([faces.crop(p, i) for p in (0, 1) for i in (0, 1)])
    evaluator = PairEvaluator.from_images(
      images,
      np.array([0, 0, 2, 1]),
      np.array([1, 2, 3, 3]),
      np.array([1, 0, 1, 0], bool),
      np.array([0, 0, 1, 1]),
      batch_size=4,
    )
    perfect = evaluator.run(lambda x: np.eye(3, dtype=np.float32)[labels])
    self.assertEqual(perfect, {'accuracy': 1.0, 'auc': 1.0})

  def test_a_finer_set_reports_the_rate_of_training(self):
    count = 1000
    images = np.zeros((2, 112, 112, 3), np.uint8)
    same = np.arange(2 * count) < count
    folds = np.arange(2 * count) % 2
    evaluator = PairEvaluator.from_images(
      images,
      np.zeros(2 * count, int),
      np.where(same, 0, 1),
      same,
      folds,
      batch_size=2,
    )
    measured = evaluator.run(lambda x: np.eye(2, dtype=np.float32))
    self.assertEqual(
      measured, {'accuracy': 1.0, 'auc': 1.0, 'tar_at_far_1e-3': 1.0}
    )

  def test_a_source_of_faces_gives_its_own_pairs(self):
    evaluator = PairEvaluator.from_faces(
      Drawn(), num_pairs=60, seed=1, batch_size=8
    )
    measured = evaluator.run(self.embed)
    self.assertGreater(measured['accuracy'], 0.9)
    self.assertGreater(measured['tar_at_far_1e-1'], 0.9)
    self.assertEqual(measured, evaluator.run(self.embed))

  def test_a_training_that_diverged_names_the_image(self):
    evaluator = PairEvaluator(self.root, self.pairs, batch_size=8)
    with self.assertRaisesRegex(DataError, 'P0/P0_0001.jpg is not finite'):
      evaluator.run(lambda x: np.full((8, 4), np.nan, np.float32))

  def test_modes_that_a_training_cannot_serve_are_refused_at_once(self):
    with self.assertRaisesRegex(UsageError, 'centred'):
      PairEvaluator('/nowhere', '/nowhere', mode='centred')
    with self.assertRaisesRegex(UsageError, 'use one of insightface'):
      PairEvaluator('/nowhere', '/nowhere', mode='cosine')


if __name__ == '__main__':
  absltest.main()
