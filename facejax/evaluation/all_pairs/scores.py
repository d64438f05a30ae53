"""All pairs of a set of faces: exact rates, and how sure they are.

Ten folds of 600 pairs cannot tell good models apart; the 55 million impostor
pairs of LFW can, down to a false-accept rate of 1e-6.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from facejax.array_typing import Float, Int
from facejax.errors import DataError
from facejax.evaluation import rates
from facejax.evaluation.all_pairs.result import AllPairs
from facejax.evaluation.scoring.impostors import ImpostorScores, Kept

# A draw of people may need a longer tail than the whole set.
_TAIL_SLACK, _SHORTEST_TAIL, _LONGEST_TAIL = 4, 1000, 4_000_000
_GENUINE_BLOCK = 1 << 16


@jax.jit
def _products(features: jax.Array, pairs: jax.Array) -> jax.Array:
  """Inner products of pairs of rows."""
  return jnp.einsum(
    'nd,nd->n',
    features[pairs[0]],
    features[pairs[1]],
    precision=jax.lax.Precision.HIGHEST,
  )


def genuine_pairs(
  labels: Int[np.ndarray, ' N'],
) -> Int[np.ndarray, '2 G']:
  """Every two images of one person, int32, person by person."""
  order = np.argsort(labels, kind='stable')
  images = np.bincount(labels)
  # Each image pairs with those of its person that stand behind it.
  behind = np.repeat(np.cumsum(images), images) - 1 - np.arange(len(labels))
  first = np.repeat(np.arange(len(labels)), behind)
  past = np.repeat(np.cumsum(behind) - behind, behind)
  second = first + 1 + np.arange(len(first)) - past
  return np.stack([order[first], order[second]]).astype(np.int32)


def genuine_scores(
  features: Float[np.ndarray, 'N D'], pairs: Int[np.ndarray, '2 G']
) -> Float[np.ndarray, ' G']:
  """Scores of genuine pairs, computed on the device a block at a time.

  Args:
    features: float32 [N, D], unit norm.
    pairs: int32 [2, G], rows, as of `genuine_pairs`.

  Returns:
    float32 [G].
  """
  on_device, found = jnp.asarray(features), []
  for start in range(0, pairs.shape[1], _GENUINE_BLOCK):
    block = pairs[:, start : start + _GENUINE_BLOCK]
    padding = (0, _GENUINE_BLOCK - block.shape[1])
    scores = _products(on_device, np.pad(block, ((0, 0), padding)))
    found.append(np.asarray(scores)[: block.shape[1]])
  return np.concatenate(found)


def operating_points(
  impostors: ImpostorScores,
  kept: Kept,
  genuine: Float[np.ndarray, ' G'],
  fars: Sequence[float],
  num_impostors: int,
) -> dict[float, rates.OperatingPoint]:
  """The operating point of each rate, by the rule 'at_most'.

  Args:
    impostors: scores; a rate beyond the tail needs a second pass over them.
    kept: counts and tail of the first pass.
    genuine: float32 [G], scores of genuine pairs.
    fars: the rates, each one that the pairs resolve.
    num_impostors: all impostor pairs, those too that have no score.

  References:
    spec 13.5.
  """
  scored, tail = int(kept.counts.sum()), kept.tail
  accepted = [rates.num_accepted(far, num_impostors) for far in fars]
  beyond = [n + 1 for n in accepted if len(tail.scores) <= n < scored]
  exact = impostors.largest(beyond, kept.counts) if beyond else ((), ())
  by_rank = dict(zip(beyond, zip(*exact, strict=True), strict=True))
  points = {}
  for far, number in zip(fars, accepted, strict=True):
    if number >= scored:
      threshold, above = -math.inf, scored
    elif number + 1 in by_rank:
      threshold, above = by_rank[number + 1]
    else:
      threshold = tail.scores[number]
      (above,) = tail.count_greater(tail.scores[number : number + 1])
    points[far] = rates.OperatingPoint(
      tar=float((genuine > np.float32(threshold)).mean()),
      far=int(above) / num_impostors,
      threshold=float(threshold),
    )
  return points


def score_all_pairs(
  features: Float[np.ndarray, 'N D'],
  labels: Int[np.ndarray, ' N'],
  *,
  fars: Sequence[float] | None = None,
  mesh: Mesh | None = None,
) -> AllPairs:
  """Scores every pair of images once, and keeps what rates need.

  Memory: the features, 12 bytes for a genuine pair, and the largest impostor
  scores, four times as many as the largest rate accepts but at most four
  million; nothing grows with the number of pairs.

  Args:
    features: float32 [N, D], unit norm.
    labels: int [N], the person of every image, 0 .. P - 1.
    fars: the rates asked for; by default the decades 1e-1 .. 1e-6 that the
      pairs resolve.
    mesh: its devices share the work; None takes all of this process.

  Raises:
    DataError: there are pairs of one kind only.
    UsageError: the pairs do not resolve a rate that was asked for.
  """
  labels = np.asarray(labels, np.int32)
  pairs = genuine_pairs(labels)
  if not pairs.shape[1]:
    raise DataError('nobody has two images: there is no genuine pair')
  impostors = ImpostorScores(features, labels, mesh=mesh)
  count = impostors.count_pairs()
  if not count:
    raise DataError('all images show one person: there is no impostor pair')
  if fars is None:
    fars = rates.resolvable_fars(count)
  for far in fars:
    rates.check_far(far, count)
  accepted = [rates.num_accepted(far, count) for far in fars]
  # A rate whose tail is too long to keep gets its threshold from a second
  # pass, and no interval.
  lengths = [_TAIL_SLACK * (a + 1) for a in accepted if a < count]
  lengths = [length for length in lengths if length <= _LONGEST_TAIL]
  kept = impostors.collect(
    counts=True,
    tail=min(max([*lengths, _SHORTEST_TAIL]), _LONGEST_TAIL),
    desc='all pairs',
  )
  genuine = genuine_scores(features, pairs)
  points = operating_points(impostors, kept, genuine, fars, count)
  return AllPairs(labels, *pairs, genuine, kept.tail, kept.counts, points)
