"""Exact Hamming search against bits counted one by one."""

import concurrent.futures

import chex
import numpy as np
from absl.testing import absltest, parameterized
from hypothesis import given, settings
from hypothesis import strategies as st

from facejax.search import codes as codes_lib
from facejax.search import compiled, scan
from tests.search import galleries


def naive(probes, codes, k, removed=None):
  worst = 8 * codes.shape[1] + 1
  found = galleries.distances(probes, codes)
  return galleries.best(found, k, worst, removed)


class TopHammingTest(chex.TestCase):
  def assert_found(self, found, expected):
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    self.assertEqual(found[0].dtype, np.int32)
    self.assertEqual(found[1].dtype, np.int64)

  def test_distances_of_known_codes(self):
    codes = np.array([[0b1111], [0], [0b1], [0b11], [0]], np.uint8)
    probes = np.array([[0b1]], np.uint8)
    distances, rows = scan.top_hamming(probes, codes, 7, platform='cpu')
    self.assertEqual(distances.tolist(), [[0, 1, 1, 1, 3, 9, 9]])
    self.assertEqual(rows.tolist(), [[2, 1, 3, 4, 0, -1, -1]])

  @parameterized.product(bits=(8, 48, 64, 128, 256, 512), num_probes=(1, 5))
  def test_it_agrees_with_counting_bits(self, bits, num_probes):
    rng = np.random.default_rng(bits)
    codes = galleries.draw_codes(rng, 1500, bits)
    probes = galleries.draw_codes(rng, num_probes, bits)
    for k in (1, 40, 1500):
      found = scan.top_hamming(probes, codes, k, platform='cpu')
      self.assert_found(found, naive(probes, codes, k))

  @settings(max_examples=40, deadline=None)
  @given(st.data())
  def test_any_gallery(self, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.integers(0, 300))
    bits = data.draw(st.sampled_from([8, 48, 64, 128]))
    # Few different codes: almost everything is a tie.
    kinds = galleries.draw_codes(rng, data.draw(st.integers(1, 9)), bits)
    codes = kinds[rng.integers(0, len(kinds), count)]
    probes = kinds[rng.integers(0, len(kinds), data.draw(st.integers(0, 6)))]
    removed = rng.random(count) < data.draw(st.sampled_from([0, 0.5, 1]))
    k = data.draw(st.integers(1, 320))
    found = scan.top_hamming(probes, codes, k, removed=removed, platform='cpu')
    self.assert_found(found, naive(probes, codes, k, removed))

  def test_falling_distances_fill_the_kept_rows_again_and_again(self):
    bits = np.tri(65, 64, -1, dtype=np.uint8)[::-1].repeat(40, axis=0)
    codes = np.packbits(bits, axis=1)
    probes = np.zeros((6, 8), np.uint8)
    found = scan.top_hamming(probes, codes, 90, platform='cpu')
    self.assert_found(found, naive(probes, codes, 90))
    self.assertEqual(found[1][0, 0], 64 * 40)

  @parameterized.parameters(1, 300)
  def test_parts_of_a_larger_gallery_are_merged(self, num_probes):
    rng = np.random.default_rng(7)
    codes = galleries.draw_codes(rng, 150_000, 64)
    probes = galleries.draw_codes(rng, num_probes, 64)
    found = scan.top_hamming(probes, codes, 20, platform='cpu')
    some = slice(0, 3)
    expected = naive(probes[some], codes, 20)
    self.assert_found((found[0][some], found[1][some]), expected)

  def test_removed_rows_are_never_found(self):
    rng = np.random.default_rng(1)
    codes = galleries.draw_codes(rng, 900, 64)
    removed = np.zeros(900, bool)
    nearest = scan.top_hamming(codes[:9], codes, 10, platform='cpu')[1]
    removed[nearest] = True
    found = scan.top_hamming(
      codes[:9], codes, 850, removed=removed, platform='cpu'
    )
    self.assert_found(found, naive(codes[:9], codes, 850, removed))
    self.assertFalse(removed[found[1][found[1] >= 0]].any())

  def test_maps_of_files_and_views_are_searched_as_they_are(self):
    rng = np.random.default_rng(2)
    codes = galleries.draw_codes(rng, 700, 128)
    expected = naive(codes[:5], codes, 30)
    path = self.create_tempfile().full_path
    with open(path, 'wb') as file:
      file.write(b'odd' + codes.tobytes())
    wide = np.zeros((1400, 20), np.uint8)
    wide[::2, 3:19] = codes
    for gallery in (
      np.memmap(path, np.uint8, 'r', 3, codes.shape),
      np.asfortranarray(codes),
      wide[::2, 3:19],
    ):
      found = scan.top_hamming(codes[:5], gallery, 30, platform='cpu')
      self.assert_found(found, expected)

  def test_threads_may_search_at_once(self):
    rng = np.random.default_rng(3)
    codes = galleries.draw_codes(rng, 40_000, 64)
    probes = galleries.draw_codes(rng, 64, 64)
    expected = scan.top_hamming(probes, codes, 5, platform='cpu')
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
      jobs = [
        pool.submit(scan.top_hamming, probes[i:], codes, 5, platform='cpu')
        for i in range(32)
      ]
    for start, job in enumerate(jobs):
      found = tuple(array[start:] for array in expected)
      self.assert_found(job.result(), found)

  def test_faiss_agrees_on_the_distances(self):
    try:
      import faiss
    except ImportError:
      self.skipTest('faiss is not installed')
    rng = np.random.default_rng(4)
    codes = galleries.draw_codes(rng, 5000, 128)
    index = faiss.IndexBinaryFlat(128)
    index.add(codes)
    found = scan.top_hamming(codes[:40] ^ 5, codes, 25, platform='cpu')
    np.testing.assert_array_equal(found[0], index.search(codes[:40] ^ 5, 25)[0])


