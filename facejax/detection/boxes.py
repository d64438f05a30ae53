"""Boxes x1, y1, x2, y2 in photo pixels: overlap, suppression, refinement.

x runs to the right and y down; a box covers x1 <= x < x2, so that its width is
x2 - x1 and the pixel at column 0 covers 0 .. 1.
"""

import numpy as np

from facejax.array_typing import Float, Int


def overlap(
  boxes: Float[np.ndarray, 'n 4'], *, of_smaller: bool = False
) -> Float[np.ndarray, 'n n']:
  """Intersection of all pairs over their union, or over the smaller box.

  Args:
    boxes: float [n, 4] of positive area.
    of_smaller: divide by the area of the smaller box: a box inside another
      one overlaps it by 1.
  """
  low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
  high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
  common = np.prod(np.maximum(high - low, 0), axis=-1)
  area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)
  if of_smaller:
    return common / np.minimum(area[:, None], area)
  return common / (area[:, None] + area - common)


def suppress(
  boxes: Float[np.ndarray, 'n 4'],
  scores: Float[np.ndarray, ' n'],
  threshold: float,
  *,
  of_smaller: bool = False,
) -> Int[np.ndarray, ' m']:
  """Greedy non-maximum suppression.

  A box is kept if no kept box of a higher score overlaps it by more than
  `threshold`. That sentence has one solution, which is reached by applying it
  to all boxes at once until nothing changes: a few rounds instead of a loop
  over boxes.

  Args:
    boxes: float [n, 4] of positive area.
    scores: float [n]; of equal ones, the earlier box is the higher.
    threshold: of `overlap`, 0 .. 1.
    of_smaller: see `overlap`.

  Returns:
    Places of the kept boxes, highest score first.
  """
  order = np.argsort(-scores, kind='stable')
  clash = overlap(boxes[order], of_smaller=of_smaller) > threshold
  clash = np.tril(clash, -1)  # row i: the higher boxes that i gives way to
  kept = np.ones(len(order), bool)
  while True:
    update = ~(clash & kept).any(axis=1)
    if np.array_equal(update, kept):
      return order[kept]
    kept = update


def refine(
  boxes: Float[np.ndarray, 'n 4'] | Int[np.ndarray, 'n 4'],
  offsets: Float[np.ndarray, 'n 4'],
) -> Float[np.ndarray, 'n 4']:
  """Moves every side by its offset, a fraction of the box's extent."""
  size = boxes[:, 2:] - boxes[:, :2]
  return boxes + offsets * np.concatenate([size, size], axis=1)


def square(boxes: Float[np.ndarray, 'n 4']) -> Float[np.ndarray, 'n 4']:
  """Grows the shorter side to the longer one about the same centre."""
  centre = (boxes[:, :2] + boxes[:, 2:]) / 2
  half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
  return np.concatenate([centre - half, centre + half], axis=1)
