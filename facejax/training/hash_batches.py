"""Who trains a hash layer, who judges it, and what a step sees."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from facejax.array_typing import Array, Float, Key
from facejax.errors import DataError
from facejax.ops.norms import l2_normalize
from facejax.training.hash_features import HashFeatures


class HashBatches(NamedTuple):
  """What the faces of people who do not exist are drawn from.

  Attributes:
    mean: float32 [D], of all people.
    factor: float32 [D, D], A with A A^T the covariance of people.
    residuals: float32 [2 N, D], an image less the mean of its person, by
      person.
    starts: int32 [K], where a person's residuals begin.
    sizes: int32 [K].
  """

  mean: Any
  factor: Any
  residuals: Any
  starts: Any
  sizes: Any

  def draw(
    self, key: Key, people: int
  ) -> tuple[Float[Array, 'P D'], Float[Array, 'P D']]:
    """Two images, of unit norm, of each of some new people.

    A person is a draw from the normal distribution of people; both images
    differ from it as two images of one real person do, up to the sign.
    """
    keys = jax.random.split(key, 4)
    normal = jax.random.normal(keys[0], (people, len(self.mean)))
    persons = self.mean[None, :] + normal @ self.factor.T
    who = jax.random.randint(keys[1], (people,), 0, len(self.starts))
    sizes = self.sizes[who][None, :]
    chance = jax.random.uniform(keys[2], (2, people))
    place = jnp.minimum((chance * sizes).astype(jnp.int32), sizes - 1)
    residuals = self.residuals[self.starts[who][None, :] + place]
    signs = jax.random.rademacher(keys[3], (2, people, 1), residuals.dtype)
    a, c = l2_normalize(persons[None] + signs * residuals)
    return a, c


def make_batches(features: HashFeatures, shrinkage: float | int) -> HashBatches:
  """The distribution of people, and how their images differ from them.

  The covariance of K people is known badly where K is not many times D: its
  small eigenvalues come out far too small, and codes would spare directions in
  which other people differ. The images of one person differ in much the same
  directions as people do, and there are far more of those. So the covariance S
  as it is measured is drawn towards V diag(V^T S V) V^T, V the eigenvectors of
  the covariance of images about their person.

  Args:
    features: of at least two people.
    shrinkage: the weight of the latter, 0 .. 1.

  Raises:
    DataError: nobody has two images.
  """
  order = np.argsort(np.tile(features.labels, 2), kind='stable')
  faces = features.both()[order]
  sizes = 2 * np.bincount(features.labels)
  starts = np.cumsum(sizes) - sizes
  means = np.add.reduceat(faces, starts) / sizes[:, None]
  residuals = faces - np.repeat(means, sizes, axis=0)
  if not residuals.any():
    raise DataError('hash training: nobody has two different images')
  # Deviations from a mean of n images are too small by sqrt((n - 1) / n).
  residuals *= np.repeat(np.sqrt(sizes / (sizes - 1)), sizes)[:, None]
  mean = means.mean(0)
  between = np.cov(means.T)
  _, axes = np.linalg.eigh(residuals.T @ residuals)
  along = (axes * np.diag(axes.T @ between @ axes)) @ axes.T
  values, vectors = np.linalg.eigh(
    (1 - shrinkage) * between + shrinkage * along
  )
  factor = vectors * np.sqrt(np.maximum(values, 0.0))
  floats = (jnp.asarray(x, jnp.float32) for x in (mean, factor, residuals))
  counts = (jnp.asarray(x, jnp.int32) for x in (starts, sizes))
  return HashBatches(*floats, *counts)


def hold_out(
  features: HashFeatures, share: float, *, max_faces: int, seed: int
) -> tuple[HashFeatures, HashFeatures]:
  """People to train on, and others to judge by.

  Args:
    features: of all people.
    share: of the people who judge.
    max_faces: about so many images judge at most, of whole people.
    seed: of the draw.

  Raises:
    DataError: there are too few people.
  """
  people = features.num_identities
  limit = max(2, math.floor(people * max_faces / max(1, len(features.labels))))
  count = min(round(share * people), limit)
  if count < 2 or people - count < 2:
    raise DataError(
      f'hash training: {people} people, of whom {count} would be held out: '
      'give a set of more people, or another share to hold out; two at least '
      'must train, and two judge'
    )
  held = np.zeros(people, bool)
  held[np.random.default_rng(seed).permutation(people)[:count]] = True
  return features.take(~held), features.take(held)
