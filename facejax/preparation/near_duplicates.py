"""Pairs of images that show the same photo, found by their embeddings."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from facejax.array_typing import Float, Int32
from facejax.preparation.embedded_faces import EmbeddedFaces

_COSINES = 1 << 24  # of one block, 64 MB


class Duplicates(NamedTuple):
  """Images that repeat another one; places in the set, P pairs.

  Attributes:
    kept: int64 [P], the image that stays.
    dropped: int64 [P], the one that repeats it; none stands here twice.
    cosine: float32 [P], of the two, falling.
    num_pairs: all pairs above the threshold, chains and repeats included.
  """

  kept: np.ndarray
  dropped: np.ndarray
  cosine: np.ndarray
  num_pairs: int


def _repeats(
  rows: Float[np.ndarray, 'n D'], threshold: float
) -> Iterator[tuple[int, int, float, int]]:
  """Yields (kept, repeat, cosine, pairs) of one identity's images.

  An image repeats an earlier one that is kept itself, so that a slow film does
  not shrink to its first frame.
  """
  kept = np.ones(len(rows), bool)
  size = max(1, _COSINES // len(rows))
  for start in range(0, len(rows), size):
    cosines = rows[start : start + size] @ rows[: start + size].T
    earlier = np.tri(*cosines.shape, start - 1, dtype=bool)
    above = (cosines > threshold) & earlier
    for row in np.flatnonzero(above.any(1)):
      similar = np.where(above[row] & kept[: above.shape[1]], cosines[row], -2)
      best = int(similar.argmax())
      if similar[best] > threshold:
        kept[start + row] = False
        yield best, start + int(row), similar[best], int(above[row].sum())


def _within(
  faces: EmbeddedFaces, threshold: float
) -> Iterator[tuple[int, int, float, int]]:
  """Repeats inside of every identity, all its pairs compared."""
  for label in range(faces.num_identities):
    members = faces.members(label)
    if members.stop - members.start > 1:
      for kept, dropped, *rest in _repeats(faces.rows(members), threshold):
        yield members.start + kept, members.start + dropped, *rest


def _across(
  faces: EmbeddedFaces,
  threshold: float,
  nearest: Int32[np.ndarray, ' N'],
  own: Float[np.ndarray, ' N'],
) -> Iterator[tuple[int, int, float, int]]:
  """Repeats in the other identity that an image resembles most.

  Of two images under two names, the one that fits its name less is dropped.
  """
  order = np.argsort(nearest, kind='stable')
  bounds = np.searchsorted(nearest[order], np.arange(faces.num_identities + 1))
  for label in range(faces.num_identities):
    places = order[bounds[label] : bounds[label + 1]]
    members = faces.members(label)
    size = max(1, _COSINES // (members.stop - members.start))
    for start in range(0, len(places), size):
      part = places[start : start + size]
      cosines = faces.rows(part) @ faces.rows(members).T
      best = cosines.argmax(1)
      for i in np.flatnonzero(cosines.max(1) > threshold):
        image, other = int(part[i]), members.start + int(best[i])
        if np.nan_to_num(own[image], nan=-1) <= np.nan_to_num(
          own[other], nan=-1
        ):
          image, other = other, image
        yield image, other, cosines[i, best[i]], 1


def near_duplicates(
  faces: EmbeddedFaces,
  threshold: float,
  *,
  nearest: Int32[np.ndarray, ' N'] | None,
  own: Float[np.ndarray, ' N'] | None,
) -> Duplicates:
  """Finds images that repeat another image of the set.

  All pairs inside an identity are compared, and every image with all images of
  the one other identity whose centroid it resembles most: a copy of a photo
  lies near the centroid of the photo's own identity.

  Args:
    faces: N images.
    threshold: a cosine; pairs above it are one photo.
    nearest: int32 [N], the other identity that an image resembles most; None
      compares within identities only.
    own: float32 [N], how well an image fits its identity, NaN where nothing
      tells; needed with `nearest`.

  Returns:
    One row for every image to drop.
  """
  best: dict[int, tuple[float, int]] = {}
  num_pairs = 0
  for kept, dropped, cosine, pairs in _within(faces, threshold):
    best[dropped] = float(cosine), kept
    num_pairs += pairs
  seen: set[tuple[int, int]] = set()
  across = () if nearest is None else _across(faces, threshold, nearest, own)
  for kept, dropped, cosine, _ in across:
    pair = min(kept, dropped), max(kept, dropped)
    num_pairs += pair not in seen
    seen.add(pair)
    # One photo must not vanish because each copy names another as the original.
    if kept not in best and dropped not in best:
      best[dropped] = float(cosine), kept
  rows = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))
  return Duplicates(
    kept=np.array([kept for _, (_, kept) in rows], np.int64),
    dropped=np.array([dropped for dropped, _ in rows], np.int64),
    cosine=np.array([cosine for _, (cosine, _) in rows], np.float32),
    num_pairs=num_pairs,
  )
