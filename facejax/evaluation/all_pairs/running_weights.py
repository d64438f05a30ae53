"""Running sums of weights along sorted pairs, for many draws of people."""

import numpy as np

from facejax.array_typing import Int

_BLOCK = 256  # pairs whose weights are summed to one
_BLOCKS_AT_ONCE = 64


class RunningWeights:
  """How much pairs weigh together, from the first one on.

  The weight of a pair is how often its people were drawn, multiplied. Only
  sums of blocks are kept, and the one block that a question is about is looked
  at again, which takes a tenth of the time of whole running sums.
  """

  def __init__(
    self, people: Int[np.ndarray, 'k n'], times: Int[np.ndarray, 'B P']
  ):
    """Sums the blocks.

    Args:
      people: the k people of each of n pairs, in order.
      times: how often each person was drawn, in each of B draws.
    """
    draws, num_people = times.shape
    # A person whom nobody draws fills the last block up.
    nobody = np.zeros((1, draws), times.dtype)
    most = int(times.max(initial=0)) ** len(people)
    self._times = np.concatenate([times.T, nobody]).astype(
      np.min_scalar_type(most)
    )
    self._length = people.shape[1]
    filling = (0, -self._length % _BLOCK)
    self._people = np.pad(
      people, ((0, 0), filling), constant_values=num_people
    ).reshape(len(people), -1, _BLOCK)
    parts = [
      self._people[:, start : start + _BLOCKS_AT_ONCE]
      for start in range(0, self._people.shape[1], _BLOCKS_AT_ONCE)
    ]
    sums = [
      _product(self._times.take(part, axis=0)).sum(1, dtype=np.int32)
      for part in parts
    ]
    zero = np.zeros((1, draws), np.int64)
    # int64 [n / 256 + 1, B], weight of all blocks before each.
    self._before = np.concatenate([zero, *sums]).cumsum(axis=0)

  @property
  def total(self) -> Int[np.ndarray, ' B']:
    """Weight of all pairs."""
    return self._before[-1]

  def before(self, index: Int[np.ndarray, 'B F']) -> Int[np.ndarray, 'B F']:
    """Weight of the first `index` pairs, 0 .. n."""
    block = np.minimum(index // _BLOCK, self._people.shape[1] - 1)
    known, running = self._within(block)
    running = np.append(np.zeros_like(running[..., :1]), running, axis=-1)
    inside = (index - block * _BLOCK)[..., None]
    return known + np.take_along_axis(running, inside, axis=-1)[..., 0]

  def find(self, weight: Int[np.ndarray, 'B F']) -> Int[np.ndarray, 'B F']:
    """How many pairs at most, from the first on, weigh no more than this."""
    block = (self._before[1:, :, None] <= weight).sum(axis=0)
    block = np.minimum(block, self._people.shape[1] - 1)
    known, running = self._within(block)
    inside = (known[..., None] + running <= weight[..., None]).sum(axis=-1)
    return np.minimum(block * _BLOCK + inside, self._length)

  def _within(
    self, block: Int[np.ndarray, 'B F']
  ) -> tuple[Int[np.ndarray, 'B F'], Int[np.ndarray, 'B F W']]:
    """Weight before a block, and the running sums in it, for each draw."""
    draw = np.arange(len(block))[:, None]
    times = self._times[self._people[:, block], draw[..., None]]
    running = _product(times).cumsum(axis=-1, dtype=np.int64)
    return self._before[block, draw], running


def _product(times: np.ndarray) -> np.ndarray:
  """The product over the first axis, in the same type and in place."""
  for others in times[1:]:
    times[0] *= others
  return times[0]
