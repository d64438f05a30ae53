"""MegaFace against plain loops: ties, blocks, devices, noise, bad input."""

from unittest import mock

import chex
import jax
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.evaluation.megaface import challenge as megaface
from facejax.evaluation.megaface.challenge import score_megaface
from facejax.evaluation.megaface.distractors import NOBODY, PADDING, Distractors
from facejax.evaluation.megaface.refined import (
  refine_distractors,
  refine_probes,
)
from facejax.parallel.mesh import make_mesh
from tests.evaluation.naive_megaface import (
  naive_area,
  naive_point,
  naive_ranks,
)


def quarters(rng, count, dimension=16):
  """Rows whose products float32 computes exactly, with many ties."""
  return rng.integers(-1, 2, (count, dimension)).astype(np.float32) / 4


def crowd(features, block=None):
  """Distractors in memory; `block` cuts what they are read by."""
  names = [f'd/{place}' for place in range(len(features))]

  class Blocks(Distractors):
    def blocks(self, start=0, stop=None):
      for features, labels in super().blocks(start, stop):
        for at in range(0, len(labels), block or len(labels)):
          part = slice(at, at + (block or len(labels)))
          yield features[part], labels[part]

  return Blocks(names, lambda start, stop: features[start:stop])


class MegaFaceTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(0)
    # Five people with 1 to 5 images, in no order.
    self.labels = rng.permutation(np.repeat(np.arange(5), [1, 2, 3, 4, 5]))
    self.probes = quarters(rng, 15)
    self.others = quarters(rng, 230)

  def check(self, found, probes, others):
    ranks = naive_ranks(probes, self.labels, others)
    for rank, share in enumerate(found.cmc(), 1):
      self.assertAlmostEqual(share, np.mean([r <= rank for r in ranks]))
    for size, share in found.rank1_by_size.items():
      some = naive_ranks(probes, self.labels, others[:size])
      self.assertAlmostEqual(share, np.mean([r == 1 for r in some]))
    for far, at in found.pairs.points.items():
      expected = naive_point(probes, self.labels, others, far)
      np.testing.assert_allclose(at, expected, rtol=1e-12)
    area, error = found.pairs.area()
    expected = naive_area(probes, self.labels, others)
    self.assertLessEqual(abs(area - expected), error + 1e-12)

  @parameterized.parameters(None, 1, 7, 64, 97)
  def test_blocks_of_any_size_give_what_plain_loops_give(self, block):
    found = score_megaface(
      self.probes, self.labels, crowd(self.others, block), fars=[0.5, 1e-2]
    )
    self.check(found, self.probes, self.others)
    self.assertSequenceEqual(list(found.rank1_by_size), [10, 100, 230])

  def test_one_device_gives_what_eight_give(self):
    mesh = make_mesh(devices=jax.local_devices()[:1])
    self.assertLen(jax.local_devices(), 8)
    found = [
      score_megaface(self.probes, self.labels, crowd(self.others), mesh=m)
      for m in (mesh, None)
    ]
    np.testing.assert_array_equal(found[0].best, found[1].best)
    np.testing.assert_array_equal(found[0].pairs.counts, found[1].pairs.counts)
    np.testing.assert_array_equal(
      found[0].pairs.tail.scores, found[1].pairs.tail.scores
    )
    self.assertEqual(found[0].to_json(), found[1].to_json())

  def test_a_mate_as_good_as_a_distractor_is_named_first(self):
    probes = np.eye(2, dtype=np.float32)[[0, 0]]
    found = score_megaface(probes, np.array([0, 0]), crowd(probes), fars=[])
    self.assertEqual(found.cmc()[0], 1)
    better = crowd(np.array([[2, 0], [2, 0]], np.float32))
    found = score_megaface(probes, np.array([0, 0]), better, fars=[])
    self.assertSequenceEqual(found.cmc()[:4].tolist(), [0, 0, 1, 1])

  def test_a_tie_at_the_threshold_is_a_rejection(self):
    probes = np.eye(2, dtype=np.float32)[[0, 0]]
    found = score_megaface(probes, np.array([0, 0]), crowd(probes), fars=[0.25])
    at = found.pairs.points[0.25]
    self.assertEqual((at.tar, at.far, at.threshold), (0, 0, 1))

  def test_rates_beyond_the_tail_are_exact_too(self):
    rng = np.random.default_rng(1)
    probes, others = quarters(rng, 60), quarters(rng, 300)
    self.labels = np.arange(60) // 3
    with mock.patch.object(megaface, '_LONGEST_TAIL', 100):
      found = score_megaface(
        probes, self.labels, crowd(others), fars=[0.9, 0.5, 0.02, 1e-3]
      )
    self.assertLen(found.pairs.tail.scores, 100)
    self.check(found, probes, others)

  def test_single_images_count_in_verification_only(self):
    labels = np.array([0, 0, 1])
    probes = np.eye(3, dtype=np.float32)
    others = np.eye(3, dtype=np.float32)[[2, 2]]
    found = score_megaface(probes, labels, crowd(others), fars=[])
    result = found.to_json()
    self.assertEqual(result['num_identifications'], 2)
    self.assertEqual(result['num_impostors'], 6)
    self.assertEqual(found.pairs.tail.first[0], 2)

  def test_distractors_that_beat_a_mate_are_shown_once_a_person(self):
    probes = np.array([[1, 0], [0, 1], [1, 0]], np.float32)
    others = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    found = score_megaface(probes, np.array([0, 0, 0]), crowd(others), fars=[])
    worst = found.most_alike(5)
    self.assertLen(worst, 1)
    self.assertEqual(found.pairs.tail.scores[worst[0]], 1)

  def test_intervals_hold_the_rates(self):
    found = score_megaface(self.probes, self.labels, crowd(self.others))
    result = found.to_json()
    low, high = result['rank1_interval_95']
    self.assertLessEqual(low, result['rank1'])
    self.assertGreaterEqual(high, result['rank1'])
    self.assertEqual(set(result['tar_intervals_95']), {'1e-3'})

  def test_bad_input_is_refused(self):
    score = score_megaface
    with self.assertRaisesRegex(DataError, 'nobody has two probe images'):
      score(self.probes, np.arange(15), crowd(self.others))
    with self.assertRaisesRegex(DataError, '16 values, distractors 8'):
      score(self.probes, self.labels, crowd(self.others[:, :8]))
    with self.assertRaisesRegex(UsageError, '1e-06 cannot be read from 3450'):
      score(self.probes, self.labels, crowd(self.others), fars=[1e-6])


class RefinedTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(2)
    self.labels = np.array([0, 0, 0, 1, 1])
    probes = rng.normal(size=(5, 16))
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    self.probes = probes.astype(np.float32)
    self.noise = np.array([False, True, False, False, False])
    self.names = list('abcde')

  @parameterized.parameters(('facex_zoo', 1e-6), ('insightface', 5e-3))
  def test_noise_becomes_the_centre_of_the_others(self, rule, most):
    refined = refine_probes(
      self.probes, self.labels, self.noise, rule=rule, names=self.names
    )
    centre = self.probes[0] + self.probes[2]
    centre /= np.linalg.norm(centre)
    np.testing.assert_allclose(refined[1], centre, atol=most)
    self.assertAlmostEqual(float(np.linalg.norm(refined[1])), 1, places=5)
    np.testing.assert_array_equal(
      refined[~self.noise], self.probes[~self.noise]
    )
    self.assertEqual((refined[1] != centre).any(), rule == 'insightface')

  def test_a_person_of_noise_alone_is_refused(self):
    with self.assertRaisesRegex(DataError, 'person of d are in the noise'):
      refine_probes(
        self.probes,
        self.labels,
        self.labels == 1,
        rule='insightface',
        names=self.names,
      )
    with self.assertRaisesRegex(UsageError, 'insightface or facex_zoo'):
      refine_probes(
        self.probes, self.labels, self.noise, rule='x', names=self.names
      )

  @parameterized.parameters('insightface', 'facex_zoo')
  def test_refined_distractors_count_but_are_not_alike(self, rule):
    rng = np.random.default_rng(3)
    probes, others = quarters(rng, 5), quarters(rng, 40)
    noise = np.zeros(40, bool)
    noise[[3, 17, 39]] = True
    refined = refine_distractors(crowd(others), noise, rule=rule)
    found = score_megaface(probes, self.labels, refined, fars=[0.5, 0.1])
    scores = probes @ np.where(noise[:, None], 0, others).T
    if rule == 'insightface':
      scores[:, noise] = -np.inf
    for rank, share in enumerate(found.cmc(), 1):
      expected = [
        1 + (scores[j] > probes[i] @ probes[j]).sum() <= rank
        for i in range(5)
        for j in range(5)
        if i != j and self.labels[i] == self.labels[j]
      ]
      self.assertAlmostEqual(share, np.mean(expected))
    self.assertEqual(found.to_json()['num_impostors'], 200)
    falling = -np.sort(-scores.ravel())
    for rate, at in found.pairs.points.items():
      self.assertEqual(at.threshold, falling[int(rate * 200)])
      self.assertEqual(at.far, (falling > at.threshold).mean())

  def test_labels_say_what_is_scored(self):
    features = np.eye(4, dtype=np.float32)
    noise = np.array([False, True, False, False])
    refined = refine_distractors(crowd(features), noise, rule='insightface')
    ((_, labels),) = refined.blocks()
    self.assertSequenceEqual(labels.tolist(), [NOBODY, PADDING, NOBODY, NOBODY])
    self.assertEqual(refined.num_out_of_reach, 1)
    with self.assertRaisesRegex(DataError, 'none is left'):
      refine_distractors(crowd(features), ~np.zeros(4, bool), rule='facex_zoo')


if __name__ == '__main__':
  absltest.main()
