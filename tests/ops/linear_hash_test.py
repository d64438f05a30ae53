"""Hash layers that need no gradient."""

import chex
import numpy as np
from absl.testing import absltest, parameterized

from facejax.errors import DataError, UsageError
from facejax.ops import hamming, linear_hash


def _unit_rows(seed, count, size):
  rows = np.random.RandomState(seed).standard_normal((count, size))
  rows *= np.linspace(2.0, 0.5, size)  # some directions say more
  rows += 0.3
  rows /= np.linalg.norm(rows, axis=1, keepdims=True)
  return rows.astype(np.float32)


class SignTest(chex.TestCase):
  def test_bits_are_the_signs_of_the_embedding(self):
    x = _unit_rows(0, 5, 16)
    np.testing.assert_array_equal(linear_hash.sign_hash(16).logits(x), x)


class RandomTest(chex.TestCase):
  def test_blocks_of_hyperplanes_are_orthogonal(self):
    kernel = linear_hash.random_hash(16, 40, seed=3).kernel
    self.assertEqual(kernel.shape, (16, 40))
    for start, stop in ((0, 16), (16, 32), (32, 40)):
      block = kernel[:, start:stop]
      np.testing.assert_allclose(
        block.T @ block, np.eye(stop - start), atol=1e-5
      )
    self.assertGreater(np.abs(kernel[:, :16].T @ kernel[:, 16:32]).max(), 0.1)

  def test_the_share_of_differing_bits_is_the_angle_over_pi(self):
    a = np.eye(32, dtype=np.float32)[:1]
    b = np.cos(1.0) * a + np.sin(1.0) * np.eye(32, dtype=np.float32)[1:2]
    layer = linear_hash.random_hash(32, 8192)
    codes = [hamming.pack_bits(layer.logits(x)) for x in (a, b)]
    share = float(hamming.hamming_distance(*codes)[0]) / 8192
    self.assertAlmostEqual(share, 1.0 / np.pi, delta=0.02)

  def test_a_seed_is_a_layer(self):
    kernels = [
      linear_hash.random_hash(8, 16, seed=seed).kernel for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(kernels[0], kernels[1])
    self.assertGreater(np.abs(kernels[0] - kernels[2]).max(), 0.1)


class ItqTest(chex.TestCase):
  @parameterized.parameters(8, 16, 24, 40)
  def test_the_loss_never_rises_and_rotations_are_orthogonal(self, num_bits):
    x = _unit_rows(1, 300, 16)
    layer, losses = linear_hash.iterative_quantization(x, num_bits)
    blocks = -(-num_bits // 16)
    self.assertEqual(losses.shape, (blocks, 50))
    self.assertLessEqual(np.diff(losses, axis=1).max(), 1e-5)
    self.assertTrue((losses[:, -1] < losses[:, 0]).all())
    for start in range(0, num_bits, 16):
      # W = P R of orthonormal P and orthogonal R.
      block = layer.kernel[:, start : min(start + 16, num_bits)]
      np.testing.assert_allclose(
        block.T @ block, np.eye(block.shape[1]), atol=1e-4
      )

  def test_it_projects_onto_the_first_principal_components(self):
    x = _unit_rows(2, 300, 16)
    layer, _ = linear_hash.iterative_quantization(x, 8)
    _, _, components = np.linalg.svd(x - x.mean(0), full_matrices=False)
    inside = components[:8].T @ components[:8]
    np.testing.assert_allclose(inside @ layer.kernel, layer.kernel, atol=1e-4)
    np.testing.assert_allclose(layer.logits(x).mean(0), 0.0, atol=1e-5)

  def test_corners_of_a_rotated_cube_are_found_without_loss(self):
    corners = np.array(
      [[(n >> bit & 1) * 2.0 - 1.0 for bit in range(4)] for n in range(16)]
    )
    angle = np.linalg.qr(np.random.RandomState(0).standard_normal((4, 4)))[0]
    x = (corners @ angle).astype(np.float32)
    best = min(
      linear_hash.iterative_quantization(x, 4, seed=seed)[1][0, -1]
      for seed in range(5)
    )
    self.assertLess(best, 1e-8)

  def test_bad_input_is_refused(self):
    x = _unit_rows(0, 4, 8)
    with self.assertRaisesRegex(DataError, 'at least two, all finite'):
      linear_hash.iterative_quantization(x[:1], 8)
    with self.assertRaisesRegex(DataError, 'at least two, all finite'):
      linear_hash.iterative_quantization(x * np.float32(np.nan), 8)
    with self.assertRaisesRegex(UsageError, '1 or more'):
      linear_hash.iterative_quantization(x, 8, iterations=0)


if __name__ == '__main__':
  absltest.main()
