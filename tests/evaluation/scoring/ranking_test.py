"""Blocked, sharded ranking against the whole matrix of scores."""

from unittest import mock

import chex
import hypothesis
import jax
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import strategies as st

from facejax.errors import DataError
from facejax.evaluation.identification import ranks
from facejax.evaluation.scoring import ranking
from facejax.parallel.mesh import make_mesh

SIZE = 4


def draw(rng, count, *, values=2):
  """Features of few values, so that equal scores are equal exactly."""
  return rng.integers(-values, values + 1, (count, SIZE)).astype(np.float32)


def naive_matches(probes, gallery, probe_labels, gallery_labels):
  """Best mate and best other, the lower row of equal ones, and the rank."""
  scores = probes @ gallery.T
  rows = []
  for row, label in zip(scores, probe_labels, strict=True):
    found = []
    for wanted in (gallery_labels == label, gallery_labels != label):
      places = np.flatnonzero(wanted)
      best = max(places, key=lambda place: (row[place], -place), default=-1)
      found += [row[best] if len(places) else -np.inf, best]
    rows.append(found)
  columns = list(np.array(rows).T)
  return *columns, ranks.ranks_of_mates(scores, probe_labels, gallery_labels)


class RankingTest(chex.TestCase):
  def check(self, *case, **options):
    found = ranking.match_probes(*case, **options)
    for name, actual, expected in zip(
      found._fields, found, naive_matches(*case), strict=True
    ):
      np.testing.assert_array_equal(actual, expected, err_msg=name)
    return found

  @parameterized.parameters(
    # probes, gallery, people: one image each, several, many of one person.
    (37, 29, 29),
    (37, 61, 9),
    (5, 70, 2),
    (1, 1, 1),
    (70, 3, 200),
  )
  def test_matches_are_those_of_the_whole_matrix(self, num, size, people):
    rng = np.random.default_rng(num)
    gallery_labels = rng.integers(0, people, size)
    if people == size:
      gallery_labels = rng.permutation(size)
    probe_labels = rng.integers(-2, people + 2, num)
    case = draw(rng, num), draw(rng, size), probe_labels, gallery_labels
    # Small blocks: a person's images lie in several of them.
    with mock.patch.multiple(ranking, _ROWS=4, _COLUMNS=16):
      self.check(*case)
      self.check(*case, mesh=make_mesh(devices=jax.devices()[:1]))

  @hypothesis.settings(max_examples=25, deadline=None)
  @hypothesis.given(
    st.sampled_from([3, 40]),
    st.sampled_from([7, 33]),
    st.integers(1, 9),
    st.integers(0),
  )
  def test_any_small_case(self, num, size, people, seed):
    rng = np.random.default_rng(seed)
    with mock.patch.multiple(ranking, _ROWS=4, _COLUMNS=8):
      self.check(
        draw(rng, num, values=1),
        draw(rng, size, values=1),
        rng.integers(0, people, num),
        rng.integers(0, people, size),
      )

  def test_real_blocks_and_devices_change_nothing(self):
    rng = np.random.default_rng(0)
    gallery_labels = rng.integers(0, 900, 2500)
    case = (
      rng.normal(size=(600, 128)).astype(np.float32),
      rng.normal(size=(2500, 128)).astype(np.float32),
      rng.integers(0, 950, 600),
      gallery_labels,
    )
    one = ranking.match_probes(*case, mesh=make_mesh(devices=jax.devices()[:1]))
    chex.assert_trees_all_close(
      ranking.match_probes(*case, mesh=make_mesh(2, 4)), one, rtol=1e-5
    )
    np.testing.assert_array_equal(
      one.ranks, ranks.ranks_of_mates(case[0] @ case[1].T, *case[2:])
    )

  def test_the_same_image_under_another_name_ties(self):
    rng = np.random.default_rng(1)
    gallery = rng.normal(size=(1500, 64)).astype(np.float32)
    gallery[1400] = gallery[3]  # in another block than its twin
    found = ranking.match_probes(
      gallery[3][None], gallery, np.array([3]), np.arange(1500)
    )
    self.assertEqual(found.mate_scores, found.other_scores)
    self.assertEqual(found.other_index.tolist(), [1400])
    self.assertEqual(found.ranks.tolist(), [2])

  def test_one_person_alone_is_found_and_nobody_else(self):
    found = self.check(
      np.ones((2, SIZE), np.float32),
      np.ones((3, SIZE), np.float32),
      np.array([4, 5]),
      np.array([4, 4, 4]),
    )
    self.assertEqual(found.ranks.tolist(), [1, 0])
    self.assertEqual(found.other_index.tolist(), [-1, 0])
    self.assertEqual(found.mate_index.tolist(), [0, -1])

  def test_blocks_are_compiled_once(self):
    rng = np.random.default_rng(2)
    case = draw(rng, 100), draw(rng, 100), rng.integers(0, 9, (2, 100))
    with mock.patch.multiple(ranking, _ROWS=2, _COLUMNS=32):
      ranking.rank_blocks.find_best.clear_cache()
      ranking.match_probes(*case[:2], *case[2])
      self.assertEqual(ranking.rank_blocks.find_best._cache_size(), 1)

  @parameterized.parameters(
    (0, 3, 'there are no probe images'),
    (3, 0, 'there are no gallery images'),
  )
  def test_nothing_to_match_is_refused(self, num, size, message):
    with self.assertRaisesRegex(DataError, message):
      ranking.match_probes(
        np.ones((num, SIZE)), np.ones((size, SIZE)),
        np.zeros(num, int), np.zeros(size, int),
      )  # fmt: skip

  @parameterized.parameters(np.nan, np.inf)
  def test_features_that_are_not_finite_are_refused(self, value):
    for place, kind in enumerate(('probe', 'gallery')):
      features = [np.ones((3, SIZE)), np.ones((3, SIZE))]
      features[place][1, 2] = value
      with self.assertRaisesRegex(DataError, f'{kind} image 1 are not finite'):
        ranking.match_probes(*features, np.arange(3), np.arange(3))


if __name__ == '__main__':
  absltest.main()