class WithinHammingTest(chex.TestCase):
  @parameterized.product(bits=(8, 64, 128), radius=(0, 20, 64, 1000))
  def test_it_finds_all_rows_within_the_radius(self, bits, radius):
    rng = np.random.default_rng(radius)
    codes = galleries.draw_codes(rng, 700, bits)
    probes = codes[[5, 600, 5]]
    removed = rng.random(700) < 0.1
    starts, rows, distances = scan.within_hamming(
      probes, codes, radius, removed=removed
    )
    expected = galleries.distances(probes, codes)
    self.assertEqual(len(starts), 4)
    for number, of_probe in enumerate(expected):
      order = np.argsort(of_probe, kind='stable')
      order = order[(of_probe[order] <= radius) & ~removed[order]]
      part = slice(starts[number], starts[number + 1])
      np.testing.assert_array_equal(rows[part], order)
      np.testing.assert_array_equal(distances[part], of_probe[order])

  def test_parts_of_a_larger_gallery_stay_in_order(self):
    rng = np.random.default_rng(1)
    codes = galleries.draw_codes(rng, 150_000, 64)
    _, rows, distances = scan.within_hamming(codes[:1], codes, 18)
    expected = galleries.distances(codes[:1], codes)[0]
    order = np.argsort(expected, kind='stable')
    order = order[expected[order] <= 18]
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_array_equal(distances, expected[order])

  def test_nothing_within_the_radius_gives_nothing(self):
    codes = np.full((9, 8), 255, np.uint8)
    starts, rows, distances = scan.within_hamming(0 * codes[:2], codes, 63)
    self.assertEqual(starts.tolist(), [0, 0, 0])
    self.assertEqual((len(rows), len(distances)), (0, 0))
    empty = scan.within_hamming(codes[:2], codes[:0], 63)
    self.assertEqual(empty[0].tolist(), [0, 0, 0])


class CodesTest(chex.TestCase):
  def test_words_hold_the_bytes_and_zeros(self):
    codes = np.array([[1, 2, 3]], np.uint8)
    words = codes_lib.as_words(codes)
    self.assertEqual(words.view(np.uint8).tolist(), [[1, 2, 3, 0, 0, 0, 0, 0]])

  def test_a_gallery_in_memory_is_not_copied(self):
    codes = np.zeros((5, 16), np.uint8)
    self.assertTrue(np.shares_memory(codes_lib.as_words(codes), codes))

  def test_parts_cover_every_row_once(self):
    for num_rows in (0, 1, 1 << 15, 100_003):
      parts = compiled.gallery_parts(num_rows, 64, [slice(0, 3)])
      rows = [row for part in parts for row in range(part.start, part.stop)]
      self.assertEqual(rows, list(range(num_rows)))

  def test_blocks_cover_every_probe_once(self):
    for num_probes in (0, 1, 33, 1000):
      blocks = compiled.probe_blocks(num_probes)
      probes = [p for block in blocks for p in range(block.start, block.stop)]
      self.assertEqual(probes, list(range(num_probes)))


if __name__ == '__main__':
  absltest.main()
