"""Hash layers trained on embeddings: batches, loss, choice, result."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.ops.linear_hash import iterative_quantization, random_hash
from facejax.training import (
  hash_batches,
  hash_features,
  hash_ranking,
  hash_retrieval,
  hash_training,
)
from facejax.training.hash_settings import HashTraining
from tests.training.virtual_people import draw_people

_FAST = HashTraining(steps=600, rounds=3, people=128)


@functools.cache
def _trained():
  """A layer of 16 bits for embeddings of 32, trained on 40 people."""
  return hash_training.train_hash(draw_people(1, people=40), 16, _FAST)


class FeaturesTest(chex.TestCase):
  def test_rows_are_sorted_by_person_numbered_anew_and_of_unit_norm(self):
    plain = np.array([[0, 2], [3, 0], [0, -4]], np.float32)
    features = hash_features.make_hash_features(
      plain, 2 * plain, np.array([7, 3, 7])
    )
    np.testing.assert_array_equal(features.labels, [0, 1, 1])
    np.testing.assert_array_equal(features.plain, [[1, 0], [0, 1], [0, -1]])
    np.testing.assert_array_equal(features.flip, features.plain)
    self.assertEqual(features.num_identities, 2)

  def test_people_are_taken_with_all_their_images(self):
    features = draw_people(0, people=4, images=3)
    taken = features.take(np.array([False, True, False, True]))
    np.testing.assert_array_equal(taken.labels, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(taken.flip[3:], features.flip[9:])

  def test_embeddings_of_no_use_are_refused(self):
    rows = np.ones((2, 4), np.float32)
    labels = np.arange(2)
    make = hash_features.make_hash_features
    with self.assertRaisesRegex(DataError, 'zero or not finite'):
      make(rows, 0 * rows, labels)
    with self.assertRaisesRegex(DataError, 'zero or not finite'):
      make(rows * np.float32(np.nan), rows, labels)


class BatchesTest(chex.TestCase):
  def test_people_who_do_not_exist_are_spread_like_those_who_do(self):
    features = draw_people(0, people=400)
    batches = hash_batches.make_batches(features, 0.0)
    a, c = batches.draw(jax.random.key(0), 8_000)
    self.assertEqual(a.shape, (8_000, 32))
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1.0, atol=1e-5)
    faces = features.plain
    np.testing.assert_allclose(np.cov(a.T), np.cov(faces.T), atol=0.01)
    # Two images of one person, and of two.
    x, y = faces.reshape(400, 6, 32)[:, 0], faces.reshape(400, 6, 32)[:, 1]
    self.assertAlmostEqual(
      float((a * c).sum(1).mean()), float((x * y).sum(1).mean()), delta=0.02
    )
    self.assertAlmostEqual(
      float((a[1:] * c[:-1]).sum(1).mean()),
      float((x[1:] * y[:-1]).sum(1).mean()),
      delta=0.02,
    )

  def test_people_differ_in_the_directions_in_which_images_differ(self):
    # Ten people span nine directions; each has some of every one.
    features = draw_people(0, people=10)
    means = features.both().reshape(2, 10, 6, 32).mean((0, 2))
    measured = np.cov(means.T)
    self.assertEqual(np.linalg.matrix_rank(measured, tol=1e-5), 9)
    covariances = []
    for shrinkage in (0.0, 0.5, 1.0):
      batches = hash_batches.make_batches(features, shrinkage)
      factor, residuals = map(np.asarray, (batches.factor, batches.residuals))
      covariances.append(factor @ factor.T)
    np.testing.assert_allclose(covariances[0], measured, atol=1e-5)
    np.testing.assert_allclose(
      covariances[1], (covariances[0] + covariances[2]) / 2, atol=1e-5
    )
    _, axes = np.linalg.eigh(residuals.T @ residuals)
    np.testing.assert_allclose(
      axes.T @ covariances[2] @ axes,
      np.diag(np.diag(axes.T @ measured @ axes)),
      atol=1e-5,
    )

  def test_residuals_stand_by_person_and_have_the_images_variance(self):
    features = draw_people(0, people=3, images=2)
    batches = hash_batches.make_batches(features, 0.5)
    np.testing.assert_array_equal(batches.starts, [0, 4, 8])
    np.testing.assert_array_equal(batches.sizes, [4, 4, 4])
    first = np.concatenate([features.plain[:2], features.flip[:2]])
    np.testing.assert_allclose(
      batches.residuals[:4], (first - first.mean(0)) * math.sqrt(4 / 3), 1e-5,
      1e-6,
    )  # fmt: skip

  def test_everybody_trains_or_judges(self):
    features = draw_people(0, people=10, images=3)
    training, held = hash_batches.hold_out(features, 0.3, max_faces=100, seed=0)
    self.assertEqual((training.num_identities, held.num_identities), (7, 3))
    rows = np.concatenate([training.plain, held.plain])
    np.testing.assert_array_equal(
      np.unique(rows, axis=0), np.unique(features.plain, axis=0)
    )
    _, few = hash_batches.hold_out(features, 0.5, max_faces=6, seed=0)
    self.assertEqual(few.num_identities, 2)

  def test_too_few_people_are_refused(self):
    with self.assertRaisesRegex(DataError, '4 people, of whom 1 would be'):
      hash_batches.hold_out(
        draw_people(0, people=4), 0.2, max_faces=100, seed=0
      )

  def test_one_and_the_same_image_is_refused(self):
    rows = np.eye(4, dtype=np.float32)
    features = hash_features.make_hash_features(rows, rows, np.arange(4))
    with self.assertRaisesRegex(DataError, 'nobody has two different images'):
      hash_batches.make_batches(features, 0.5)


class RankingTest(chex.TestCase):
  def test_the_loss_is_the_cross_entropy_of_rankings(self):
    rng = np.random.RandomState(0)
    u, v = rng.standard_normal((2, 5, 24)).astype(np.float32)
    cosines = rng.uniform(-1, 1, (5, 5)).astype(np.float32)

    def log_softmax(x):
      return x - np.log(np.exp(x).sum(1, keepdims=True))

    codes = np.where(v > 0, 1.0, -1.0)
    symmetric = math.pi / 2 * np.where(u > 0, 1.0, -1.0) @ codes.T / 24
    norms = np.linalg.norm(u, axis=1, keepdims=True)
    asymmetric = math.sqrt(math.pi / 2) * u @ codes.T / norms / math.sqrt(24)
    wanted = np.exp(log_softmax(8 * cosines))
    expected = [
      -(wanted * log_softmax(8 * similarity)).sum(1).mean()
      for similarity in (symmetric, asymmetric)
    ]
    actual = jax.jit(
      functools.partial(
        hash_ranking.ranking_loss, temperature=8.0, asymmetric_weight=0.25
      )
    )((u, v), cosines)
    self.assertAlmostEqual(
      float(actual), expected[0] + 0.25 * expected[1], places=4
    )

  def test_similarities_tell_the_cosine_of_random_hyperplanes(self):
    rng = np.random.RandomState(1)
    kernel = rng.standard_normal((3, 200_000)).astype(np.float32)
    a = np.array([[1, 0, 0]], np.float32)
    b = np.array([[0.2, np.sqrt(0.96), 0]], np.float32)
    found = hash_ranking.code_similarities(
      jnp.asarray(a @ kernel), jnp.asarray(b @ kernel)
    )
    np.testing.assert_allclose(np.squeeze(found), 0.2, atol=0.01)

  def test_the_slope_of_the_sign_is_that_of_tanh(self):
    u = jnp.array([[-2.0, -0.1, 0.0, 0.5]])
    sign = hash_ranking.sign_with_tanh_slope
    np.testing.assert_array_equal(sign(u), [[-1, -1, -1, 1]])
    np.testing.assert_allclose(
      jax.grad(lambda u: sign(u).sum())(u), 1 - np.tanh(u) ** 2, 1e-6
    )


class RetrievalTest(chex.TestCase):
  def test_mates_count_before_all_other_people(self):
    labels = np.array([0, 0, 0, 1, 1, 2])
    scores = np.array(
      [
        [9, 5, 3, 4, 0, 0],  # one of two mates is above 4
        [5, 9, 5, 5, 0, 0],  # a tie with somebody else is a loss
        [1, 1, 9, 0, 0, 0],  # both
        [0, 0, 0, 9, 2, 1],  # its one mate
        [3, 0, 0, 2, 9, 0],  # none
        [0, 0, 0, 0, 0, 9],  # has no mate
      ]
    )
    found = hash_retrieval.mate_first(
      lambda rows: scores[rows].astype(np.float32), labels
    )
    self.assertAlmostEqual(found, (0.5 + 0 + 1 + 1 + 0) / 5)

  def test_nobody_with_a_mate_is_zero(self):
    found = hash_retrieval.mate_first(
      lambda rows: np.ones((len(rows), 2), np.float32), np.arange(2)
    )
    self.assertEqual(found, 0.0)

  def test_rows_in_blocks_are_rows_at_once(self):
    features = draw_people(0, people=200)
    scores = features.plain @ features.plain.T
    naive = []
    for row, label in enumerate(features.labels):
      same = features.labels == label
      best = scores[row][~same].max()
      same[row] = False
      naive.append((scores[row][same] > best).mean())
    found = hash_retrieval.retrieval(
      features.plain, features.plain, features.labels
    )
    self.assertAlmostEqual(found['float'], float(np.mean(naive)), places=6)
    self.assertLess(found['hamming'], found['asymmetric'])
    self.assertLess(found['asymmetric'], found['float'])


class TrainingTest(chex.TestCase):
  def test_it_finds_people_never_seen_more_often_than_itq(self):
    unseen = draw_people(2, people=150)
    itq, _ = iterative_quantization(draw_people(1, people=40).both(), 16)
    found = [
      hash_retrieval.retrieval(
        unseen.plain, layer.logits(unseen.plain), unseen.labels
      )
      for layer in (itq, _trained().layer)
    ]
    for way in ('hamming', 'asymmetric'):
      self.assertGreater(found[1][way], found[0][way] * 1.02, way)

  def test_the_loss_falls_and_the_people_held_out_are_found_more_often(self):
    trained = _trained()
    steps = 200 * trained.best_round
    self.assertEqual(trained.losses.shape, (steps,))
    self.assertLess(trained.losses[-50:].mean(), trained.losses[:50].mean())
    self.assertEqual(trained.num_held_out, 12)
    self.assertLen(trained.held_out, 4)
    start, best = trained.held_out[0], trained.held_out[trained.best_round]
    self.assertGreater(best['hamming'], start['hamming'])
    self.assertEqual(best['float'], start['float'])
    self.assertEqual(trained.layer.kernel.shape, (32, 16))
    self.assertEqual(trained.layer.kernel.dtype, np.float32)

  def test_training_that_helps_nobody_leaves_the_start(self):
    # A step so small that no bit changes: the first of equals is kept.
    settings = HashTraining(
      steps=2, rounds=2, people=16, start='random', learning_rate=1e-12, seed=3
    )
    features = draw_people(1, people=40)
    trained = hash_training.train_hash(features, 16, settings)
    self.assertEqual(trained.best_round, 0)
    self.assertEmpty(trained.losses)
    np.testing.assert_array_equal(
      trained.layer.kernel, random_hash(32, 16, seed=3).kernel
    )

  @parameterized.parameters(
    (None, 32, 'itq'),
    (None, 40, 'random'),
    ('random', 32, 'random'),
    ('itq', 40, 'itq'),
  )
  def test_more_bits_than_itq_has_start_at_random(self, given, bits, start):
    settings = HashTraining(start=given, steps=7).for_layer(32, bits)
    self.assertEqual(settings, HashTraining(start=start, steps=7))

  @parameterized.parameters(
    ('steps', 0),
    ('rounds', 700),
    ('learning_rate', 0.0),
    ('temperature', float('nan')),
    ('held_out', 1.0),
    ('averaging', -0.1),
    ('start', 'pca'),
    ('asymmetric_weight', -1.0),
  )
  def test_settings_that_mean_nothing_are_refused(self, name, value):
    settings = HashTraining(**{'steps': 600, name: value})
    with self.assertRaisesRegex(UsageError, f'out of range: {name}='):
      hash_training.train_hash(draw_people(0, people=10), 16, settings)


if __name__ == '__main__':
  absltest.main()
