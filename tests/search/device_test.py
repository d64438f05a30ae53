"""Galleries on eight devices give what the CPU kernels give, to the bit."""

import chex
import jax
import numpy as np
from absl.testing import absltest, parameterized

from facejax.search import device_scan, scan
from facejax.search.device import DeviceCodes, DeviceVectors
from facejax.search.vectors import DTYPES, store_vectors
from tests.search import galleries


class DeviceCase(chex.TestCase):
  def assert_same(self, found, expected):
    for array, other in zip(found, expected, strict=True):
      self.assertEqual(array.dtype, other.dtype)
      np.testing.assert_array_equal(array, other)


class DeviceCodesTest(DeviceCase):
  @parameterized.parameters(48, 2048)
  def test_hamming_distances_and_rows_are_those_of_the_cpu(self, bits):
    rng = np.random.default_rng(bits)
    codes = galleries.draw_codes(rng, 3000, bits)
    # The greatest distance and the least: every partial sum occurs.
    codes[[7, 9]] = 0
    codes[8] = 255
    probes = np.concatenate([codes[7:9], galleries.draw_codes(rng, 3, bits)])
    found = scan.top_hamming(probes, codes, 64, platform='device')
    expected = scan.top_hamming(probes, codes, 64, platform='cpu')
    self.assert_same(found, expected)
    self.assertEqual(found[0][0, :2].tolist(), [0, 0])

  def test_a_kept_gallery_serves_many_searches(self):
    rng = np.random.default_rng(0)
    codes = galleries.draw_codes(rng, 2500, 64)
    removed = rng.random(2500) < 0.4
    other = rng.random(2500) < 0.4
    logits = rng.standard_normal((9, 64)).astype(np.float32)
    kept = DeviceCodes(codes, removed=removed)
    self.assertLen(kept, 2500)
    for mask in (None, other):
      gone = removed if mask is None else mask
      self.assert_same(
        scan.top_hamming(codes[:9], kept, 32, removed=mask),
        scan.top_hamming(codes[:9], codes, 32, removed=gone, platform='cpu'),
      )
      self.assert_same(
        scan.top_asymmetric(logits, kept, 32, removed=mask),
        scan.top_asymmetric(logits, codes, 32, removed=gone, platform='cpu'),
      )
    self.assert_same(
      scan.within_hamming(codes[:9], kept, 9),
      scan.within_hamming(codes[:9], codes, 9, removed=removed),
    )
    self.assert_same(
      scan.top_hamming(codes[:9], kept, 32, platform='cpu'),
      scan.top_hamming(codes[:9], kept, 32, platform='device'),
    )

  @parameterized.parameters(0, 1, 20)
  def test_small_galleries_are_padded(self, count):
    rng = np.random.default_rng(1)
    codes, probes = (galleries.draw_codes(rng, n, 64) for n in (count, 2))
    logits = galleries.signs(probes).astype(np.float32)
    for search, queries in (
      (scan.top_hamming, probes),
      (scan.top_asymmetric, logits),
    ):
      found = search(queries, codes, 30, platform='device')
      self.assert_same(found, search(queries, codes, 30, platform='cpu'))

  def test_several_tiles_a_device_and_ties_across_them(self):
    rng = np.random.default_rng(2)
    codes = galleries.draw_codes(rng, 140_000, 8)
    devices = jax.local_devices()[:1]
    kept = DeviceCodes(codes, devices=devices)
    found = kept.top_hamming(codes[:2], 700)
    expected = scan.top_hamming(codes[:2], codes, 700, platform='cpu')
    self.assert_same(found, expected)

  def test_a_second_search_of_the_same_size_compiles_nothing(self):
    rng = np.random.default_rng(3)
    codes = galleries.draw_codes(rng, 1000, 64)
    kept = DeviceCodes(codes)
    kept.top_hamming(codes[:5], 10)
    compiled = device_scan.scan_devices._cache_size()
    kept.top_hamming(codes[:7], 13)
    DeviceCodes(codes[:900]).top_hamming(codes[:3], 16)
    self.assertEqual(device_scan.scan_devices._cache_size(), compiled)


class DeviceVectorsTest(DeviceCase):
  @parameterized.parameters(*DTYPES)
  def test_scores_and_rows_are_those_of_the_cpu(self, dtype):
    rng = np.random.default_rng(0)
    vectors = store_vectors(galleries.draw_vectors(rng, 3000, 64), dtype)
    probes = galleries.draw_vectors(rng, 6, 64)
    removed = rng.random(3000) < 0.3
    kept = DeviceVectors(vectors, removed=removed)
    found = scan.top_cosine(probes, kept, 20)
    expected = scan.top_cosine(
      probes, vectors, 20, removed=removed, platform='cpu'
    )
    self.assert_same(found, expected)
    rows = np.tile(np.flatnonzero(~removed), (6, 1))
    self.assert_same(scan.rank_candidates(probes, kept, rows, 20), expected)

  def test_many_equal_rows_are_left_to_the_cpu_kernels(self):
    rng = np.random.default_rng(1)
    one = galleries.draw_vectors(rng, 1, 64)
    embeddings = np.repeat(one, 2000, axis=0)
    embeddings[1500:] = galleries.draw_vectors(rng, 500, 64)
    vectors = store_vectors(embeddings, 'float32')
    probes = np.concatenate([one, embeddings[1500:1502]])
    found = scan.top_cosine(probes, vectors, 20, platform='device')
    self.assert_same(
      found, scan.top_cosine(probes, vectors, 20, platform='cpu')
    )
    self.assertEqual(found[1][0].tolist(), list(range(20)))


if __name__ == '__main__':
  absltest.main()
