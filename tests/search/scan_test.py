"""What the entrance of the search refuses, and the whole of two stages."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.search import checks, scan, selection
from facejax.search.vectors import store_vectors
from tests.search import galleries

CODES = np.zeros((5, 8), np.uint8)
VECTORS = store_vectors(np.eye(5, dtype=np.float32), 'float32')
LOGITS = np.ones((2, 64), np.float32)
PROBES = np.eye(5, dtype=np.float32)[:2]


class ScanTest(chex.TestCase):
  @parameterized.parameters(0, -1)
  def test_k_below_one_is_refused(self, k):
    for search in (
      lambda: scan.top_hamming(CODES, CODES, k),
      lambda: scan.top_asymmetric(LOGITS, CODES, k),
      lambda: scan.top_cosine(PROBES, VECTORS, k),
      lambda: scan.rank_candidates(PROBES, VECTORS, np.zeros((2, 1), int), k),
    ):
      with self.assertRaisesRegex(UsageError, 'give 1 or more'):
        search()

  def test_unknown_platforms_and_radii_are_refused(self):
    with self.assertRaisesRegex(UsageError, 'cpu, device'):
      scan.top_hamming(CODES, CODES, 1, platform='gpu')
    with self.assertRaisesRegex(UsageError, '0 or more'):
      scan.within_hamming(CODES, CODES, -1)

  @parameterized.parameters(
    (np.zeros((2, 8), np.int8), CODES, 'give uint8'),
    (np.zeros(8, np.uint8), CODES, 'give uint8'),
    (np.zeros((2, 16), np.uint8), CODES, '128 bits .* with codes of 64'),
    (CODES, np.zeros((2, 0), np.uint8), 'give uint8'),
  )
  def test_codes_that_do_not_fit_are_refused(self, probes, codes, message):
    with self.assertRaisesRegex(DataError, message):
      scan.top_hamming(probes, codes, 1)
    with self.assertRaisesRegex(DataError, message):
      scan.within_hamming(probes, codes, 1)

  @parameterized.parameters(
    (LOGITS.astype(np.float64), 'give float32'),
    (LOGITS[:, :32], '32 values .* of 64'),
    (LOGITS * np.array([[1], [np.nan]], np.float32), 'row 1 is not finite'),
    (LOGITS * np.array([[1], [1e38]], np.float32), 'row 1 are too large'),
  )
  def test_logits_that_do_not_fit_are_refused(self, logits, message):
    with self.assertRaisesRegex(DataError, message):
      scan.top_asymmetric(logits, CODES, 1)

  @parameterized.parameters(
    (PROBES[:, :3], '3 values .* of 5'),
    (PROBES / np.float32(0.5), 'row 0 has norm 2; .* unit norm'),
    (PROBES + np.float32(np.inf), 'row 0 is not finite'),
  )
  def test_probes_that_do_not_fit_are_refused(self, probes, message):
    with (
      np.errstate(invalid='ignore'),
      self.assertRaisesRegex(DataError, message),
    ):
      scan.top_cosine(probes, VECTORS, 1)
    with self.assertRaisesRegex(DataError, message):
      scan.rank_candidates(probes, VECTORS, np.zeros((2, 1), int), 1)

  def test_masks_and_candidates_that_do_not_fit_are_refused(self):
    with self.assertRaisesRegex(DataError, 'each of the 5 rows'):
      scan.top_hamming(CODES, CODES, 1, removed=np.zeros(4, bool))
    with self.assertRaisesRegex(DataError, 'each of the 5 rows'):
      scan.top_cosine(PROBES, VECTORS, 1, removed=np.zeros((5, 1), bool))
    with self.assertRaisesRegex(DataError, 'got uint8'):
      checks.check_removed(np.zeros(5, np.uint8), 5)
    for wrong in (5, -2):
      with self.assertRaisesRegex(DataError, 'give 0 to 4, or -1'):
        scan.rank_candidates(PROBES, VECTORS, np.full((2, 3), wrong), 1)
    with self.assertRaisesRegex(DataError, r'give \[2, c\]'):
      scan.rank_candidates(PROBES, VECTORS, np.zeros((3, 1), int), 1)

  @parameterized.parameters('hamming', 'asymmetric')
  def test_two_stages_over_all_rows_are_the_exhaustive_search(self, stage):
    rng = np.random.default_rng(0)
    embeddings = galleries.draw_vectors(rng, 3000, 64)
    embeddings[2000:] = embeddings[:1000]
    vectors = store_vectors(embeddings, 'float16')
    codes = np.packbits(embeddings > 0, axis=1, bitorder='little')
    probes = embeddings[990:1010]
    if stage == 'hamming':
      candidates = scan.top_hamming(codes[990:1010], codes, 3000)[1]
    else:
      candidates = scan.top_asymmetric(probes, codes, 3000)[1]
    ranked = scan.rank_candidates(probes, vectors, candidates, 10)
    found = scan.top_cosine(probes, vectors, 10)
    np.testing.assert_array_equal(ranked[0], found[0])
    np.testing.assert_array_equal(ranked[1], found[1])


class SelectionTest(chex.TestCase):
  def test_keys_order_by_score_then_row_and_give_both_back(self):
    scores = np.float32([np.inf, 1, 1, 1e-45, 0, -0.0, -1e-45, -2.5, -np.inf])
    keys = [selection.score_key(s, row) for row, s in enumerate(scores)]
    self.assertEqual(keys, sorted(set(keys)))
    array = np.array(keys, np.uint64)
    np.testing.assert_array_equal(selection.key_scores(array), scores)
    np.testing.assert_array_equal(selection.key_rows(array), np.arange(9))
    for key, score in zip(array, scores, strict=True):
      self.assertEqual(selection.key_score(key), score)

  def test_a_heap_keeps_the_least(self):
    keys = np.random.default_rng(0).permutation(500).astype(np.uint64)
    heaps = selection.make_heaps(1, 40)
    for key in keys:
      if key < heaps[0, 0]:
        selection.replace_worst(heaps[0], key)
    self.assertEqual(np.sort(heaps[0]).tolist(), list(range(40)))


if __name__ == '__main__':
  absltest.main()
