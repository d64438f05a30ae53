"""Bits and bytes of codes, by hand."""

import chex
import numpy as np
from absl.testing import absltest

from facejax.evaluation.two_stage import codes
from facejax.ops import hamming
from facejax.search.vectors import store_vectors

# Bits of four codes: one is always set, two are opposite, one tells nothing of
# them, and the other four copy them.
SIGNS = np.array(
  [
    [1, 1, -1, 1, 1, 1, -1, 1],
    [1, 1, -1, -1, 1, 1, -1, -1],
    [1, -1, 1, 1, 1, -1, 1, 1],
    [1, -1, 1, -1, 1, -1, 1, -1],
  ],
  np.float32,
)


class CodesTest(chex.TestCase):
  def test_statistics_of_bits_by_hand(self):
    found = codes.describe_bits(SIGNS)
    self.assertEqual(found['bits'], 8)
    self.assertEqual(found['balance'], 2 / 8)
    self.assertEqual(found['entropy'], 6 / 8)
    # Of 28 pairs six among the four of the second bit, one of the fourth.
    self.assertAlmostEqual(found['correlation'], 7 / 28)
    self.assertEqual(found['distinct_codes'], 4)

  def test_even_independent_bits_are_the_best_there_are(self):
    numbers = np.arange(256)[:, None] >> np.arange(8) & 1
    found = codes.describe_bits(np.where(numbers, 0.3, -2.0))
    self.assertEqual((found['balance'], found['entropy']), (0, 1))
    self.assertAlmostEqual(found['correlation'], 0)
    self.assertEqual(found['distinct_codes'], 256)

  def test_a_zero_is_no_bit_and_packing_is_that_of_the_models(self):
    logits = np.random.default_rng(0).normal(size=(5, 24)).astype(np.float32)
    logits[0, :3] = 0
    np.testing.assert_array_equal(
      codes.pack_codes(logits), hamming.pack_bits(logits)
    )

  def test_bytes_are_those_that_are_stored(self):
    found = codes.describe_bytes(128, 6, 10)
    self.assertEqual(found['bytes_per_template']['code'], 16)
    self.assertEqual(found['gallery_bytes']['code'], 160)
    vectors = np.eye(6, dtype=np.float32)
    for name, count in found['bytes_per_template'].items():
      if name != 'code':
        stored = store_vectors(vectors, name)
        size = stored.values.nbytes
        size += 0 if stored.factors is None else stored.factors.nbytes
        self.assertEqual(size, 6 * count, name)


if __name__ == '__main__':
  absltest.main()
