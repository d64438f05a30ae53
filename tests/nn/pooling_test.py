import chex
import jax.numpy as jnp
import numpy as np
from absl.testing import parameterized

from facejax.errors import DataError
from facejax.nn.pooling import max_pool_ceil


def _naive(x, size, strides):
  rows, columns = (-(-(side - size) // strides) + 1 for side in x.shape[1:3])
  y = np.empty((x.shape[0], rows, columns, x.shape[3]), x.dtype)
  for i in range(rows):
    for j in range(columns):
      top, left = i * strides, j * strides
      y[:, i, j] = x[:, top : top + size, left : left + size].max((1, 2))
  return y


class MaxPoolCeilTest(chex.TestCase):
  @parameterized.parameters(
    ((4, 4), 2, 2, (2, 2)),
    ((5, 7), 2, 2, (3, 4)),
    ((1, 3), 2, 2, (1, 2)),
    ((13, 13), 3, 2, (6, 6)),
    ((6, 3), 3, 2, (3, 1)),
  )
  def test_the_last_window_may_reach_over_the_edge(
    self, sides, size, strides, expected
  ):
    # Below zero, so that a border of zeros would win.
    x = np.random.default_rng(0).normal(-9, 1, (2, *sides, 3))
    x = x.astype(np.float32)
    y = max_pool_ceil(jnp.asarray(x), size, strides)
    self.assertEqual(y.shape[1:3], expected)
    np.testing.assert_array_equal(y, _naive(x, size, strides))

  def test_a_map_without_a_window_is_refused(self):
    with self.assertRaisesRegex(DataError, 'side 1 is too small to pool'):
      max_pool_ceil(jnp.zeros((1, 1, 4, 2)), 3, 2)
