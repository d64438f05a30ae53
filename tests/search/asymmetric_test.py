"""Exact asymmetric search against sums in float64."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.search import asymmetric, scan
from tests.search import galleries


def naive_scores(logits, codes):
  scores = logits.astype(np.float64) @ galleries.signs(codes).T
  return scores.astype(np.float32)


def naive(logits, codes, k, removed=None):
  scores = naive_scores(logits, codes)
  costs, rows = galleries.best(-scores, k, np.inf, removed)
  return -costs, rows


class TopAsymmetricTest(chex.TestCase):
  def assert_found(self, found, expected):
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=2e-7)

  def test_scores_of_known_codes(self):
    codes = np.array([[0b1111_1111], [0], [0b1], [0b1]], np.uint8)
    logits = np.array([[4, -1, -1, -1, 0, 0, 0, 0]], np.float32)
    scores, rows = scan.top_asymmetric(logits, codes, 5, platform='cpu')
    self.assertEqual(scores.tolist(), [[7, 7, 1, -1, -np.inf]])
    self.assertEqual(rows.tolist(), [[2, 3, 0, 1, -1]])

  @parameterized.parameters(8, 48, 64, 128, 512)
  def test_it_agrees_with_sums_in_float64(self, bits):
    rng = np.random.default_rng(bits)
    codes = galleries.draw_codes(rng, 1200, bits)
    logits = rng.standard_normal((6, bits)).astype(np.float32)
    removed = rng.random(1200) < 0.3
    for k in (1, 50, 1200):
      found = scan.top_asymmetric(
        logits, codes, k, removed=removed, platform='cpu'
      )
      self.assert_found(found, naive(logits, codes, k, removed))

  @parameterized.parameters(1e-30, 1e30)
  def test_any_scale_of_the_logits(self, scale):
    rng = np.random.default_rng(3)
    codes = galleries.draw_codes(rng, 500, 64)
    logits = (rng.standard_normal((3, 64)) * scale).astype(np.float32)
    found = scan.top_asymmetric(logits, codes, 20, platform='cpu')
    self.assert_found(found, naive(logits, codes, 20))

  def test_one_great_logit_leaves_the_order_of_the_others_exact(self):
    rng = np.random.default_rng(4)
    codes = galleries.draw_codes(rng, 3000, 64)
    logits = rng.standard_normal((4, 64)).astype(np.float32)
    logits[:, 7] = 1000
    found = scan.top_asymmetric(logits, codes, 60, platform='cpu')
    self.assert_found(found, naive(logits, codes, 60))

  def test_logits_of_one_size_give_the_hamming_order(self):
    rng = np.random.default_rng(5)
    codes = galleries.draw_codes(rng, 2000, 128)
    probes = galleries.draw_codes(rng, 3, 128)
    logits = galleries.signs(probes).astype(np.float32)
    scores, rows = scan.top_asymmetric(logits, codes, 100, platform='cpu')
    expected = scan.top_hamming(probes, codes, 100, platform='cpu')
    np.testing.assert_array_equal(rows, expected[1])
    np.testing.assert_array_equal(scores, 128 - 2 * expected[0])

  def test_logits_of_zero_tie_every_row(self):
    codes = galleries.draw_codes(np.random.default_rng(6), 300, 64)
    logits = np.zeros((1, 64), np.float32)
    scores, rows = scan.top_asymmetric(logits, codes, 9, platform='cpu')
    self.assertEqual(scores.tolist(), [[0] * 9])
    self.assertEqual(rows.tolist(), [list(range(9))])

  def test_an_empty_gallery_gives_padding(self):
    logits = np.ones((2, 64), np.float32)
    codes = np.zeros((0, 8), np.uint8)
    scores, rows = scan.top_asymmetric(logits, codes, 2, platform='cpu')
    self.assertEqual(rows.tolist(), [[-1, -1]] * 2)
    self.assertTrue(np.isneginf(scores).all())

  def test_candidates_get_the_scores_of_the_search(self):
    rng = np.random.default_rng(7)
    codes = galleries.draw_codes(rng, 400, 128)
    logits = rng.standard_normal((3, 128)).astype(np.float32)
    rows = np.stack([rng.permutation(400) for _ in range(3)])
    ranked = asymmetric.rank_codes(logits, codes, rows, 30)
    found = scan.top_asymmetric(logits, codes, 30, platform='cpu')
    np.testing.assert_array_equal(ranked[0], found[0])
    np.testing.assert_array_equal(ranked[1], found[1])


if __name__ == '__main__':
  absltest.main()
