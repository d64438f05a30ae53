"""The evaluator that tells when a training overfits."""

import os
import pathlib

import chex
import numpy as np
import pytest
from absl.testing import parameterized

from facejax.errors import DataError, UsageError
from facejax.evaluation.held_out_identification import IdentificationEvaluator
from facejax.evaluation.identification.ranks import cmc, ranks_of_mates
from facejax.models.face_net import FaceOutputs
from tests.evaluation import faces
from tests.preparation import face_sets


class Net:
  """A net with a hash layer, or without one; keeps the shapes of its calls."""

  def __init__(self, bits=0):
    self.model = faces.PixelModel()
    self.planes = np.random.default_rng(1).normal(size=(16, bits or 1))
    self.bits = bits

  def __call__(self, images):
    embeddings = self.model.embed(images, normalize=False)
    logits = embeddings @ self.planes.astype(np.float32) if self.bits else None
    return FaceOutputs(embeddings, logits)


def naive(gallery, probes, mates, scale):
  """(rank1, loss) one probe at a time, in double precision."""
  unit = [
    x.astype(np.float64) / np.linalg.norm(x, axis=1, keepdims=True)
    for x in (gallery, probes)
  ]
  found, losses = [], []
  for probe, mate in zip(unit[1], mates, strict=True):
    cosines = np.array([person @ probe for person in unit[0]])
    found.append(all(cosines[mate] > np.delete(cosines, mate)))
    odds = np.exp(scale * cosines)
    losses.append(-np.log(odds[mate] / odds.sum()))
  return np.mean(found), np.mean(losses)


class IdentificationEvaluatorTest(chex.TestCase):
  @pytest.fixture(autouse=True)
  def _fixtures(self, tmp_path):
    self.tmp_path = tmp_path

  def _folder(self):
    return faces.write_folder(str(self.tmp_path / 'faces'))

  def test_everybodys_first_image_is_enrolled_and_all_others_looked_up(self):
    evaluator = IdentificationEvaluator(self._folder(), batch_size=7)
    self.assertEqual(evaluator.identities, [f'P{i}' for i in range(6)])
    self.assertLen(evaluator.images, 24)
    np.testing.assert_array_equal(evaluator.mates, np.repeat(np.arange(6), 3))
    net = Net()
    measured = evaluator.run(net)
    embeddings = net.model.embed(evaluator.images, normalize=False)
    rank1, loss = naive(embeddings[:6], embeddings[6:], evaluator.mates, 30.0)
    self.assertEqual(set(measured), {'rank1', 'loss'})
    self.assertEqual(measured['rank1'], rank1)
    np.testing.assert_allclose(measured['loss'], loss, rtol=1e-5)
    self.assertEqual(measured, evaluator.run(net))
    self.assertEqual({shape for shape, _ in net.model.shapes[:4]},
                     {(7, 112, 112, 3)})  # fmt: skip

  @parameterized.parameters(1.0, 64.0)
  def test_the_loss_is_that_of_a_softmax_over_the_people(self, scale):
    evaluator = IdentificationEvaluator(
      self._folder(), scale=scale, batch_size=12
    )
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(24, 5)).astype(np.float32)
    batches = iter(np.split(rows, 2))
    measured = evaluator.run(lambda images: FaceOutputs(next(batches), None))
    expected = naive(rows[:6], rows[6:], evaluator.mates, scale)
    np.testing.assert_allclose(measured['loss'], expected[1], rtol=1e-5)
    self.assertEqual(measured['rank1'], expected[0])
    self.assertBetween(measured['rank1'], 0, 0.9)

  def test_a_hash_layer_is_measured_by_its_codes(self):
    evaluator = IdentificationEvaluator(self._folder(), batch_size=8)
    net = Net(bits=16)
    measured = evaluator.run(net)
    bits = net(evaluator.images).logits > 0
    distances = (bits[6:, None] != bits[None, :6]).sum(-1)
    ranks = ranks_of_mates(-1.0 * distances, evaluator.mates, np.arange(6))
    self.assertEqual(measured['hash_rank1'], cmc(ranks)[0])
    self.assertBetween(measured['hash_rank1'], 0.2, 1)
    plain = evaluator.run(Net())
    self.assertEqual(plain, {k: measured[k] for k in ('rank1', 'loss')})

  def test_codes_that_are_all_alike_find_nobody(self):
    evaluator = IdentificationEvaluator(self._folder(), batch_size=8)
    same = FaceOutputs(np.ones((8, 4), np.float32), np.ones((8, 8), np.float32))
    measured = evaluator.run(lambda images: same)
    self.assertEqual((measured['rank1'], measured['hash_rank1']), (0.0, 0.0))
    np.testing.assert_allclose(measured['loss'], np.log(6), rtol=1e-6)

  def test_folder_zip_and_prepared_set_give_the_same(self):
    people = {'ann': 3, 'bob': 1, 'eve': 2}
    folder = face_sets.write_folder(self.tmp_path / 'folder', people)
    archive = face_sets.write_zip(
      self.tmp_path / 'people.zip', face_sets.members(people)
    )
    prepared = face_sets.write_set(self.tmp_path, people)
    first, *others = [
      IdentificationEvaluator(data, batch_size=4)
      for data in (folder, archive, prepared)
    ]
    # Bob has no second image: he is enrolled and nobody looks for him.
    np.testing.assert_array_equal(first.mates, [0, 0, 2])
    for other in others:
      self.assertEqual(list(other.identities), ['ann', 'bob', 'eve'])
      np.testing.assert_array_equal(other.images, first.images)
      np.testing.assert_array_equal(other.mates, first.mates)

  def test_probes_can_be_fewer_spread_over_all(self):
    evaluator = IdentificationEvaluator(self._folder(), max_probes=6)
    self.assertLen(evaluator.images, 12)
    self.assertEqual((evaluator.mates[0], evaluator.mates[-1]), (0, 5))
    self.assertGreater(len(set(evaluator.mates.tolist())), 4)

  def test_embeddings_that_are_no_numbers_are_an_error(self):
    evaluator = IdentificationEvaluator(self._folder(), batch_size=24)
    spoilt = np.full((24, 4), np.nan, np.float32)
    with self.assertRaisesRegex(DataError, 'the training has diverged'):
      evaluator.run(lambda images: FaceOutputs(spoilt, None))

  @parameterized.parameters(
    ({'ann': 3}, {}, DataError, 'needs several people'),
    ({'ann': 1, 'bob': 1}, {}, DataError, 'one image only'),
    ({'ann': 2, 'bob': 1}, {'max_probes': 0}, UsageError, 'max_probes=0: use'),
    ({'ann': 2, 'bob': 1}, {'scale': -1.0}, UsageError, r'scale=-1.0: use'),
    ({}, {}, DataError, 'has no images'),
  )
  def test_what_cannot_be_identified_is_refused(
    self, people, fields, error, message
  ):
    folder = self.tmp_path / 'people'
    os.makedirs(folder)
    with self.assertRaisesRegex(error, message):
      IdentificationEvaluator(face_sets.write_folder(folder, people), **fields)

  def test_a_set_of_another_size_is_refused(self):
    folder = pathlib.Path(face_sets.write_set(self.tmp_path, {'a': 2, 'b': 2}))
    manifest = folder / 'manifest.json'
    text = manifest.read_text().replace('112', '128')
    manifest.write_text(text)
    with self.assertRaisesRegex(DataError, 'aligned faces of 112x112'):
      IdentificationEvaluator(folder)
