"""Affine hash layers that need no gradient: signs, random projections, ITQ.

A layer maps an embedding F of unit norm to logits u = W^T F + b; bit l of a
code is u_l > 0 (spec 4.5). Made on the host: the work is a few products with a
matrix of the embeddings.
"""

from typing import NamedTuple

import numpy as np

from facejax.array_typing import Float
from facejax.errors import DataError, UsageError


class LinearHash(NamedTuple):
  """An affine hash layer.

  Attributes:
    kernel: float32 [D, L], W.
    bias: float32 [L], b.
  """

  kernel: Float[np.ndarray, 'D L']
  bias: Float[np.ndarray, ' L']

  def logits(
    self, embeddings: Float[np.ndarray, 'B D']
  ) -> Float[np.ndarray, 'B L']:
    """Logits W^T F + b of embeddings F of unit norm."""
    return embeddings @ self.kernel + self.bias


def sign_hash(size: int) -> LinearHash:
  """The signs of the embedding itself: L = D, W = I, b = 0.

  Args:
    size: D.
  """
  return LinearHash(np.eye(size, dtype=np.float32), np.zeros(size, np.float32))


def random_hash(size: int, num_bits: int, *, seed: int = 0) -> LinearHash:
  """Random hyperplanes through the origin, orthogonal in blocks of D.

  P(bits differ) = angle / pi, as for independent Gaussian hyperplanes, and the
  orthogonal ones estimate the angle with less variance.

  Args:
    size: D.
    num_bits: L.
    seed: of the draw.

  References:
    Charikar, Similarity Estimation Techniques from Rounding Algorithms, 2002;
    Ji et al., Super-Bit Locality-Sensitive Hashing, 2012.
  """
  rng = np.random.default_rng(seed)
  blocks = [_random_rotation(rng, size) for _ in range(-(-num_bits // size))]
  kernel = np.concatenate(blocks, axis=1)[:, :num_bits]
  return LinearHash(kernel, np.zeros(num_bits, np.float32))


def iterative_quantization(
  embeddings: Float[np.ndarray, 'N D'],
  num_bits: int,
  *,
  iterations: int = 50,
  seed: int = 0,
) -> tuple[LinearHash, Float[np.ndarray, 'blocks iterations']]:
  """ITQ: principal components, rotated to lie near the corners of a cube.

  V = (F - mean) P with the first L principal components P. From a random
  rotation R, `iterations` times: B = sign(V R), then R the rotation that makes
  ||B - V R||_F least (orthogonal Procrustes: R = S Z^T of V^T B = S w Z^T).

  The method has L <= D. For more bits the code consists of blocks of D bits,
  and a last one of the rest: each is an ITQ of its own, on the first
  components, from another random rotation.

  Args:
    embeddings: F, of unit norm; N > 1.
    num_bits: L.
    iterations: of each block.
    seed: of the rotations that it starts from.

  Returns:
    The layer, W = P R and b = -mean W of each block; and for each block and
    iteration ||B - V R||^2 / (N bits) before R is improved, which never rises.

  Raises:
    DataError: too few embeddings, or they are not finite.
    UsageError: no iteration.

  References:
    Gong et al., Iterative Quantization: A Procrustean Approach to Learning
    Binary Codes for Large-scale Image Retrieval, 2011 and 2013, section 2.2.
  """
  if len(embeddings) < 2 or not np.isfinite(embeddings).all():
    raise DataError(
      f'ITQ: {len(embeddings)} embeddings; give at least two, all finite'
    )
  if iterations < 1:
    raise UsageError(f'ITQ: {iterations} iterations: use 1 or more')
  mean = embeddings.mean(0, dtype=np.float64).astype(np.float32)
  centred = embeddings.astype(np.float32) - mean
  values, vectors = np.linalg.eigh(centred.T @ centred)
  components = vectors[:, np.argsort(-values, kind='stable')]
  size = embeddings.shape[1]
  rng = np.random.default_rng(seed)
  kernels, losses = [], []
  for start in range(0, num_bits, size):
    block = components[:, : min(size, num_bits - start)]
    rotation, found = _rotate(centred @ block, iterations, rng)
    kernels.append(block @ rotation)
    losses.append(found)
  kernel = np.concatenate(kernels, axis=1)
  return LinearHash(kernel, -mean @ kernel), np.stack(losses)


def _rotate(
  projected: Float[np.ndarray, 'N bits'],
  iterations: int,
  rng: np.random.Generator,
) -> tuple[Float[np.ndarray, 'bits bits'], Float[np.ndarray, ' iterations']]:
  """The rotation of one block, and its quantisation losses."""
  rotation = _random_rotation(rng, projected.shape[1])
  losses = np.empty(iterations)
  for iteration in range(iterations):
    rotated = projected @ rotation
    corners = np.where(rotated > 0, 1, -1).astype(np.float32)
    losses[iteration] = np.mean((corners - rotated) ** 2)
    left, _, right = np.linalg.svd(projected.T @ corners)
    rotation = left @ right
  return rotation, losses


def _random_rotation(
  rng: np.random.Generator, size: int
) -> Float[np.ndarray, 'size size']:
  """An orthogonal matrix, float32, uniform over all."""
  q, r = np.linalg.qr(rng.standard_normal((size, size)))
  return (q * np.where(np.diag(r) < 0, -1.0, 1.0)).astype(np.float32)
