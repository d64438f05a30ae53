"""Exhaustive search and ranked candidates: the same scores to the bit."""

import chex
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.search import scan
from facejax.search.vectors import DTYPES, StoredVectors, store_vectors
from tests.search import galleries


def every_row(num_probes, num_rows):
  return np.tile(np.arange(num_rows), (num_probes, 1))


def near_ties(rng, count, size):
  """Vectors a rounding apart from a few, many of them equal."""
  kinds = galleries.draw_vectors(rng, 5, size)
  vectors = kinds[rng.integers(0, 5, count)]
  places = rng.integers(0, size, count)
  steps = rng.integers(-2, 3, count) * np.float32(2**-24)
  vectors[np.arange(count), places] += steps
  return vectors


class TopCosineTest(chex.TestCase):
  def assert_same(self, found, expected):
    self.assertEqual(found[0].dtype, np.float32)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])

  @parameterized.product(dtype=DTYPES, num_probes=(1, 9), size=(64, 100))
  def test_scores_are_cosines(self, dtype, num_probes, size):
    rng = np.random.default_rng(size)
    vectors = store_vectors(galleries.draw_vectors(rng, 5000, size), dtype)
    probes = galleries.draw_vectors(rng, num_probes, size)
    removed = rng.random(5000) < 0.2
    found = scan.top_cosine(
      probes, vectors, 40, removed=removed, platform='cpu'
    )
    decoded = vectors.decode(slice(None)).astype(np.float64)
    costs, rows = galleries.best(-probes @ decoded.T, 40, np.inf, removed)
    np.testing.assert_allclose(found[0], -costs, atol=2e-7)
    # Scores closer than the rounding may change places; these do not.
    np.testing.assert_array_equal(found[1], rows)

  @parameterized.product(dtype=DTYPES, num_probes=(2, 12))
  def test_all_rows_as_candidates_give_the_search(self, dtype, num_probes):
    rng = np.random.default_rng(1)
    embeddings = near_ties(rng, 6000, 128)
    vectors = store_vectors(embeddings, dtype)
    probes = embeddings[rng.integers(0, 6000, num_probes)]
    for k in (1, 100, 6001):
      found = scan.top_cosine(probes, vectors, k, platform='cpu')
      candidates = rng.permuted(every_row(num_probes, 6000), axis=1)
      ranked = scan.rank_candidates(probes, vectors, candidates, k)
      self.assert_same(ranked, found)

  @settings(max_examples=25, deadline=None)
  @given(st.data())
  def test_any_gallery_of_near_ties(self, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.integers(0, 300))
    size = data.draw(st.sampled_from([1, 2, 3, 7, 128]))
    embeddings = near_ties(rng, max(count, 1), size)[:count]
    vectors = store_vectors(embeddings, 'float32')
    num_probes = data.draw(st.integers(0, 8))
    probes = galleries.draw_vectors(rng, num_probes, size)
    k = data.draw(st.integers(1, 320))
    found = scan.top_cosine(probes, vectors, k, platform='cpu')
    all_rows = every_row(num_probes, count)
    ranked = scan.rank_candidates(probes, vectors, all_rows, count + 1)
    scores, rows = (array[:, :count] for array in ranked)
    # By the scores of the pairs themselves: best first, ties to the lower row.
    by_row = np.take_along_axis(scores, np.argsort(rows, axis=1), axis=1)
    costs, expected = galleries.best(-by_row, k, np.inf)
    self.assert_same(found, (-costs, expected))

  def test_equal_rows_go_by_their_number(self):
    rng = np.random.default_rng(2)
    one = galleries.draw_vectors(rng, 1, 64)
    vectors = store_vectors(np.repeat(one, 5000, axis=0), 'float16')
    for count in (1, 10):
      probes = galleries.draw_vectors(rng, count, 64)
      _, rows = scan.top_cosine(probes, vectors, 70, platform='cpu')
      np.testing.assert_array_equal(rows, every_row(count, 70))

  def test_a_batch_changes_no_bit(self):
    rng = np.random.default_rng(3)
    vectors = store_vectors(galleries.draw_vectors(rng, 9000, 96), 'int8')
    probes = galleries.draw_vectors(rng, 40, 96)
    together = scan.top_cosine(probes, vectors, 5, platform='cpu')
    for i in range(0, 40, 13):
      alone = scan.top_cosine(probes[i : i + 1], vectors, 5, platform='cpu')
      self.assert_same(alone, [array[i : i + 1] for array in together])

  def test_maps_of_files_and_views_are_searched_as_they_are(self):
    rng = np.random.default_rng(4)
    embeddings = galleries.draw_vectors(rng, 5000, 64)
    vectors = store_vectors(embeddings, 'float16')
    path = self.create_tempfile().full_path
    vectors.values.tofile(path)
    mapped = np.memmap(path, np.float16, 'r', 0, (5000, 64))
    wide = np.zeros((10_000, 70), np.float16)
    wide[::2, :64] = vectors.values
    candidates = rng.integers(-1, 5000, (8, 60))
    for count in (2, 8):
      probes = embeddings[:count]
      expected = scan.top_cosine(probes, vectors, 9, platform='cpu')
      ranked = scan.rank_candidates(probes, vectors, candidates[:count], 9)
      for values in (mapped, wide[::2, :64]):
        other = StoredVectors(values)
        found = scan.top_cosine(probes, other, 9, platform='cpu')
        self.assert_same(found, expected)
        found = scan.rank_candidates(probes, other, candidates[:count], 9)
        self.assert_same(found, ranked)


class RankCandidatesTest(chex.TestCase):
  def test_scores_of_known_vectors(self):
    values = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 1]], np.float32)
    probes = np.array([[0, 1]], np.float32)
    candidates = np.array([[-1, 3, 2, 1, 3, 0]])
    scores, rows = scan.rank_candidates(
      probes, StoredVectors(values), candidates, 6
    )
    self.assertEqual(rows.tolist(), [[1, 3, 2, 0, -1, -1]])
    np.testing.assert_array_equal(
      scores, np.float32([[1, 1, 0.8, 0, -np.inf, -np.inf]])
    )

  def test_no_candidates_give_padding(self):
    vectors = StoredVectors(np.eye(3, dtype=np.float32))
    probes = np.eye(3, dtype=np.float32)[:2]
    for candidates in (np.full((2, 4), -1), np.zeros((2, 0), np.int64)):
      scores, rows = scan.rank_candidates(probes, vectors, candidates, 2)
      self.assertEqual(rows.tolist(), [[-1, -1]] * 2)
      self.assertTrue(np.isneginf(scores).all())


if __name__ == '__main__':
  absltest.main()
