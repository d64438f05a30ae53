"""Columns in blocks of any size, cut anew into blocks of one size."""

from collections.abc import Iterable, Iterator

import numpy as np

from facejax.array_typing import Float, Int

# Features [C, D] and labels [C].
Block = tuple[Float[np.ndarray, 'C D'], Int[np.ndarray, ' C']]


def cut(blocks: Iterable[Block], width: int) -> Iterator[tuple[int, Block]]:
  """Cuts columns into blocks of `width`, of which the last may be shorter.

  Args:
    blocks: columns, of any size; no more than one block and a rest is held.
    width: columns wanted in a block.

  Yields:
    The place of the first column among all, and the block.
  """
  rest, place = None, 0
  for block in blocks:
    if rest is not None:
      block = tuple(map(np.concatenate, zip(rest, block, strict=True)))
    whole = len(block[1]) // width * width
    for start in range(0, whole, width):
      part = slice(start, start + width)
      yield place, (block[0][part], block[1][part])
      place += width
    rest = (block[0][whole:], block[1][whole:])
  if rest is not None and len(rest[1]):
    yield place, rest
