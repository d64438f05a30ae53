"""How far above its scores with strangers a pair of faces stands.

A cosine means little by itself: blurred faces, children, or the images of one
camera are like everybody. The score used here is the cosine less its mean over
strangers, in standard deviations, for either side of the pair, and the mean of
the two (symmetric score normalisation, or S-norm, of speaker recognition).
Mean and deviation over all strangers cost no matrix of scores: for a cloud of
n unit vectors y, the cosines of x have the mean x . E[y] and the mean square
x' E[y y'] x.

References:
  Auckenthaler et al., Score Normalization for Text-Independent Speaker
  Verification Systems, 2000, https://doi.org/10.1006/dspr.1999.0360
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from facejax.array_typing import AnyArray, Array, Float

_MIN_VARIANCE = 1e-6


class Cloud(NamedTuple):
  """What is kept of n unit vectors.

  Attributes:
    total: float64 [D], their sum.
    square: float64 [D, D], the sum of their outer products.
    count: n.
  """

  total: np.ndarray
  square: np.ndarray
  count: int


class Spread(NamedTuple):
  """The cosines of some vectors with strangers.

  Attributes:
    mean: float32 [B].
    deviation: float32 [B], above 0.
    count: the number of strangers, the same for all.
  """

  mean: np.ndarray
  deviation: np.ndarray
  count: int

  def at_least(self, floor: float) -> 'Spread':
    """With no deviation below `floor`.

    What is no face at all lies far from every face: its cosines differ so
    little that any chance likeness to another failure would stand out.
    """
    return self._replace(deviation=np.maximum(self.deviation, floor))

  @property
  def typical(self) -> float:
    """The median deviation."""
    return float(np.median(self.deviation))

  def take(self, places: slice | np.ndarray) -> 'Spread':
    """Of some of the vectors."""
    return Spread(self.mean[places], self.deviation[places], self.count)


def add_to_cloud(
  cloud: Cloud | None, vectors: Float[np.ndarray, 'B D']
) -> Cloud:
  """A cloud with more vectors; None is the empty one."""
  total, square = vectors.sum(0, np.float64), vectors.T @ vectors
  if cloud is None:
    return Cloud(total, square.astype(np.float64), len(vectors))
  return Cloud(
    cloud.total + total, cloud.square + square, cloud.count + len(vectors)
  )


def spread(
  vectors: Float[np.ndarray, 'B D'],
  cloud: Cloud,
  own: Float[np.ndarray, ' B'] | None = None,
) -> Spread:
  """Mean and deviation of the cosines of vectors with a cloud.

  Args:
    vectors: float32 [B, D], unit norm.
    cloud: of unit vectors, at least two, or three with `own`.
    own: float [B], the cosine of each with the one member of the cloud that is
      no stranger to it, and does not count.
  """
  count = cloud.count - (own is not None)
  own = np.zeros(len(vectors)) if own is None else own.astype(np.float64)
  mean = (vectors @ cloud.total - own) / count
  square = np.einsum('bd,bd->b', vectors @ cloud.square, vectors) - own**2
  variance = np.maximum(square / count - mean**2, _MIN_VARIANCE)
  return Spread(
    mean.astype(np.float32), np.sqrt(variance).astype(np.float32), count
  )


def one_sided(
  cosines: AnyArray, mean: AnyArray, deviation: AnyArray, count: Any
) -> Array:
  """Deviations above the mean of all strangers but the one that is scored.

  Were it counted, then among n strangers none could stand more than
  (n - 1) / sqrt(n) deviations above the mean, however like the other it is.
  """
  z = (cosines - mean) / deviation
  return z * jnp.sqrt(count / jnp.maximum(count - 1 - z * z, 1e-3))
