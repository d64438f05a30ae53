"""The greatest scores of every row, gathered call by call."""

import numpy as np

from facejax.array_typing import Float, Int


class BestOfRows:
  """Keeps the `count` greatest scores of each of Q rows.

  Attributes:
    scores: float32 [Q, count], in no order; -inf where there are fewer.
    floors: float32 [Q], the least of each row: only a greater score counts.
  """

  def __init__(self, num_rows: int, count: int):
    self.scores = np.full((num_rows, count), -np.inf, np.float32)
    self.floors = np.full(num_rows, -np.inf, np.float32)

  def _merge(
    self, rows: Int[np.ndarray, ' U'] | slice, new: Float[np.ndarray, 'U k']
  ) -> None:
    joined = np.concatenate([self.scores[rows], new], axis=1)
    count = self.scores.shape[1]
    self.scores[rows] = -np.partition(-joined, count - 1, axis=1)[:, :count]
    self.floors = self.scores.min(1)

  def add_whole(self, found: Float[np.ndarray, 'S R k']) -> None:
    """Takes the greatest of all rows of a call, by device."""
    for part in found:
      self._merge(slice(None), part[: len(self.scores)])

  def add_groups(
    self, rows: Int[np.ndarray, ' N'], groups: Float[np.ndarray, 'N G']
  ) -> None:
    """Takes groups that hold what is above the floors, and their rows."""
    hit, within = np.nonzero(groups > self.floors[rows][:, None])
    if not len(hit):
      return
    rows, scores = rows[hit], groups[hit, within]
    order = np.lexsort((-scores, rows))
    rows, scores = rows[order], scores[order]
    changed, first, times = np.unique(
      rows, return_index=True, return_counts=True
    )
    place = np.arange(len(rows)) - np.repeat(first, times)
    kept = place < self.scores.shape[1]
    new = np.full((len(changed), self.scores.shape[1]), -np.inf, np.float32)
    number = np.repeat(np.arange(len(changed)), times)
    new[number[kept], place[kept]] = scores[kept]
    self._merge(changed, new)
