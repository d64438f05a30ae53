"""Vectors as they are stored for the second stage."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.search.vectors import DTYPES, StoredVectors, store_vectors
from tests.search import galleries


class StoreVectorsTest(chex.TestCase):
  def setUp(self):
    super().setUp()
    rng = np.random.default_rng(0)
    self.embeddings = galleries.draw_vectors(rng, 50, 128)

  @parameterized.parameters(
    ('float32', 0, 512), ('float16', 2**-11, 256), ('int8', 0.003, 132)
  )
  def test_rounding_and_bytes_of_every_type(self, dtype, error, num_bytes):
    vectors = store_vectors(self.embeddings, dtype)
    self.assertEqual(vectors.values.dtype.name, dtype)
    decoded = vectors.decode(slice(None))
    self.assertEqual(decoded.dtype, np.float32)
    np.testing.assert_allclose(decoded, self.embeddings, atol=error)
    self.assertEqual(vectors.bytes_per_vector, num_bytes)
    self.assertEqual((len(vectors), vectors.size), (50, 128))

  def test_int8_vectors_have_unit_norm_again(self):
    decoded = store_vectors(self.embeddings, 'int8').decode(slice(None))
    norms = np.linalg.norm(decoded, axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)

  def test_int8_uses_its_range(self):
    vectors = store_vectors(np.array([[0.6, -0.8]], np.float32), 'int8')
    self.assertEqual(vectors.values.tolist(), [[95, -127]])
    self.assertAlmostEqual(float(vectors.factors[0]), 1 / 158.6, places=6)

  @parameterized.parameters(*DTYPES)
  def test_some_rows_can_be_taken(self, dtype):
    vectors = store_vectors(self.embeddings, dtype)
    rows = np.array([4, 4, 30])
    taken = vectors.take(rows).decode(slice(None))
    np.testing.assert_array_equal(taken, vectors.decode(rows))

  def test_no_vectors_are_vectors_too(self):
    for dtype in DTYPES:
      self.assertEmpty(store_vectors(np.zeros((0, 8), np.float32), dtype))

  def test_bad_input_is_refused(self):
    with self.assertRaisesRegex(UsageError, 'float16, int8'):
      store_vectors(self.embeddings, 'float64')
    for value in (2.0, 0.0, np.nan, np.inf):
      broken = self.embeddings.copy()
      broken[7] *= value
      with self.assertRaisesRegex(DataError, 'row 7 .*unit norm'):
        store_vectors(broken, 'int8')
    with self.assertRaisesRegex(DataError, 'need factors'):
      StoredVectors(np.zeros((2, 8), np.int8))
    with self.assertRaisesRegex(DataError, 'floats have none'):
      StoredVectors(np.zeros((2, 8), np.float32), np.ones(2, np.float32))
    with self.assertRaisesRegex(DataError, r'float32 \[2\]'):
      StoredVectors(np.zeros((2, 8), np.int8), np.ones(3, np.float32))
    with self.assertRaisesRegex(DataError, r'give \[T, D\]'):
      StoredVectors(np.zeros(8, np.float32))


if __name__ == '__main__':
  absltest.main()
