"""Counted, largest and best scores against sorting all of them."""

from unittest import mock

import chex
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.errors import DataError
from facejax.evaluation.scoring import impostors, keys, tail
from facejax.evaluation.scoring.impostors import ImpostorScores
from facejax.parallel.mesh import make_mesh
from tests.evaluation.scoring import feature_sets
from tests.evaluation.scoring.feature_sets import (
  FEATURES,
  naive_pairs,
  sort_pairs,
)

LABELS = feature_sets.people()


def mesh(count=1):
  return make_mesh(devices=jax.devices()[:count])


def scores_of(kind='fine', *, devices=1):
  return ImpostorScores(FEATURES[kind], LABELS, mesh=mesh(devices))


class ImpostorScoresTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    # Several calls for 700 images, with one device and with eight.
    self.enter_context(mock.patch.object(impostors, '_CPU_GROUPS', 1))

  def check(self, found, expected):
    for field, array in zip(tail.Tail._fields, expected, strict=True):
      np.testing.assert_array_equal(getattr(found, field), array)

  @parameterized.parameters(
    *((kind, 1) for kind in FEATURES), ('fine', 8), ('duplicates', 8)
  )
  def test_counts_tail_and_ranks_equal_sorting(self, kind, devices):
    scores = scores_of(kind, devices=devices)
    rows, columns, falling = naive_pairs(FEATURES[kind], LABELS)
    self.assertEqual(scores.count_pairs(), len(falling))
    kept = scores.collect(counts=True, tail=1000)
    self.check(kept.tail, (rows[:1000], columns[:1000], falling[:1000]))
    classes = np.asarray(keys.classes(jnp.asarray(falling)))
    expected = np.bincount(classes, minlength=keys.NUM_CLASSES)
    np.testing.assert_array_equal(kept.counts, expected)
    self.assertIsNone(kept.best)
    ranks = [1, 1001, len(falling) // 2, len(falling)]
    exact, greater = scores.largest(ranks, kept.counts)
    np.testing.assert_array_equal(exact, falling[np.array(ranks) - 1])
    self.assertListEqual(
      list(greater), [int((falling > score).sum()) for score in exact]
    )

  @parameterized.parameters(1, 10**5, 10**9)
  def test_a_tail_of_one_of_many_or_of_all_is_exact(self, count):
    expected = naive_pairs(FEATURES['coarse'], LABELS)
    kept = scores_of('coarse').collect(tail=count)
    self.check(kept.tail, [array[:count] for array in expected])
    self.assertIsNone(kept.counts)

  @parameterized.product(counts=(False, True), kind=('fine', 'equal'))
  def test_a_guess_that_is_too_high_costs_time_alone(self, counts, kind):
    expected = naive_pairs(FEATURES[kind], LABELS)
    with mock.patch.object(impostors, 'guess_floor', return_value=9.0):
      kept = scores_of(kind).collect(counts=counts, tail=1000)
    self.check(kept.tail, [array[:1000] for array in expected])
    if counts:
      self.assertEqual(kept.counts.sum(), len(expected[0]))

  def test_a_crowded_call_gets_the_room_it_needs(self):
    expected = naive_pairs(FEATURES['duplicates'], LABELS)
    with (
      mock.patch.object(impostors, 'room_for', return_value=8),
      mock.patch.object(tail, '_LEAST_ROOM', 8),
    ):
      kept = scores_of('duplicates').collect(counts=True, tail=1000)
    self.check(kept.tail, [array[:1000] for array in expected])
    # What a call is asked again counts once.
    self.assertEqual(kept.counts.sum(), len(expected[0]))

  # After so many calls, the best of rows are sought where the tail is.
  @parameterized.product(devices=(1, 8), rare=(1, 16))
  def test_blocks_of_any_size_give_what_one_gives(self, devices, rare):
    self.enter_context(mock.patch.object(impostors, '_RARE', rare))
    rows, labels = feature_sets.grid(90, seed=1), np.arange(90)
    columns, others = FEATURES['coarse'], np.arange(700) + 1000
    others[::50] = -1  # they count nowhere
    sizes = np.cumsum([0, 1, 63, 0, 200, 7, 300, 129])

    def blocks():
      for start, stop in zip(sizes, sizes[1:], strict=False):
        yield columns[start:stop], others[start:stop]

    scores = ImpostorScores(rows, labels, blocks, 700, mesh(devices))
    kept = scores.collect(counts=True, tail=500, best=3)
    all_scores = np.where(others >= 0, rows @ columns.T, -np.inf)
    at = np.nonzero(np.isfinite(all_scores))
    expected = sort_pairs(*at, all_scores[at])
    self.check(kept.tail, [array[:500] for array in expected])
    self.assertEqual(kept.counts.sum(), 90 * 686)
    np.testing.assert_array_equal(
      kept.best, -np.sort(-all_scores, axis=1)[:, :3]
    )
    exact, _ = scores.largest([40_000], kept.counts)
    np.testing.assert_array_equal(exact, expected[2][39_999])

  def test_rows_with_few_scores_have_infinities_for_best(self):
    rows, columns = feature_sets.grid(3), feature_sets.grid(2, seed=1)
    scores = ImpostorScores(
      rows,
      np.array([0, 1, 2]),
      lambda: [(columns, np.array([2, 3]))],
      2,
      mesh(),
    )
    best = scores.collect(best=3).best
    expected = -np.sort(-(rows @ columns.T), axis=1)
    np.testing.assert_array_equal(best[:2, :2], expected[:2])
    self.assertEqual(best[2, 0], (rows @ columns.T)[2, 1])
    self.assertEqual(np.isinf(best).sum(), 1 + 1 + 2)

  def test_unit_features_agree_on_any_devices_to_their_rounding(self):
    features = np.random.default_rng(0).normal(size=(700, 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    features = features.astype(np.float32)
    one, eight = (
      ImpostorScores(features, LABELS, mesh=mesh(devices)).collect(
        counts=True, tail=300
      )
      for devices in (1, 8)
    )
    # A sum of 8 products rounds 15 times, by at most 2^-24 each.
    np.testing.assert_allclose(
      one.tail.scores, eight.tail.scores, rtol=0, atol=16 * 2**-24
    )
    expected = naive_pairs(features.astype(np.float64), LABELS)[2][:300]
    np.testing.assert_allclose(
      one.tail.scores, expected, rtol=0, atol=16 * 2**-24
    )

  @hypothesis.settings(deadline=None, max_examples=25)
  @hypothesis.given(st.data())
  def test_small_sets_of_any_people_equal_sorting(self, data):
    count = data.draw(st.integers(2, 40))
    seed = data.draw(st.integers(0, 999))
    features = feature_sets.grid(count, steps=2, seed=seed)
    labels = feature_sets.people(count, images=3, seed=seed)
    hypothesis.assume(len(np.unique(labels)) > 1)
    expected = naive_pairs(features, labels)
    size = data.draw(st.integers(1, len(expected[0]) + 1))
    scores = ImpostorScores(features, labels, mesh=mesh())
    kept = scores.collect(counts=True, tail=size)
    self.check(kept.tail, [array[:size] for array in expected])
    rank = data.draw(st.integers(1, len(expected[0])))
    (exact,), _ = scores.largest([rank], kept.counts)
    self.assertEqual(exact, expected[2][rank - 1])

  def test_one_person_alone_is_refused(self):
    scores = ImpostorScores(feature_sets.grid(5), np.zeros(5, int))
    self.assertEqual(scores.count_pairs(), 0)
    with self.assertRaisesRegex(DataError, 'one person'):
      scores.collect(counts=True)

  def test_guesses_let_somewhat_more_than_the_share_pass(self):
    block = (FEATURES['fine'], LABELS)
    falling = naive_pairs(*block)[2]
    for share in (0.001, 0.01, 0.2):
      floor = tail.guess_floor(block, block, share)
      self.assertBetween((falling >= floor).mean(), share, 1.3 * share + 5e-4)
    self.assertEqual(tail.guess_floor(block, block, 1.0), tail.LOWEST)


if __name__ == '__main__':
  absltest.main()
